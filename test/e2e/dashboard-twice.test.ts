/** What is clicked twice happens once, however fast the second click is. */
import type { Locator, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { makeKeyOf, makeTenant, openDashboard, part, soon } from "../helpers/node/dashboard-tenants-page.ts";
import type { CheckedPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();
let opened: CheckedPage;
let page: Page;
/** Calls that change something, as `POST /tenants`. */
let changes: string[];
beforeAll(async () => {
  opened = await openDashboard(browser, gateway, "/tenants");
  page = opened.page;
  page.on("request", (request) => {
    if (request.method() !== "GET") changes.push(`${request.method()} ${new URL(request.url()).pathname}`);
  });
});
beforeEach(() => {
  changes = [];
});
afterAll(async () => {
  expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
});

const dialog = () => page.getByRole("dialog");
/** Three times within one turn of the page's own loop, so that nothing can be drawn in between. */
const clickFast = (button: Locator) =>
  button.evaluate((element: HTMLButtonElement) => {
    for (let times = 0; times < 3; times += 1) {
      if (element.form) element.form.requestSubmit();
      else element.click();
    }
  });

async function listed(path: string): Promise<unknown[]> {
  return ((await (await gateway.admin("GET", path)).json()) as { data: unknown[] }).data;
}

describe("a second click", () => {
  it("makes no second tenant", async () => {
    await page.getByRole("button", { name: "New tenant" }).click();
    await dialog().getByLabel("Name").fill("Once");
    await clickFast(dialog().getByRole("button", { name: "Make the tenant" }));
    await dialog().getByLabel("Webhook secret").waitFor();
    expect(await listed("/tenants")).toHaveLength(1);
    await dialog().getByRole("button", { name: "Go to its page" }).click();
    await page.getByRole("heading", { name: "Once", level: 1 }).waitFor();
  });

  it("makes no second key, which would be one that was never shown", async () => {
    const id = await makeTenant(gateway, { name: "Keys", balance: 500 });
    await page.goto(`${gateway.url}/admin#/tenants/${id}`);
    await page.getByRole("button", { name: "New key" }).click();
    await dialog().getByLabel("Name").fill("production");
    await dialog().getByRole("button", { name: "Make the key" }).dblclick();
    await dialog().getByLabel("Key of production").waitFor();
    await dialog().getByRole("button", { name: "Done" }).click();
    expect(await listed(`/tenants/${id}/keys`)).toHaveLength(1);

    await page.getByRole("button", { name: "Rotate production" }).click();
    await clickFast(dialog().getByRole("button", { name: "Make the new key" }));
    await dialog().getByLabel("New key").waitFor();
    await dialog().getByRole("button", { name: "Done" }).click();
    expect(await listed(`/tenants/${id}/keys`)).toHaveLength(2);
    await page
      .getByRole("button", { name: /^Revoke/ })
      .first()
      .click();
    await clickFast(dialog().getByRole("button", { name: "Revoke it" }));
    await dialog().waitFor({ state: "detached" });
    expect(changes).toEqual([
      `POST /admin/api/tenants/${id}/keys`,
      expect.stringMatching(/\/rotate$/),
      expect.stringMatching(/^DELETE .*\/keys\//),
    ]);
  });

  it("gives no credits, suspends no tenant and fails no task again", async () => {
    const id = await makeTenant(gateway, { name: "Money", balance: 500 });
    const key = await makeKeyOf(gateway, id);
    const task = (await (await submit(gateway, key, { prompt: "slow [sim:seconds=900]" })).json()) as {
      id: string;
    };
    await page.goto(`${gateway.url}/admin#/tenants/${id}`);
    await page.getByRole("button", { name: "Top up" }).click();
    await dialog().getByLabel("Credits").fill("70");
    await clickFast(dialog().getByRole("button", { name: "Give credits" }));
    await dialog().waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Suspend" }).click();
    await clickFast(dialog().getByRole("button", { name: "Suspend it" }));
    await dialog().waitFor({ state: "detached" });
    await part(page, "Limits").getByLabel("Images a day").fill("9");
    await clickFast(part(page, "Limits").getByRole("button", { name: "Save limits" }));
    await part(page, "Limits").getByText("Saved.").waitFor();
    await page.goto(`${gateway.url}/admin#/tasks/${task.id}`);
    await clickFast(page.getByRole("button", { name: "Refresh" }));
    await page.getByText("Polled just now").waitFor();
    await page.getByRole("button", { name: "Fail…" }).click();
    await clickFast(dialog().getByRole("button", { name: "Fail the task" }));
    await dialog().waitFor({ state: "detached" });
    expect(changes.map((change) => change.replace(`/admin/api`, ""))).toEqual([
      `POST /tenants/${id}/credits`,
      `PATCH /tenants/${id}`,
      `PATCH /tenants/${id}`,
      `POST /tasks/${task.id}/refresh`,
      `POST /tasks/${task.id}/fail`,
    ]);
  });

  it("is heard again once the first has been refused", async () => {
    await page.goto(`${gateway.url}/admin#/tenants`);
    await page.getByRole("button", { name: "New tenant" }).click();
    const make = dialog().getByRole("button", { name: "Make the tenant" });
    await clickFast(make);
    await expect.poll(() => dialog().getByLabel("Name").getAttribute("aria-invalid"), soon).toBe("true");
    await dialog().getByLabel("Name").fill("Twice asked");
    await make.click();
    await dialog().getByLabel("Webhook secret").waitFor();
    expect(changes).toEqual(["POST /admin/api/tenants", "POST /admin/api/tenants"]);
  });
});
