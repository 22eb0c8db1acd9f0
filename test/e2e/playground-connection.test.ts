/** What a page shows while it waits: a connection that is gone is said, and no promise outlives its time. */
import { describe, expect, it } from "vitest";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import { expectAccessible } from "../helpers/node/open-page.ts";
import { card, openPlayground, promptField, sendButton } from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();

const lost = "The connection is lost; trying again…";

describe("a task under way", () => {
  it.each([
    ["refused", (route: import("playwright-core").Route) => route.fulfill({ status: 502, body: "" })],
    ["cut", (route: import("playwright-core").Route) => route.abort()],
  ] as const)("says that its connection is lost when it is %s, until it is back", async (_, breakIt) => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await promptField(page).waitFor();
    await page.route(/\/v1\/tasks\//, breakIt);
    await playground.submit("a slow lighthouse [sim:seconds=900]");
    await card(page).getByText(lost).waitFor();
    await expectAccessible(page);
    await page.unroute(/\/v1\/tasks\//);
    await card(page).getByText(lost).waitFor({ state: "detached" });
    // The broken calls are this test's own.
    expect(playground.complaints.filter((text) => !/ERR_FAILED|status of 502/.test(text))).toEqual([]);
    expect(playground.elsewhere).toEqual([]);
    await playground.close();
  });

  it("names no time in all that has passed already", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await playground.submit("a slow lighthouse [sim:seconds=900]");
    const guess = card(page).getByText(/^about .* in all$/);
    await guess.waitFor();
    await page.clock.install({ time: Date.now() });
    await page.reload();
    await guess.waitFor();
    await page.clock.fastForward(1_000_000);
    await guess.waitFor({ state: "detached" });
    await playground.close();
  });
});

describe("the form", () => {
  it("is sent once, however fast it is clicked twice", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await promptField(page).fill("one lighthouse");
    await sendButton(page).evaluate((button: HTMLButtonElement) => {
      button.form?.requestSubmit();
      button.click();
    });
    await card(page).getByText("one lighthouse").waitFor();
    expect(await tenant.tasks()).toHaveLength(1);
    playground.expectQuiet();
    await playground.close();
  });

  it("keeps its button where it is when the price comes", async () => {
    const playground = await openPlayground(browser, gateway, { viewport: { width: 390, height: 800 } });
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await page.route("**/v1/quote", async (route) => {
      await new Promise((resolve) => page.once("console", resolve));
      await route.continue();
    });
    await promptField(page).fill("a lighthouse");
    const before = await sendButton(page).boundingBox();
    await page.evaluate(() => console.log("the price may come"));
    await page.unroute("**/v1/quote");
    await promptField(page).fill("a lighthouse again");
    await page.getByText("1 image, 30 credits").waitFor();
    expect(await sendButton(page).boundingBox()).toEqual(before);
    playground.expectQuiet();
    await playground.close();
  });

  it("keeps its sizes where they are when the models come", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    const asked = Promise.withResolvers<import("playwright-core").Route>();
    await page.route("**/v1/models", (route) => asked.resolve(route));
    await playground.enterKey(await gateway.makeKey());
    const route = await asked.promise;
    const custom = page.getByRole("radio", { name: /Custom/ });
    const before = await custom.boundingBox();
    await route.continue();
    await page.getByText("30 credits an image").waitFor();
    expect(await custom.boundingBox()).toEqual(before);
    playground.expectQuiet();
    await playground.close();
  });

  it("outlives a reload, uploads by their address, and without the key", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await promptField(page).fill("half a thought");
    await page.getByRole("radio", { name: /Custom/ }).check();
    await page.getByLabel("Width").fill("12");
    await page.getByLabel("Address of a reference").fill("https://shop.example/one.png");
    await page.getByRole("button", { name: "Add", exact: true }).click();
    await page.reload();
    expect(await promptField(page).inputValue()).toBe("half a thought");
    expect(await page.getByLabel("Width").inputValue()).toBe("12");
    await page.getByText("Image 1: shop.example/one.png").waitFor();
    const kept = await page.evaluate(() => sessionStorage.getItem("wan-gateway playground draft"));
    expect(kept).not.toMatch(/w[scb][kt]_/);
    playground.expectQuiet();
    await playground.close();
  });
});
