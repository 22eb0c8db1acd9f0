/** A newcomer makes a picture: from the empty page, with nothing but a key, to the saved file. */
import type { Request } from "playwright-core";
import { describe, expect, it } from "vitest";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import { expectAccessible, expectNoSideScroll } from "../helpers/node/open-page.ts";
import {
  card,
  endUserOf,
  expectError,
  gallery,
  openPlayground,
  promptField,
  sendButton,
  widths,
} from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

serveInBrowser();

describe("the playground", () => {
  it("leads from an empty page to a picture, and lets go of the secret key at once", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway, {
      permissions: ["clipboard-read", "clipboard-write"],
    });
    const { page } = playground;
    const asked: Request[] = [];
    page.on("request", (request) => asked.push(request));
    await expectAccessible(page);

    await playground.enterKey("wsk_mistyped");
    await expectError(page, "Your key", /key is not valid/);
    await playground.enterKey(tenant.key);
    await page.getByText("Your picture will be here.").waitFor();
    await expectAccessible(page);
    await promptField(page).fill("a lighthouse at dusk [sim:seconds=1]");
    await page.getByRole("radio", { name: "Landscape 4:3" }).check();
    await page.getByRole("button", { name: "One image more" }).click();
    await page.getByText("2 images, 60 credits").waitFor();
    await sendButton(page).click();
    await card(page).getByRole("progressbar", { name: "Progress" }).waitFor();
    await expectAccessible(page);
    await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 20_000 }).toEqual([1_024, 1_024]));
    expect(await card(page).getByRole("img", { name: "a lighthouse at dusk" }).count()).toBe(2);
    await expectAccessible(page);

    const [task] = await tenant.tasks();
    await card(page).getByRole("button", { name: "Copy link" }).first().click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(task?.results[0]);
    const download = card(page).getByRole("link", { name: "Download" }).first();
    expect(await download.getAttribute("href")).toBe(`${task?.results[0]}?download=1`);
    await gallery(page)
      .getByRole("button", { name: /a lighthouse at dusk/ })
      .waitFor();
    expect(task).toMatchObject({ end_user: endUserOf(tenant.key), input: { size: "landscape_4_3", n: 2 } });

    const said = await Promise.all(
      asked.map(async (one) => ({ url: one.url(), headers: await one.allHeaders(), body: one.postData() })),
    );
    const withKey = said.filter((one) => JSON.stringify(one).includes(tenant.key));
    expect(withKey.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      [`${gateway.url}/v1/client-tokens`, `Bearer ${tenant.key}`],
    ]);
    const kept = await page.evaluate(() =>
      JSON.stringify([{ ...sessionStorage }, { ...localStorage }, location.href]),
    );
    expect(kept).toContain("wct_");
    expect(kept).not.toContain(tenant.key);
    playground.expectQuiet();
    await playground.close();
  });

  it("takes a task up again after a reload in the middle of it", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await playground.submit("a slow lighthouse [sim:seconds=8]");
    await card(page).getByRole("progressbar", { name: "Progress" }).waitFor();
    await page.reload();
    await card(page).getByRole("progressbar", { name: "Progress" }).waitFor();
    expect(await card(page).textContent()).toContain("a slow lighthouse");
    await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 30_000 }).toEqual([1_024]));
    playground.expectQuiet();
    await playground.close();
  });

  it("says why a task failed, and that nothing was charged; and puts its settings back on the form", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await page.getByText("More options").click();
    await page.getByLabel("Seed").fill("4711");
    await playground.submit("no lighthouse [sim:seconds=0][sim:fail=content_policy_violation]");
    const failed = card(page).getByRole("alert");
    await whileTicking(gateway, failed.waitFor());
    expect(await failed.textContent()).toMatch(/refused by the content policy.*Nothing was charged\./s);
    expect(await tenant.money()).toEqual({ balance: 500, held: 0 });
    await promptField(page).fill("something else");
    await page.getByLabel("Seed").fill("");
    await card(page).getByRole("button", { name: "Same settings and seed" }).click();
    expect([await promptField(page).inputValue(), await page.getByLabel("Seed").inputValue()]).toEqual([
      "no lighthouse [sim:seconds=0][sim:fail=content_policy_violation]",
      "4711",
    ]);
    playground.expectQuiet();
    await playground.close();
  });

  it.each(["light", "dark"] as const)(
    "is accessible and narrow enough in %s, with a picture",
    async (colorScheme) => {
      const screen = { width: 360, height: 740 };
      const playground = await openPlayground(browser, gateway, { colorScheme, viewport: screen });
      const { page } = playground;
      await playground.enterKey(await gateway.makeKey());
      await page.getByText("More options").click();
      await page.getByRole("radio", { name: /Custom/ }).check();
      await expectAccessible(page);
      await expectNoSideScroll(page);
      await playground.submit(`${"a-very-long-word-".repeat(30)} [sim:seconds=0]`);
      await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 20_000 }).toEqual([1_024]));
      await card(page).getByText("Details").click();
      await page.getByRole("tab", { name: "TypeScript" }).click();
      await expectAccessible(page);
      await expectNoSideScroll(page);
      playground.expectQuiet();
      await playground.close();
    },
  );
});
