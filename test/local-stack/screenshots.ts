/**
 * `npm run screenshots`: the main screens of both pages, wide and narrow, light and dark, with something on them, in
 * `.wrangler/screenshots`. They are for the eye; two of them are in README.md and docs/operations.md.
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Page } from "playwright-core";
import { idBound } from "../../src/domain/ids.ts";
import { startBrowser } from "../helpers/node/browser.ts";
import { secrets, startOwnGateway, submit } from "../helpers/node/built-gateway.ts";

const folder = fileURLToPath(new URL("../../.wrangler/screenshots", import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const gateway = await startOwnGateway();
const browser = await startBrowser();
const tenants = ["acme", "brightly", "cartographers"];

async function makeKey(tenant: string): Promise<string> {
  const made = await gateway.admin("POST", `/tenants/${tenant}/keys`, { name: "production", kind: "secret" });
  return ((await made.json()) as { key: string }).key;
}

/** A business of an hour: three tenants, pictures, a failure, and something still under way. */
async function makeBusiness(): Promise<string> {
  const keys: string[] = [];
  for (const [index, id] of tenants.entries()) {
    const name = `${id[0]?.toUpperCase()}${id.slice(1)} Inc.`;
    await gateway.admin("POST", "/tenants", { id, name, balance: 3_000 + 1_500 * index, low_balance: 500 });
    keys.push(await makeKey(id));
  }
  for (const [index, key] of keys.entries()) {
    for (const place of ["at dusk", "in fog", "in the snow"].slice(index)) {
      const prompt = `a lighthouse ${place}, seen from the sea [sim:seconds=0]`;
      await submit(gateway, key, { prompt, size: "landscape_4_3", n: 1 + (index % 2), seed: index });
    }
  }
  await submit(gateway, keys[1] ?? "", { prompt: "a lighthouse [sim:seconds=0] [sim:fail]" });
  for (let tick = 0; tick < 3; tick++) await gateway.tick();
  await makeHistory();
  await submit(gateway, keys[0] ?? "", { prompt: "a lighthouse by moonlight [sim:seconds=600]" });
  return keys[0] ?? "";
}

async function visitPlayground(
  page: Page,
  key: string,
  shoot: (name: string) => Promise<void>,
): Promise<void> {
  await page.goto(gateway.url);
  await shoot("playground-key");
  await page.getByLabel("Your key").fill(key);
  await page.getByRole("button", { name: "Start" }).click();
  const prompt = page.getByRole("textbox", { name: "Prompt", exact: true });
  await prompt.fill("a lighthouse at dusk, seen from the sea");
  await page.getByRole("radio", { name: /landscape.*4.*3/i }).press("Space");
  await shoot("playground-form");
  await prompt.fill("a lighthouse at dusk, seen from the sea [sim:seconds=0]");
  await page.getByRole("button", { name: "Make it" }).click();
  const picture = page.getByRole("article").locator("figure img").first();
  while (!(await picture.isVisible())) await gateway.tick();
  await picture.evaluate((image) => (image as HTMLImageElement).decode());
  await shoot("playground-picture");
}

/** Long enough for whatever is still to come: this is for the eye, not a test. */
async function settled(page: Page): Promise<void> {
  await page.getByRole("heading").first().waitFor();
  await page.waitForTimeout(1_000);
}

/** Copies what was made into the days before, some of it on each. */
async function makeHistory(): Promise<void> {
  const { DB } = await gateway.bindings();
  const columns =
    "tenant_id, key_id, request_id, origin, state, open, model, input, metadata, price_credits, images, error_code";
  for (let ago = 1; ago < 30; ago++) {
    const madeMs = Date.now() - ago * 86_400_000;
    const id = idBound("task", madeMs);
    await DB.prepare(
      `INSERT INTO tasks (id, created_ms, finished_ms, deadline_ms, due_ms, attempts, ${columns})
       SELECT '${id.padEnd(36, "0").slice(0, 34)}' || printf('%02d', row_number() OVER ()),
         ${madeMs}, ${madeMs} + 31000, 0, 0, 1, ${columns}
       FROM tasks WHERE open = 0 AND created_ms > ${Date.now() - 3_600_000} ORDER BY abs(random()) LIMIT ${3 + ((ago * 7) % 6)}`,
    ).all();
  }
}

async function visitDashboard(page: Page, shoot: (name: string) => Promise<void>): Promise<void> {
  await page.goto(`${gateway.url}/admin`);
  await page.getByLabel("Admin key").fill(secrets.ADMIN_API_KEY);
  await page.getByRole("button", { name: "Sign in" }).click();
  for (const section of ["overview", "tenants", "tenants/acme", "tasks", "webhooks", "audit"]) {
    await page.goto(`${gateway.url}/admin#/${section}`);
    await settled(page);
    await shoot(`dashboard-${section.replace("/", "-")}`);
  }
  await page.goto(`${gateway.url}/admin#/tasks?status=completed`);
  await page.getByRole("row").nth(1).getByRole("link").first().click();
  await page.getByRole("heading", { level: 1, name: /task/i }).waitFor();
  await settled(page);
  await shoot("dashboard-task");
}

const key = await makeBusiness();
for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [1_280, 390]) {
    const context = await browser.newContext({
      viewport: { width, height: 900 },
      colorScheme,
      locale: "en-US",
    });
    const page = await context.newPage();
    const shoot = async (name: string) => {
      const path = join(folder, `${name}-${width}-${colorScheme}.png`);
      await page.screenshot({ path, fullPage: true });
      console.log(`· ${path}`);
    };
    await visitPlayground(page, key, shoot);
    await visitDashboard(page, shoot);
    await context.close();
  }
}
await browser.close();
await gateway.close();
