/** The kinds of keys, how one ends, and the way through the page without a mouse. */
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import {
  card,
  gallery,
  keyField,
  openPlayground,
  promptField,
  sendButton,
  widths,
} from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

serveInBrowser();

async function browserKey(): Promise<string> {
  const { id } = await payingTenant(gateway);
  const wanted = { name: "page", kind: "browser", allowed_origins: [gateway.url] };
  const made = await gateway.admin("POST", `/tenants/${id}/keys`, wanted);
  return ((await made.json()) as { key: string }).key;
}

describe("the playground's key", () => {
  it("may be a browser key: its tasks are remembered by the tab, and nothing is uploaded", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await browserKey());
    await page.getByText("This key cannot upload").waitFor();
    expect(await page.getByRole("button", { name: "Choose files" }).count()).toBe(0);
    await playground.submit("a lighthouse for all [sim:seconds=0]");
    await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 20_000 }).toEqual([1_024]));
    await page.reload();
    await gallery(page)
      .getByRole("button", { name: /a lighthouse for all/ })
      .click();
    await expect.poll(() => widths(page), { timeout: 10_000 }).toEqual([1_024]);
    playground.expectQuiet();
    await playground.close();
  });

  it("may be a client token without an end user", async () => {
    const { key } = await payingTenant(gateway);
    const minted = await fetch(`${gateway.url}/v1/client-tokens`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ allowed_origins: [gateway.url] }),
    });
    const { token } = (await minted.json()) as { token: string };
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(token);
    await playground.submit("a lighthouse for a visitor [sim:seconds=0]");
    await gallery(page)
      .getByRole("button", { name: /a lighthouse for a visitor/ })
      .waitFor();
    await page.getByRole("button", { name: "Use another key" }).click();
    await keyField(page).waitFor();
    // What was typed is kept, and nothing else.
    expect(await page.evaluate(() => Object.keys(sessionStorage))).toEqual(["wan-gateway playground draft"]);
    playground.expectQuiet();
    await playground.close();
  });

  it("is asked for again when its hour is over, and what was typed is still there", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await page.clock.install();
    await playground.enterKey(await gateway.makeKey());
    await promptField(page).fill("half a sentence");
    await page.clock.fastForward("01:00:01");
    await page.getByText("its time is over").waitFor();
    // What was typed is kept, and nothing else.
    expect(await page.evaluate(() => Object.keys(sessionStorage))).toEqual(["wan-gateway playground draft"]);
    await playground.enterKey(await gateway.makeKey());
    expect(await promptField(page).inputValue()).toBe("half a sentence");
    playground.expectQuiet();
    await playground.close();
  });

  it("is asked for again when it was revoked", async () => {
    const { id, key } = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(key);
    await promptField(page).fill("a whole sentence");
    // Nothing more is asked of the gateway until the button is pressed.
    await page.getByText("1 image, 30 credits").waitFor();
    const revoked = await gateway.admin("DELETE", `/tenants/${id}/keys/key-${key.split("_")[2]}`);
    expect(revoked.status).toBe(204);
    await sendButton(page).click();
    await page.getByText("it was revoked").waitFor();
    await playground.enterKey(await gateway.makeKey());
    expect(await promptField(page).inputValue()).toBe("a whole sentence");
    playground.expectQuiet();
    await playground.close();
  });
});

describe("the keyboard alone", () => {
  /** Presses Tab until the control with this role and name has the focus. */
  async function tabTo(page: Page, name: RegExp): Promise<void> {
    for (let presses = 0; presses < 40; presses += 1) {
      const focused = await page.evaluate(() => {
        const at = document.activeElement as HTMLInputElement | null;
        return at?.ariaLabel ?? at?.labels?.[0]?.textContent ?? at?.textContent ?? "";
      });
      if (name.test(focused)) return;
      await page.keyboard.press("Tab");
    }
    throw new Error(`no way to ${name}`);
  }

  it("leads from the key to a task", async () => {
    const { key, tasks } = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await keyField(page).waitFor();
    await tabTo(page, /^Your key/);
    await page.keyboard.type(key);
    await page.keyboard.press("Enter");
    await promptField(page).waitFor();
    await page.getByText("wan-2.7-image-pro").first().waitFor();
    await tabTo(page, /^Prompt$/);
    await page.keyboard.type("a lighthouse by hand");
    await tabTo(page, /^wan-2\.7-image/);
    await page.keyboard.press("ArrowRight");
    await tabTo(page, /^Auto/);
    await page.keyboard.press("ArrowRight");
    await tabTo(page, /^One image more/);
    await page.keyboard.press("Space");
    await tabTo(page, /^More options/);
    await page.keyboard.press("Enter");
    await tabTo(page, /^Draw one/);
    await page.keyboard.press("Enter");
    await tabTo(page, /^Make it/);
    await page.keyboard.press("Enter");
    await card(page).waitFor();
    // Lists follow the task by a moment.
    await expect.poll(tasks, { timeout: 10_000 }).toMatchObject([
      {
        model: "wan-2.7-image-pro",
        input: { prompt: "a lighthouse by hand", size: "square", n: 2, seed: expect.any(Number) },
      },
    ]);
    await tabTo(page, /^curl/);
    await page.keyboard.press("ArrowRight");
    await page.getByRole("tab", { name: "TypeScript", selected: true }).waitFor();
    playground.expectQuiet();
    await playground.close();
  });
});
