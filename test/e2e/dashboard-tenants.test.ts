/** An operator's day with one tenant, in a real browser: from making it to ending its key, and what each step does. */
import { readFile } from "node:fs/promises";
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { openDashboard, part, soon } from "../helpers/node/dashboard-tenants-page.ts";
import { type CheckedPage, expectAccessible } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();
let opened: CheckedPage;
let page: Page;
beforeAll(async () => {
  opened = await openDashboard(browser, gateway, "/tenants", {
    permissions: ["clipboard-read", "clipboard-write"],
  });
  page = opened.page;
});

const dialog = () => page.getByRole("dialog");
const picture = { prompt: "a lighthouse at dusk [sim:seconds=0]", size: "square" };

async function answerTo(key: string): Promise<[status: number, code?: string]> {
  const response = await submit(gateway, key, picture);
  const body = (await response.json()) as { error?: { code: string } | null };
  return body.error ? [response.status, body.error.code] : [response.status];
}

// One test after another, as one operator's day: each begins where the one before has ended.
describe("an operator's day", () => {
  let key: string;

  it("makes a tenant, sees what is wrong with its id, sees the webhook's secret once", async () => {
    await page.getByRole("button", { name: "New tenant" }).click();
    await dialog().getByLabel("Name").fill("Acme Prints");
    await dialog().getByLabel("Id").fill("A!");
    await dialog().getByLabel("Balance").fill("many");
    await dialog().getByRole("button", { name: "Make the tenant" }).click();
    const id = dialog().getByLabel("Id");
    await dialog().getByText("Must be 3 to 32 of a-z, 0-9 and -").waitFor();
    await dialog().getByText("Must be a number").waitFor();
    expect(await id.getAttribute("aria-invalid")).toBe("true");
    // The keyboard is where the first mistake is.
    await expect.poll(() => id.evaluate((field) => field === document.activeElement), soon).toBe(true);

    await id.fill("acme-tenants");
    await dialog().getByLabel("Balance").fill("100");
    await dialog().getByRole("button", { name: "Make the tenant" }).click();
    await expect.poll(() => dialog().getByLabel("Webhook secret").inputValue(), soon).toMatch(/^whsec_/);
    await expectAccessible(page);
    await dialog().getByRole("button", { name: "Go to its page" }).click();
    await page.getByRole("heading", { name: "Acme Prints", level: 1 }).waitFor();
    expect(new URL(page.url()).hash).toBe("#/tenants/acme-tenants");
    expect(await page.content()).not.toContain("whsec_");
  });

  it("makes a key, which is shown and copied once, and gone after that", async () => {
    await part(page, "Keys").getByText("It has no key yet").waitFor();
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").fill("production");
    await dialog().getByRole("button", { name: "Make the key" }).click();
    const shown = dialog().getByLabel("Key of production");
    key = await shown.inputValue();
    expect(key).toMatch(/^wsk_acme-tenants_/);
    await dialog().getByText("It is shown this once.").waitFor();
    await dialog().getByRole("button", { name: "Copy" }).click();
    await dialog().getByText("Copied").waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(key);
    await dialog().getByRole("button", { name: "Done" }).click();

    const fields = () => page.evaluate(() => [...document.querySelectorAll("input")].map((i) => i.value));
    await part(page, "Keys")
      .getByRole("row", { name: /production/ })
      .getByText("active")
      .waitFor();
    expect([await page.content(), ...(await fields())].join()).not.toContain(key);
    await page.reload();
    await part(page, "Keys")
      .getByRole("row", { name: /production/ })
      .waitFor();
    expect([await page.content(), ...(await fields())].join()).not.toContain(key);
    const kept = await page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
    expect(kept).not.toContain(key);
  });

  it("tops up: a bad amount is said beside it, and sent twice it counts once", async () => {
    await page.getByRole("button", { name: "Top up" }).click();
    const give = dialog().getByRole("button", { name: "Give credits" });
    await dialog().getByLabel("Credits").fill("-5");
    await give.click();
    await dialog()
      .getByText("Must be at least 1; an adjustment may also be negative, and none is 0")
      .waitFor();
    const reference = await dialog().getByLabel("Reference").inputValue();
    expect(reference).toMatch(/^credit-\d{4}-\d\d-\d\d-[0-9a-f]{16}$/);
    await dialog().getByLabel("Credits").fill("5000");
    await dialog().getByLabel("Note").fill("paid by bank");
    // Two clicks before the page hears of the first.
    await give.evaluate((button: HTMLButtonElement) => {
      button.click();
      button.form?.requestSubmit();
    });
    await dialog().waitFor({ state: "detached" });
    const credits = part(page, "Credits");
    await credits.getByText("5,100").first().waitFor();
    expect(await credits.getByRole("definition").allTextContents()).toEqual(["5,100", "− 0", "5,100"]);
    const lines = part(page, "Ledger").getByRole("row", { name: /paid by bank/ });
    expect(await lines.count()).toBe(1);
    expect(await lines.textContent()).toContain(reference);
  });

  it("sees what the key makes: credits, ledger, usage, the picture", async () => {
    expect(await answerTo(key)).toEqual([200]);
    await gateway.tick();
    await page.reload();
    const credits = part(page, "Credits");
    await expect
      .poll(() => credits.getByRole("definition").allTextContents(), soon)
      .toEqual(["5,070", "− 0", "5,070"]);
    const charge = part(page, "Ledger").getByRole("row", { name: /charge/ });
    const task = await charge.getByRole("link").getAttribute("href");
    expect(task).toMatch(/^#\/tasks\/task-/);

    const image = part(page, "Recent pictures").getByRole("img", { name: picture.prompt });
    await image.scrollIntoViewIfNeeded();
    await expect.poll(() => image.evaluate((shown: HTMLImageElement) => shown.naturalWidth), soon).toBe(512);
    const link = part(page, "Recent pictures").getByRole("link", { name: picture.prompt });
    expect(task).toBe(`${await link.getAttribute("href")}?tenant=acme-tenants`);

    const usage = part(page, "Usage, 30 days");
    await usage.getByText("As a table").first().click();
    await usage.getByText("As a table").last().click();
    const cells = (name: string, value: string) =>
      usage.getByRole("region", { name }).getByRole("cell", { name: value, exact: true });
    await cells("Images by day", "1").waitFor();
    await cells("Credits by day", "30").waitFor();
  });

  it("saves ledger and usage as files, with the key in no address", async () => {
    const asked: string[] = [];
    page.on("request", (request) => asked.push(request.url()));
    const save = async (of: string) => {
      const [download] = await Promise.all([
        page.waitForEvent("download"),
        part(page, of).getByRole("button", { name: "Download CSV" }).click(),
      ]);
      return [download.suggestedFilename(), await readFile(await download.path(), "utf8")];
    };
    const [ledgerName, ledger] = await save("Ledger");
    expect(ledgerName).toBe("ledger-acme-tenants.csv");
    expect(ledger).toMatch(/^\ufeffat,at_utc,type,amount,task,reference,note,balance,held\r\n/);
    expect(ledger).toContain("paid by bank");
    const [usageName, usage] = await save("Usage, 30 days");
    expect(usageName).toMatch(/^usage-acme-tenants-from-\d{4}-\d\d-\d\d\.csv$/);
    expect(usage).toMatch(/\d{4}-\d\d-\d\d,wan-2\.7-image,1,1,30/);
    expect(asked.some((url) => url.includes("format=csv"))).toBe(true);
    expect(asked.filter((url) => url.includes("admin-e2e"))).toEqual([]);
  });

  it("suspends it, so that its key is refused, and activates it again", async () => {
    await page.getByRole("button", { name: "Suspend" }).click();
    await dialog().getByText("refused with 403").waitFor();
    expect(await answerTo(key)).toEqual([200]);
    await dialog().getByRole("button", { name: "Suspend it" }).click();
    await page.getByText("Suspended: every request of its keys and tokens is refused.").waitFor();
    expect(await answerTo(key)).toEqual([403, "tenant_suspended"]);
    await page.getByRole("button", { name: "Activate" }).click();
    await dialog().getByRole("button", { name: "Activate it" }).click();
    await page.getByText("Suspended: every request").waitFor({ state: "detached" });
    expect(await answerTo(key)).toEqual([200]);
  });

  it("rotates the key, revokes the new one", async () => {
    await page.getByRole("button", { name: "Rotate production" }).click();
    await dialog().getByLabel("Overlap in seconds").fill("0");
    await dialog().getByRole("button", { name: "Make the new key" }).click();
    const next = await dialog().getByLabel("New key").inputValue();
    await dialog().getByRole("button", { name: "Done" }).click();
    expect([await answerTo(key), await answerTo(next)]).toEqual([[401, "invalid_key"], [200]]);
    await page.getByRole("button", { name: "Revoke production" }).click();
    await dialog().getByRole("button", { name: "Revoke it" }).click();
    await part(page, "Keys").getByText("revoked").waitFor();
    expect(await answerTo(next)).toEqual([401, "invalid_key"]);
    await expect.poll(() => page.getByRole("button", { name: /^Re(vok|tat)e/ }).count(), soon).toBe(0);
  });

  it("deletes it, once nothing runs and the id is typed", async () => {
    await page.getByRole("button", { name: "Delete" }).click();
    const end = dialog().getByRole("button", { name: "Delete it for good" });
    expect(await end.isDisabled()).toBe(true);
    await dialog().getByLabel("Type acme-tenants to go on").fill("acme-tenants");
    await end.click();
    await dialog().getByText("Tasks of this tenant still run.").waitFor();
    await gateway.tick();
    await end.click();
    await page.getByText("There is no tenant yet.").waitFor();
    expect((await gateway.admin("GET", "/tenants/acme-tenants")).status).toBe(410);
    await page.goto(`${gateway.url}/admin#/tenants/acme-tenants`);
    await page.getByText("This tenant was deleted.").waitFor();
  });

  it("has no complaints, and calls no other host", () => {
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  });
});
