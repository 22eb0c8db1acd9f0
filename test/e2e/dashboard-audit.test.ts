/** Reconciliation as the operator sees it: over all tenants, sound until a row is tampered with; and who changed what. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeNotifiedTenant, query } from "../helpers/node/notified-tenant.ts";
import type { CheckedPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { expectFitForAll, openSection } from "../helpers/node/signed-in.ts";

/** More than one call checks. */
const tenants = 53;
serveInBrowser();
let opened: CheckedPage;
let page: Page;
let task: string;

beforeAll(async () => {
  const acme = await makeNotifiedTenant(gateway, null, { id: "acme-audit", balance: 500 });
  task = await acme.start("a lighthouse [sim:seconds=0]");
  await gateway.tick();
  for (let made = 1; made < tenants; made++) {
    await gateway.admin("POST", "/tenants", { id: `t-${made}`, name: "<img src=x onerror=alert(1)>" });
  }
  opened = await openSection(browser, gateway, "/audit");
  page = opened.page;
});
afterAll(async () => {
  await opened.close();
});

describe("reconciliation", () => {
  it("checks all tenants, call by call, and finds that all agrees", async () => {
    await page.getByText("Everything agrees").waitFor();
    await page.getByText(`${tenants} tenants checked`).waitFor();
    await expectFitForAll(page);
  });

  it("finds what was tampered with, says what and whose it is, and leads there", async () => {
    // Old enough to be reconciled, and of a size that no stored picture has.
    await query(
      gateway,
      `UPDATE tasks SET id = 'task-00' || substr(id, 8), images = json_set(images, '$[0].stored.bytes', 1)
       WHERE id = '${task}'`,
    );
    const tampered = `task-00${task.slice(7)}`;
    await page.getByRole("button", { name: "Check again" }).click();
    await page.getByText("Something does not agree: 1 problem").waitFor();
    // The problem is no ledger's.
    expect(await page.getByText("ledger").count()).toBe(0);
    const row = page.getByRole("region", { name: "Problems" }).getByRole("row").last();
    await row.getByText("is completed, and one of its pictures is not stored").waitFor();
    await row.getByRole("link", { name: "acme-audit" }).waitFor();
    await page.getByText(`${tenants} tenants checked,`).waitFor();
    await expectFitForAll(page);
    await row.getByRole("link", { name: tampered }).click();
    await page.getByRole("heading", { level: 1, name: tampered }).waitFor();
    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("status", { name: "Verdict" }).getByText("Reconciliation found 1 problem").waitFor();
    await page.getByRole("link", { name: "See what is wrong" }).click();
    await page.getByText("Something does not agree: 1 problem").waitFor();
  });

  it("repairs what can be, when it is asked to and not before", async () => {
    await query(gateway, "UPDATE tenants SET config_version = 50, pushed_version = 50 WHERE id = 't-1'");
    for (let i = 0; i < 2; i++) {
      await page.getByRole("button", { name: "Check again" }).click();
      await page.getByText("Something does not agree: 2 problems").waitFor();
    }
    await page.getByRole("button", { name: "Repair now" }).click();
    await page.getByText("Something does not agree: 1 problem").waitFor();
    await page.getByText(`${tenants} tenants checked,`).waitFor();
  });

  it("shows who changed what, page by page, newest first, as text", async () => {
    const auditLog = page.getByRole("region", { name: "Who changed what" });
    const first = auditLog.getByRole("row").nth(1);
    await first.getByText("tenant.create").waitFor();
    await first.getByText("name: <img src=x onerror=alert(1)>").waitFor();
    await first.getByRole("link", { name: `t-${tenants - 1}`, exact: true }).waitFor();
    // What is read next is begun by the tenant made this many before.
    const turn = async (button: string, to: number, begin: number) => {
      await auditLog.getByRole("button", { name: button }).press("Enter");
      await auditLog.getByText(`Page ${to}`).waitFor();
      const name = `t-${tenants - 1 - begin}`;
      await auditLog.getByRole("row").nth(1).getByRole("link", { name, exact: true }).waitFor();
    };
    await turn("Older", 2, 25);
    await turn("Older", 3, 50);
    await auditLog.getByRole("row").filter({ hasText: "key.create" }).waitFor();
    await turn("Newer", 2, 25);
    expect(await page.locator("main img").count()).toBe(0);
  });

  it("has no complaints, and calls no other host", () => {
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  });
});
