/** What an operator sets a tenant to takes effect, what is wrong is said beside its field, and the read key changes nothing. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { allEvents } from "../helpers/contract.ts";
import { secrets, submit } from "../helpers/node/built-gateway.ts";
import { makeKeyOf, makeTenant, openDashboard, part, soon } from "../helpers/node/dashboard-tenants-page.ts";
import type { CheckedPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

const readKey = secrets.ADMIN_READ_KEY;
serveInBrowser();

async function closeQuietly(opened: CheckedPage): Promise<void> {
  expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  await opened.close();
}

async function tenantOf(id: string): Promise<Record<string, unknown>> {
  return (await (await gateway.admin("GET", `/tenants/${id}`)).json()) as Record<string, unknown>;
}

/** The webhook's secret, whose dialog is closed after. */
async function readSecret(page: Page): Promise<string> {
  const dialog = page.getByRole("dialog", { name: "Webhook secret" });
  const secret = await dialog.getByLabel("Secret", { exact: true }).inputValue();
  expect(secret).toMatch(/^whsec_/);
  await dialog.getByRole("button", { name: "Close" }).click();
  await dialog.waitFor({ state: "detached" });
  return secret;
}

describe("limits", () => {
  it("take effect, and bad ones are said beside their fields", async () => {
    const id = await makeTenant(gateway, { name: "Limited" });
    const key = await makeKeyOf(gateway, id);
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const limits = part(opened.page, "Limits");
    const save = limits.getByRole("button", { name: "Save limits" });
    expect(await limits.getByLabel("Images a minute").inputValue()).toBe("60");
    expect(await save.isDisabled()).toBe(true);

    await limits.getByLabel("Images a minute").fill("0");
    await limits.getByLabel("Images a day").fill("1.5");
    await save.click();
    const problemOf = async (label: string) => {
      const field = limits.getByLabel(label);
      await expect.poll(() => field.getAttribute("aria-invalid"), soon).toBe("true");
      const ids = (await field.getAttribute("aria-describedby")) ?? "";
      return limits.locator(`[id="${ids.split(" ")[0]}"]`).textContent();
    };
    expect(await problemOf("Images a minute")).toBe("Must be at least 1");
    expect(await problemOf("Images a day")).toBe("Must be an integer");

    await limits.getByLabel("Images a minute").fill("");
    await limits.getByLabel("Images a day").fill("");
    await limits.getByLabel("Tasks at a time").fill("1");
    await save.click();
    await limits.getByText("Saved.").waitFor();
    expect((await tenantOf(id)).limits).toMatchObject({
      requests_per_minute: 600,
      images_per_minute: null,
      images_per_day: null,
      concurrent_tasks: 1,
    });
    const slow = { prompt: "a lighthouse [sim:seconds=600]" };
    const answers = [await submit(gateway, key, slow), await submit(gateway, key, slow)];
    expect(answers.map(({ status }) => status)).toEqual([200, 429]);
    await closeQuietly(opened);
  });

  it("keep what another operator has changed meanwhile", async () => {
    const id = await makeTenant(gateway, { name: "Shared" });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const limits = part(opened.page, "Limits");
    await limits.getByLabel("Images a day").fill("500");
    await gateway.admin("PATCH", `/tenants/${id}`, { limits: { images_per_month: 9000 } });
    await limits.getByRole("button", { name: "Save limits" }).click();
    await expect.poll(() => limits.getByLabel("Images a month").inputValue(), soon).toBe("9000");
    expect((await tenantOf(id)).limits).toMatchObject({ images_per_day: 500, images_per_month: 9000 });
    await closeQuietly(opened);
  });
});

describe("settings", () => {
  it("are what the gateway has after they were saved", async () => {
    const id = await makeTenant(gateway, { name: "Before", balance: 100 });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const settings = part(opened.page, "Settings");
    await settings.getByLabel("Name").fill("After");
    await settings.getByLabel("Credits for wan-2.7-image", { exact: true }).fill("40");
    await settings.getByLabel("Low balance").fill("500");
    await settings.getByLabel("Days kept").fill("30");
    await settings.getByLabel("Keys at a time").fill("250");
    await settings.getByLabel("wan-2.7-image-pro", { exact: true }).uncheck();
    await settings.getByLabel("Turnstile secret").fill("0x4AAAAAAA-turnstile");
    await settings.getByRole("button", { name: "Save settings" }).click();
    await settings.getByText("Saved.").waitFor();
    await opened.page.getByRole("heading", { name: "After", level: 1 }).waitFor();
    expect(await tenantOf(id)).toMatchObject({
      name: "After",
      prices: { "wan-2.7-image": 40 },
      low_balance: 500,
      retention_days: 30,
      max_keys: 250,
      models: ["wan-2.7-image"],
      turnstile: true,
    });
    // What it is worth knowing now, at a glance.
    await opened.page.getByText("Credits are running out").waitFor();
    // A secret that was given is not to be had back.
    expect(await settings.getByLabel("Turnstile secret").inputValue()).toBe("");

    await settings.getByLabel("Days kept").fill("0");
    await settings.getByLabel("Keys at a time").fill("");
    await settings.getByLabel("wan-2.7-image", { exact: true }).uncheck();
    await settings.getByRole("button", { name: "Save settings" }).click();
    await settings.getByText("Must be at least 1 item").waitFor();
    await settings.getByText("Must be at least 1", { exact: true }).waitFor();
    await settings.getByText("Must be a number").waitFor();
    await closeQuietly(opened);
  });

  it("of the webhook: a bad URL is said beside it, a new secret is shown once", async () => {
    const id = await makeTenant(gateway, { name: "Notified" });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const webhook = part(opened.page, "Webhook");
    await webhook.getByLabel("URL").fill("ftp://shop.example");
    await webhook.getByRole("button", { name: "Save webhook" }).click();
    await expect.poll(() => webhook.getByLabel("URL").getAttribute("aria-invalid"), soon).toBe("true");
    await webhook.getByLabel("URL").fill("https://shop.example/hook");
    await webhook.getByLabel("balance.low").uncheck();
    await webhook.getByRole("button", { name: "Save webhook" }).click();
    // The first webhook makes a secret, as does asking for another.
    const first = await readSecret(opened.page);
    expect((await tenantOf(id)).webhook).toMatchObject({
      url: "https://shop.example/hook",
      events: allEvents.filter((event) => event !== "balance.low"),
      status: "on",
    });
    await webhook.getByRole("button", { name: "New secret" }).click();
    expect(await readSecret(opened.page)).not.toBe(first);
    await webhook.getByLabel("URL").fill("");
    await webhook.getByRole("button", { name: "Save webhook" }).click();
    await webhook.getByRole("button", { name: "New secret" }).waitFor({ state: "detached" });
    expect((await tenantOf(id)).webhook).toMatchObject({ url: null, status: "off" });
    await closeQuietly(opened);
  });
});

describe("a browser key", () => {
  it("asks for its origins, and is made with them", async () => {
    const id = await makeTenant(gateway, { name: "Shop" });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const dialog = opened.page.getByRole("dialog");
    await opened.page.getByRole("button", { name: "New key" }).click();
    await dialog.getByLabel("Name").fill("shop page");
    await dialog.getByLabel("Kind").selectOption("browser");
    await dialog.getByRole("button", { name: "Make the key" }).click();
    await dialog.getByText("Is required for a browser key", { exact: true }).waitFor();
    expect(await dialog.getByLabel("Allowed origins").getAttribute("aria-invalid")).toBe("true");
    await dialog.getByLabel("Allowed origins").fill("https://shop.example\nhttp://localhost:*\n");
    await dialog.getByText("Models, limits and expiry").click();
    await dialog.getByLabel("Images a day").fill("50");
    await dialog.getByLabel("Images of a token").fill("3");
    await dialog.getByLabel("Expires").fill("2099-01-31T12:00");
    await dialog.getByRole("button", { name: "Make the key" }).click();
    expect(await dialog.getByLabel("Key of shop page").inputValue()).toMatch(/^wbk_/);
    const list = (await (await gateway.admin("GET", `/tenants/${id}/keys`)).json()) as { data: object[] };
    expect(list.data).toMatchObject([
      {
        kind: "browser",
        allowed_origins: ["https://shop.example", "http://localhost:*"],
        limits: { images_per_day: 50, images_per_minute: 10 },
        token: { max_images: 3, ttl_seconds: 600 },
        expires_at: new Date("2099-01-31T12:00").getTime() / 1000,
      },
    ]);
    await closeQuietly(opened);
  });
});

describe("the read key", () => {
  it("shows all and changes nothing, in the gateway's words", async () => {
    const id = await makeTenant(gateway, { name: "Live", balance: 100 });
    await makeKeyOf(gateway, id);
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`, { key: readKey });
    const { page } = opened;
    const refused = (await (
      await fetch(`${gateway.url}/admin/api/tenants/${id}`, {
        method: "PATCH",
        headers: { authorization: `Bearer ${readKey}`, "content-type": "application/json" },
        body: "{}",
      })
    ).json()) as { error: { message: string } };
    const words = page.getByRole("alert").filter({ hasText: refused.error.message });

    await page.getByRole("button", { name: "Revoke production" }).click();
    await page.getByRole("button", { name: "Revoke it" }).click();
    await words.waitFor();
    await page.keyboard.press("Escape");
    await words.waitFor({ state: "detached" });
    await page.getByRole("button", { name: "Top up" }).click();
    await page.getByRole("textbox", { name: "Credits", exact: true }).fill("1000");
    await page.getByRole("button", { name: "Give credits" }).click();
    await words.waitFor();
    await page.keyboard.press("Escape");
    await part(page, "Limits").getByLabel("Images a day").fill("5");
    await part(page, "Limits").getByRole("button", { name: "Save limits" }).click();
    await words.waitFor();
    expect(await tenantOf(id)).toMatchObject({ balance: 100, limits: { images_per_day: null } });
    await closeQuietly(opened);
  });
});
