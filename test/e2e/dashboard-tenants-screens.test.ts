/** The tenants' screens as they are met: many of them, on a small screen, in the dark, by keyboard and by ear. */
import type { Page } from "playwright-core";
import { beforeAll, describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { makeKeyOf, makeTenant, openDashboard, part, soon } from "../helpers/node/dashboard-tenants-page.ts";
import {
  type CheckedPage,
  expectAccessible,
  expectNoSideScroll,
  expectReadable,
} from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();

async function closeQuietly(opened: CheckedPage): Promise<void> {
  expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  await opened.close();
}

/** One of whom there is something to see in every part of its page. */
async function makeBusyTenant(fields: object): Promise<string> {
  const id = await makeTenant(gateway, { balance: 1_000, low_balance: 5_000, ...fields });
  const key = await makeKeyOf(gateway, id);
  await gateway.admin("POST", `/tenants/${id}/keys`, {
    name: "shop page",
    kind: "browser",
    allowed_origins: ["https://a-shop-with-a-long-name.example"],
  });
  await submit(gateway, key, { prompt: "a lighthouse [sim:seconds=0]", n: 2 });
  await gateway.tick();
  return id;
}

describe("each screen", () => {
  let id: string;
  beforeAll(async () => {
    id = await makeBusyTenant({
      name: "A tenant whose name is longer than any small screen is wide".repeat(2),
    });
  });

  it.each([
    ["light", 1_280, expectAccessible],
    ["dark", 360, expectReadable],
  ] as const)("is accessible in %s at %i px, and not wider", async (colorScheme, width, expectFit) => {
    const opened = await openDashboard(browser, gateway, "/tenants", {
      colorScheme,
      viewport: { width, height: 900 },
    });
    const { page } = opened;
    const expectGood = async () => {
      await expectFit(page);
      await expectNoSideScroll(page);
    };
    await page.getByRole("row", { name: new RegExp(id) }).waitFor();
    await expectGood();
    await page.getByRole("button", { name: "New tenant" }).click();
    await page.getByText("Limits", { exact: true }).click();
    await expectGood();
    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: /^A tenant/ }).click();
    await part(page, "Ledger")
      .getByRole("row", { name: /charge/ })
      .waitFor();
    await part(page, "Keys")
      .getByRole("row", { name: /shop page/ })
      .waitFor();
    await part(page, "Recent pictures").getByRole("img").waitFor();
    await expectGood();
    for (const name of [
      "Suspend",
      "Delete",
      "Top up",
      "Meter it only",
      "Rotate production",
      "Revoke production",
    ]) {
      await page.getByRole("button", { name }).click();
      await page.getByRole("dialog").waitFor();
      await expectGood();
      await page.keyboard.press("Escape");
      await page.getByRole("dialog").waitFor({ state: "detached" });
    }
    await page.getByRole("button", { name: "New key" }).click();
    await page.getByRole("dialog").getByLabel("Name").fill("shop page");
    await page.getByLabel("Kind").selectOption("browser");
    await page.getByText("Models, limits and expiry").click();
    await page.getByRole("button", { name: "Make the key" }).click();
    await page.getByText("Is required for a browser key").waitFor();
    await expectGood();
    await closeQuietly(opened);
  });
});

describe("a key is made", () => {
  it("by keyboard alone", async () => {
    const id = await makeTenant(gateway, { name: "Typed" });
    const opened = await openDashboard(browser, gateway, `/tenants/${id}`);
    const { page } = opened;
    await page.getByRole("button", { name: "New key" }).waitFor();
    await tabTo(page, "New key");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "New key" }).waitFor();
    await tabTo(page, "Name");
    await page.keyboard.type("by hand");
    await tabTo(page, "manage");
    await page.keyboard.press("Space");
    await tabTo(page, "Make the key");
    await page.keyboard.press("Enter");
    // The new key is under the keyboard at once.
    await expect.poll(() => focused(page), soon).toBe("Key of by hand");
    await tabTo(page, "Copy");
    await tabTo(page, "Done");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await expect.poll(() => focused(page), soon).toBe("New key");
    await part(page, "Keys")
      .getByRole("row", { name: /by hand.*images/ })
      .waitFor();
    const list = (await (await gateway.admin("GET", `/tenants/${id}/keys`)).json()) as { data: object[] };
    expect(list.data).toMatchObject([{ name: "by hand", scopes: ["images"] }]);
    await closeQuietly(opened);
  });
});

/** What the keyboard is on, by the name that is read out. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const at = document.activeElement as HTMLInputElement | null;
    return (at?.labels?.[0]?.textContent || at?.ariaLabel || at?.textContent || "").trim();
  });
}

async function tabTo(page: Page, name: string): Promise<void> {
  const passed: string[] = [];
  while (passed.at(-1) !== name) {
    if (passed.length > 60)
      throw new Error(`the keyboard does not come to ${name}, only to ${passed.join(", ")}`);
    await page.keyboard.press("Tab");
    passed.push(await focused(page));
  }
}

describe("many tenants", () => {
  it("are gone through by pages, each with its own figures", async () => {
    const ids = Array.from({ length: 120 }, (_, index) => `many-${String(index).padStart(3, "0")}`);
    for (let from = 0; from < ids.length; from += 10) {
      await Promise.all(
        ids.slice(from, from + 10).map((id) => makeTenant(gateway, { id, name: `No ${id}` })),
      );
    }
    await makeBusyTenant({ id: "many-119-busy", name: "The busy one" });
    const opened = await openDashboard(browser, gateway, "/tenants");
    const { page } = opened;
    const shownIds = () => page.getByRole("rowheader").locator("code").allTextContents();
    const { DB } = await gateway.bindings();
    const all = (await DB.prepare("SELECT id FROM tenants ORDER BY id").all()).results.map(({ id }) => id);
    expect(all.length).toBeGreaterThan(120);
    const pages = Math.ceil(all.length / 50);
    const [back, on] = [/Back$/, /^On/].map((name) => page.getByRole("button", { name }));
    const expectPage = async (number: number) => {
      await page.getByText(`Page ${number}`).waitFor();
      await expect.poll(shownIds, soon).toEqual(all.slice((number - 1) * 50, number * 50));
    };
    await expectPage(1);
    // Impatience, while the second page is on its way, does not skip it.
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    await page.route(/\/tenants\?.*cursor=/, async (route) => {
      await held;
      await route.continue();
    });
    await on?.click();
    await page.getByText("Page 2").waitFor();
    await on?.click();
    release();
    for (let number = 2; number < pages; number += 1) {
      await expectPage(number);
      await on?.click();
    }
    await expectPage(pages);
    expect(await on?.isDisabled()).toBe(true);
    const busy = page.getByRole("row", { name: /many-119-busy/ });
    await busy.getByText("low balance").waitFor();
    await expect
      .poll(() => busy.getByRole("cell").allTextContents(), soon)
      .toEqual(["activelow balance", "940", "940", "0", "2", "60"]);
    await back?.click();
    await expectPage(pages - 1);

    await page.getByRole("searchbox", { name: "Go to the tenant with this id" }).fill("many-007");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No many-007", level: 1 }).waitFor();
    await page.goBack();
    await page.getByRole("searchbox").fill("no-such");
    await page.keyboard.press("Enter");
    await page.getByText("There is no such tenant.").waitFor();
    await closeQuietly(opened);
  });
});
