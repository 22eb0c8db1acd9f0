/** The delivery log in the dashboard: what did not arrive is found, sent again, and seen to arrive. */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secrets } from "../helpers/node/built-gateway.ts";
import { type Receiver, startReceiver } from "../helpers/node/http-receiver.ts";
import { makeNotifiedTenant } from "../helpers/node/notified-tenant.ts";
import type { CheckedPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { expectFitForAll, openSection } from "../helpers/node/signed-in.ts";

const readKey = secrets.ADMIN_READ_KEY;
serveInBrowser();
let receiver: Receiver;
let opened: CheckedPage;
let page: Page;
const tasks = { shop: "", studio: "" };

beforeAll(async () => {
  receiver = await startReceiver();
  receiver.answer("/studio", { status: 503 });
  for (const name of ["shop", "studio"] as const) {
    const tenant = await makeNotifiedTenant(gateway, `${receiver.url}/${name}`, { id: name, balance: 500 });
    const id = await tenant.start("a lighthouse [sim:seconds=0]");
    tasks[name] = id;
    await gateway.tick();
    await receiver.hasReceived(`/${name}`, 1);
    await tenant.log(id);
  }
  opened = await openSection(browser, gateway, "/webhooks");
  page = opened.page;
});
afterAll(async () => {
  await opened.close();
  await receiver.close();
});

const rows = () => page.getByRole("region", { name: "Table of deliveries" }).locator("tbody tr");
const rowOf = (tenant: string) => rows().filter({ hasText: tenant });

describe("the delivery log", () => {
  it("shows each delivery's target, attempts and answer, and the time of the next attempt", async () => {
    const arrived = rowOf("shop");
    for (const text of ["task.completed", "delivered", "webhook", "1 attempt, answered 204"]) {
      await arrived.getByText(text).first().waitFor();
    }
    const waiting = rowOf("studio");
    for (const text of ["pending", "answered 503", "last attempt", "next attempt"]) {
      await waiting.getByText(text).first().waitFor();
    }
    await waiting.getByRole("link", { name: tasks.studio }).waitFor();
    await expectFitForAll(page);
  });

  it("is narrowed by status, tenant and task", async () => {
    const only = async (tenant: string) => {
      await expect.poll(() => rows().count(), { timeout: 10_000 }).toBe(1);
      await rowOf(tenant).waitFor();
    };
    await page.getByLabel("Status").selectOption("delivered");
    await only("shop");
    await page.getByLabel("Status").selectOption("failed");
    await page.getByText("No delivery is like that.").waitFor();
    await page.getByRole("button", { name: "Clear" }).press("Enter");
    await page.getByLabel("Tenant").fill("studio");
    await page.keyboard.press("Enter");
    await only("studio");
    await page.getByRole("button", { name: "Clear" }).press("Enter");
    await page.getByLabel("Task").fill(tasks.shop);
    await page.keyboard.press("Enter");
    await only("shop");
    await page.getByRole("button", { name: "Clear" }).press("Enter");
    await expect.poll(() => rows().count(), { timeout: 10_000 }).toBe(2);
  });

  it("sends again what did not arrive, until it does", async () => {
    const row = rowOf("studio");
    const again = row.getByRole("button", { name: "Send again" });
    // Cron does not run here: nothing but what is asked for is sent.
    await again.press("Enter");
    await row.getByText("Asked for: it is sent at once.").waitFor();
    await receiver.hasReceived("/studio", 2);
    await row.getByText("pending").waitFor();
    receiver.answer("/studio", { status: 204 });
    await again.press("Enter");
    await receiver.hasReceived("/studio", 3);
    await row.getByText("1 attempt, answered 204").waitFor();
    await row.getByText("delivered").waitFor();
  });

  it("sends nothing with the key that only reads, which the page says", async () => {
    const reader = await openSection(browser, gateway, "/webhooks", {}, readKey);
    const before = receiver.all().length;
    const row = reader.page.getByRole("row").filter({ hasText: "shop" });
    await row.getByRole("button", { name: "Send again" }).click();
    await row.getByText("This admin key only reads.").waitFor();
    expect(receiver.all()).toHaveLength(before);
    expect([reader.complaints, reader.elsewhere]).toEqual([[], []]);
    await reader.close();
  });

  it("has no complaints, and calls no other host", () => {
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  });
});
