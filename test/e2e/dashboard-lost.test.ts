/** When the gateway cannot be reached any more, nothing that was read before passes for what is. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { makeNotifiedTenant } from "../helpers/node/notified-tenant.ts";
import { type CheckedPage, whilePassing } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { expectFitForAll, openSection } from "../helpers/node/signed-in.ts";

serveInBrowser();
beforeAll(async () => {
  const tenant = await makeNotifiedTenant(gateway, null, { id: "acme-lost", balance: 5_000 });
  await tenant.start("a slow one [sim:seconds=900]");
});

const calls = /\/(admin\/api|readyz)/;
/** From here on no call arrives. @returns how many were attempted. */
async function cutOff(page: Page): Promise<() => number> {
  let attempted = 0;
  await page.route(calls, (route) => {
    attempted += 1;
    return route.abort();
  });
  return () => attempted;
}

/** The failed calls are these tests' own. */
async function closeQuietly(opened: CheckedPage): Promise<void> {
  const complaints = opened.complaints.filter((text) => !text.includes("net::ERR_FAILED"));
  expect([complaints, opened.elsewhere]).toEqual([[], []]);
  await opened.close();
}

describe("a gateway that cannot be reached any more", () => {
  it("is not called well: its figures are said to be old, until it is back", async () => {
    const opened = await openSection(browser, gateway, "/overview", { ownClock: true });
    const { page } = opened;
    const verdict = page.getByRole("status", { name: "Verdict" });
    await verdict.getByText("All is well").waitFor();
    await cutOff(page);
    await whilePassing(page, verdict.getByText("Not known").waitFor());
    const since = /^Not reached since \d\d:\d\d:\d\d; the figures are of then\./;
    await whilePassing(page, page.getByRole("alert").getByText(since).waitFor());
    expect(await verdict.getByText("All is well").count()).toBe(0);
    await whilePassing(page, page.getByRole("region", { name: "Readiness" }).getByText("unknown").waitFor());
    await expectFitForAll(page);
    await page.unroute(calls);
    await whilePassing(page, verdict.getByText("All is well").waitFor());
    await whilePassing(page, page.getByRole("alert").waitFor({ state: "detached" }));
    await closeQuietly(opened);
  });

  it("leaves a list on the screen, and says so steadily", async () => {
    const opened = await openSection(browser, gateway, "/tasks", { ownClock: true });
    const { page } = opened;
    await page.getByRole("row").nth(1).waitFor();
    const attempted = await cutOff(page);
    const lost = page.getByRole("alert").filter({ hasText: "The gateway cannot be reached" }).first();
    await whilePassing(page, lost.waitFor());
    await lost.evaluate((alert) => {
      const seen = window as { flickers?: number };
      seen.flickers = 0;
      new MutationObserver(() => {
        if (!alert.isConnected) seen.flickers = 1;
      }).observe(document.body, { childList: true, subtree: true });
    });
    const before = attempted();
    await whilePassing(page, expect.poll(attempted, { timeout: 40_000 }).toBeGreaterThan(before + 3));
    expect(await page.evaluate(() => (window as { flickers?: number }).flickers)).toBe(0);
    expect(await page.getByRole("row").count()).toBeGreaterThan(1);
    await closeQuietly(opened);
  });

  it("is said of what was never read as well, and does not come and go", async () => {
    const opened = await openSection(browser, gateway, "/overview", { ownClock: true });
    const { page } = opened;
    const attempted = await cutOff(page);
    await page.getByRole("link", { name: "Tasks", exact: true }).click();
    const lost = page.getByRole("alert").filter({ hasText: "The gateway cannot be reached" });
    await whilePassing(page, lost.waitFor());
    await page.evaluate(() => {
      const seen = window as { missing?: number };
      seen.missing = 0;
      new MutationObserver(() => {
        if (!document.querySelector('[role="alert"]')) seen.missing = 1;
      }).observe(document.body, { childList: true, subtree: true });
    });
    const before = attempted();
    await whilePassing(page, expect.poll(attempted, { timeout: 30_000 }).toBeGreaterThan(before + 3));
    expect(await page.evaluate(() => (window as { missing?: number }).missing)).toBe(0);
    await closeQuietly(opened);
  });
});
