/** A tenant's money reads as it moves, and its page and the lists read well to those who hear them. */
import { describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { makeKeyOf, makeTenant, openDashboard, part, soon } from "../helpers/node/dashboard-tenants-page.ts";
import { type CheckedPage, expectAccessible, expectNoSideScroll } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();

async function makeUsed(fields: object): Promise<string> {
  const id = await makeTenant(gateway, { name: "Used", ...fields });
  const key = await makeKeyOf(gateway, id);
  await submit(gateway, key, { prompt: "a lighthouse [sim:seconds=0]" });
  await gateway.tick();
  return id;
}

async function closeQuietly(opened: CheckedPage): Promise<void> {
  expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  await opened.close();
}

describe("the ledger", () => {
  it("says which way credits go, and that a reference counted already", async () => {
    const id = await makeUsed({ balance: 100 });
    const credit = { amount: 500, type: "topup", reference: "invoice-7" };
    await gateway.admin("POST", `/tenants/${id}/credits`, credit);
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const { page } = opened;
    const amounts = () =>
      part(page, "Ledger")
        .getByRole("row")
        .evaluateAll((rows) =>
          rows
            .slice(1)
            .map((row) => [...row.querySelectorAll("td")].slice(1, 3).map((cell) => cell.textContent)),
        );
    const moved = [
      ["topup", "+500"],
      ["charge", "−30"],
      ["hold", "30 held"],
      ["topup", "+100"],
    ];
    await expect.poll(amounts, soon).toEqual(moved);

    await page.getByRole("button", { name: "Top up" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Credits").fill("500");
    await dialog.getByLabel("Reference").fill("invoice-7");
    await dialog.getByRole("button", { name: "Give credits" }).click();
    await dialog.getByText("Already counted.").waitFor();
    await expectAccessible(page);
    await dialog.getByRole("button", { name: "Done" }).click();
    expect(await amounts()).toEqual(moved);
    await closeQuietly(opened);
  });

  it("of a metered tenant explains why its balance is below zero", async () => {
    const id = await makeUsed({});
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`, { colorScheme: "dark" });
    const { page } = opened;
    await part(page, "Ledger").getByRole("cell", { name: "−30", exact: true }).first().waitFor();
    await part(page, "Ledger").getByText("it goes below zero as it is used").waitFor();
    await part(page, "Credits").getByText("that much is used and not paid for").waitFor();
    await page.getByRole("button", { name: "Enter a payment" }).click();
    await page.getByRole("dialog").getByText("set against what it used").waitFor();
    await expectAccessible(page);
    await page.setViewportSize({ width: 360, height: 740 });
    await expectNoSideScroll(page);
    await closeQuietly(opened);
  });
});

describe("who hears the page", () => {
  it("finds each part under a name of its own, and a heading where nothing was found", async () => {
    const id = await makeUsed({ balance: 100 });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const { page } = opened;
    await part(page, "Table of keys").waitFor();
    await part(page, "Table of the ledger").waitFor();
    expect([await part(page, "Keys").count(), await part(page, "Ledger").count()]).toEqual([1, 1]);
    await page.goto(`${gateway.url}/admin#/tasks/task-unknown`);
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("heading", { level: 1 }).allTextContents()).toEqual(["task-unknown"]);
    await expectAccessible(page);
    await closeQuietly(opened);
  });
});

describe("an operator", () => {
  it("reads bytes in words, sees a filter that is none of the choices, and finds the other pages", async () => {
    const id = await makeTenant(gateway, { name: "Bytes" });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const { page } = opened;
    const bytes = part(page, "Limits").getByLabel("Bytes of uploads");
    await bytes.fill("1073741824");
    await part(page, "Limits").getByText("1,073,741,824 = 1 GiB").waitFor();
    await bytes.fill("2621440");
    await part(page, "Limits").getByText("2,621,440 = 2.5 MiB").waitFor();
    await page.goto(`${gateway.url}/admin#/tasks?model=zzz`);
    await expect.poll(() => page.getByLabel("Model").inputValue(), soon).toBe("zzz");
    const pages = page.getByRole("navigation", { name: "Pages" });
    expect(await pages.getByRole("link", { name: "API reference" }).getAttribute("href")).toBe("/docs");
    await pages.getByRole("link", { name: "Playground" }).click();
    await page.getByLabel("Your key").waitFor();
    await closeQuietly(opened);
  });
});
