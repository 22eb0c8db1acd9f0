/** The admin key stays where it belongs, and what tenants are called stays text. */
import { describe, expect, it } from "vitest";
import { secrets, submit } from "../helpers/node/built-gateway.ts";
import {
  makeKeyOf,
  makeTenant,
  openDashboard,
  part,
  signIn,
} from "../helpers/node/dashboard-tenants-page.ts";
import { openPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();

const admin = secrets.ADMIN_API_KEY;

describe("the admin key", () => {
  it("that is wrong is said beside its field", async () => {
    const opened = await openPage(browser, `${gateway.url}/admin#/tenants`);
    const { page } = opened;
    await signIn(page, "not-the-admin-key-0123456789abcdef-0123");
    const field = page.getByLabel("Admin key");
    await page.getByRole("alert").getByText("This is not the admin key.").waitFor();
    expect(await field.getAttribute("aria-invalid")).toBe("true");
    expect(await page.evaluate(() => sessionStorage.length)).toBe(0);
    await signIn(page, admin);
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
    await opened.close();
  });

  it("is this tab's alone, survives a reload, and is gone after signing out", async () => {
    const id = await makeTenant(gateway, { name: "Acme" });
    const opened = await openPage(browser, `${gateway.url}/admin#/tenants`);
    const { page, context } = opened;
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url(), request.headers().referer ?? ""));
    page.on("framenavigated", (frame) => addresses.push(frame.url()));
    await signIn(page, admin);
    await page.getByRole("link", { name: "Acme" }).click();
    await page.getByRole("heading", { name: "Acme", level: 1 }).waitFor();
    await page.reload();
    await part(page, "Limits").waitFor();
    expect(new URL(page.url()).hash).toBe(`#/tenants/${id}`);

    const stores = () =>
      page.evaluate(async () => ({
        session: JSON.stringify({ ...sessionStorage }),
        others: JSON.stringify([{ ...localStorage }, document.cookie, await indexedDB.databases()]),
        caches: await caches.keys(),
      }));
    const kept = await stores();
    expect(kept.session).toContain(admin);
    expect([kept.others.includes(admin), kept.caches]).toEqual([false, []]);
    const other = await context.newPage();
    await other.goto(`${gateway.url}/admin#/tenants`);
    await other.getByLabel("Admin key").waitFor();

    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Admin key").waitFor();
    expect(JSON.stringify(await stores())).not.toContain(admin);
    expect(await page.content()).not.toContain("Acme");
    await page.reload();
    await page.getByLabel("Admin key").waitFor();
    expect(addresses.length).toBeGreaterThan(10);
    expect(addresses.filter((address) => address.includes(admin))).toEqual([]);
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
    await opened.close();
  });
});

describe("what others have written", () => {
  it("stays text, wherever it is shown", async () => {
    const evil = (what: string) =>
      `${what}<img src=x onerror="window.caught='${what}'"><script>caught=1</script>`;
    const id = await makeTenant(gateway, { name: evil("tenant"), balance: 100 });
    const key = await makeKeyOf(gateway, id, evil("key"));
    await gateway.admin("POST", `/tenants/${id}/credits`, {
      amount: 500,
      type: "topup",
      reference: evil("reference"),
      note: evil("note"),
    });
    await submit(gateway, key, { prompt: `${evil("prompt")} [sim:seconds=0]`, end_user: evil("user") });
    await gateway.tick();
    const opened = await openDashboard(browser, gateway, "/tenants");
    const { page } = opened;
    await page.getByRole("link", { name: evil("tenant") }).click();
    await page.getByRole("heading", { name: evil("tenant"), level: 1 }).waitFor();
    await part(page, "Keys").getByText(evil("key")).waitFor();
    await part(page, "Ledger").getByText(evil("reference")).waitFor();
    await part(page, "Ledger").getByText(evil("note")).waitFor();
    await part(page, "Recent pictures").getByRole("img", { name: "prompt<img src=x" }).waitFor();
    for (const name of ["Suspend", "Delete", "Rotate key", "Revoke key"]) {
      await page.getByRole("button", { name }).click();
      await page.getByRole("heading", { name: /<img src=x/, level: 2 }).waitFor();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    expect(await page.evaluate(() => (window as { caught?: unknown }).caught)).toBeUndefined();
    expect(await page.locator('img[src="x"]').count()).toBe(0);
    // The policy had nothing to stop: nothing attempted.
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
    await opened.close();
  });
});
