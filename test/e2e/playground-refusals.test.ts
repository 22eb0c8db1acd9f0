/** What the gateway refuses is said where it can be changed; and whatever text comes along, it stays text. */
import type { Route } from "playwright-core";
import { describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import { expectAccessible } from "../helpers/node/open-page.ts";
import {
  card,
  endUserOf,
  expectError,
  gallery,
  openPlayground,
  promptField,
  sendButton,
} from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

serveInBrowser();

describe("a refusal", () => {
  it("of the prompt is said beside the prompt", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await playground.submit("something bad [sim:refuse]");
    await expectError(page, "Prompt", /refused by the content policy/);
    expect(await promptField(page).evaluate((field) => field === document.activeElement)).toBe(true);
    await expectAccessible(page);
    await promptField(page).fill("something good");
    expect(await promptField(page).getAttribute("aria-invalid")).toBe("false");
    await promptField(page).fill("𝄞".repeat(2_001));
    await page.getByText("2,001 of 2,000").waitFor();
    await expectError(page, "Prompt", /At most 2,000 characters: 1 too many\./);
    playground.expectQuiet();
    await playground.close();
  });

  it("that the page can foresee is shown at once beside each field, in the hints' words, without a call", async () => {
    const playground = await openPlayground(browser, gateway, { colorScheme: "dark" });
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await promptField(page).fill("a lighthouse");
    await page.getByText("1 image, 30 credits").waitFor();
    const asked: string[] = [];
    page.on("request", (request) => asked.push(`${request.url()} ${request.postData()}`));
    const code = page.getByRole("tabpanel", { name: "curl" });
    for (const typed of ["9", "1e9", "-1", "0", "1.5", "many"]) {
      await page.getByLabel("Number of images").fill(typed);
      await expectError(page, "Number of images", /A whole number, 1 to 4\./);
      expect(await code.textContent()).toBe("Not ready: mend first what is marked on the form.");
    }
    await page.getByRole("radio", { name: /Custom/ }).check();
    for (const typed of ["63", "4097", "0.5", "", "-300"]) {
      await page.getByLabel("Width").fill(typed);
      await expectError(page, "Width", /A whole number, 64 to 4,096 px\./);
    }
    expect(await page.getByLabel("Height").getAttribute("aria-invalid")).toBe("false");
    await page.getByText("More options").click();
    await page.getByLabel("Seed").fill("2147483648");
    await expectError(page, "Seed", /A whole number, 0 to 2,147,483,647\./);
    await expectAccessible(page);
    expect(await page.getByText(/\d credits?$/).count()).toBe(0);
    await sendButton(page).click();
    const width = page.getByLabel("Width");
    expect(await width.evaluate((field) => field === document.activeElement)).toBe(true);
    expect(asked.filter((call) => /quote|generations/.test(call))).toEqual([]);
    await width.fill("64");
    await page.getByLabel("Number of images").fill("4");
    await page.getByLabel("Seed").fill("");
    await page.getByText("4 images, 120 credits").waitFor();
    expect(await code.textContent()).toContain('"n": 4');
    playground.expectQuiet();
    await playground.close();
  });

  it("of the model's points at a size of one's own making", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    await page.getByRole("radio", { name: /Custom/ }).check();
    await page.getByText("no side longer than 8 times the other").waitFor();
    await page.getByLabel("Width").fill("4096");
    await page.getByLabel("Height").fill("64");
    await playground.submit("a very wide lighthouse");
    const size = page.getByRole("group", { name: "Size" });
    await size.getByText("The image model refused these parameters.").waitFor();
    const width = page.getByLabel("Width");
    await expect.poll(() => width.evaluate((field) => field === document.activeElement)).toBe(true);
    await expectAccessible(page);
    await width.fill("1024");
    await size.getByRole("alert").waitFor({ state: "detached" });

    await page.getByLabel("Height").fill("1024");
    await playground.submit("another [sim:seconds=0][sim:fail=invalid_parameters]");
    await whileTicking(gateway, card(page).getByText("It may be the size of 1024 × 1024").waitFor());
    playground.expectQuiet();
    await playground.close();
  });

  it("by a limit counts down, and then lets go by itself", async () => {
    const { key } = await payingTenant(gateway, { limits: { requests_per_minute: 1 } });
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await page.clock.install();
    await playground.enterKey(key);
    await playground.submit("the first lighthouse");
    await card(page).getByText("the first lighthouse").waitFor();
    await playground.submit("the second lighthouse");
    await page.getByText("Too many requests (requests_per_minute of this token).").waitFor();
    const timer = page.getByRole("timer");
    const secondsLeft = async () =>
      Number(/^You can try again in (\d+) s\.$/.exec((await timer.textContent()) ?? "")?.[1]);
    const before = await secondsLeft();
    // The page's clock also goes by itself, so that a slow machine has fewer left.
    expect(before).toBeGreaterThan(30);
    expect(before).toBeLessThanOrEqual(60);
    expect(await sendButton(page).isDisabled()).toBe(true);
    await page.clock.fastForward(20_000);
    await expect.poll(secondsLeft, { timeout: 5_000 }).toBeLessThanOrEqual(before - 20);
    await expectAccessible(page);
    await page.clock.fastForward(60_000);
    await page.getByText("You can try again now.").waitFor();
    expect(await sendButton(page).isEnabled()).toBe(true);
    playground.expectQuiet();
    await playground.close();
  });

  it("for want of credits is said in the gateway's words", async () => {
    const { key } = await payingTenant(gateway, { balance: 10 });
    const playground = await openPlayground(browser, gateway);
    await playground.enterKey(key);
    await playground.submit("a lighthouse");
    await playground.page.getByRole("alert").getByText("The balance does not cover this.").waitFor();
    playground.expectQuiet();
    await playground.close();
  });

  const unknown = {
    ...{ code: "unavailable", message: "Look there first.", param: null, type: "api_error" },
    ...{ retryable: false, charged: "unknown" },
  };
  it.each<[string, string, (route: Route) => Promise<void>]>([
    ["a lost reply is", "The gateway cannot be reached", (route) => route.abort()],
    [
      "an outcome is that is not known",
      "It is not known whether this task began.",
      (route) => route.fulfill({ status: 503, json: { error: unknown, request_id: "req-1" } }),
    ],
  ])("is not what %s: the next click makes no second task", async (_what, words, answer) => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await page.route("**/v1/images/generations", async (route) => {
      await route.fetch();
      await answer(route);
    });
    await playground.submit("one lighthouse, whatever happens");
    await page.getByText(words).waitFor();
    await expectAccessible(page);
    await page.unroute("**/v1/images/generations");
    await sendButton(page).click();
    await card(page).waitFor();
    expect(await tenant.tasks()).toHaveLength(1);
    await sendButton(page).click();
    await expect.poll(async () => (await tenant.tasks()).length, { timeout: 10_000 }).toBe(2);
    expect(playground.elsewhere).toEqual([]);
    await playground.close();
  });
});

describe("text that wants to be more", () => {
  const hostile = `"'><img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>`;

  it("stays text, in a prompt, in metadata and in an error", async () => {
    const tenant = await payingTenant(gateway);
    const metadata = { [`<b>${hostile}`.slice(0, 64)]: hostile };
    await submit(gateway, tenant.key, {
      prompt: `listed ${hostile}`,
      metadata,
      end_user: endUserOf(tenant.key),
    });
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await gallery(page)
      .getByRole("button", { name: /listed/ })
      .click();
    await card(page).getByText("Details").click();
    await card(page).getByText(hostile, { exact: true }).waitFor();
    await page.route("**/v1/images/generations", (route) => {
      const error = {
        code: "invalid_request",
        message: hostile,
        param: null,
        type: "",
        retryable: false,
        charged: "no",
      };
      return route.fulfill({ status: 400, json: { error, request_id: hostile } });
    });
    await playground.submit(hostile);
    await page.getByRole("alert").getByText(hostile).waitFor();
    expect(
      await page.evaluate(() => [
        (window as { hacked?: number }).hacked,
        document.querySelectorAll("main script, main b, img[src=x]").length,
      ]),
    ).toEqual([undefined, 0]);
    playground.expectQuiet();
    await playground.close();
  });
});
