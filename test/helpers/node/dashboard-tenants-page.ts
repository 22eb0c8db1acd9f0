/** The way into the dashboard, as an operator goes it. */
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { type BuiltGateway, secrets } from "./built-gateway.ts";
import { type CheckedPage, openPage } from "./open-page.ts";

/** Opens a section of the dashboard, signed in. @param section Such as `/tenants`. */
export async function openDashboard(
  browser: Browser,
  gateway: BuiltGateway,
  section: string,
  { key = secrets.ADMIN_API_KEY, ...options }: BrowserContextOptions & { key?: string } = {},
): Promise<CheckedPage> {
  const opened = await openPage(browser, `${gateway.url}/admin#${section}`, options);
  await signIn(opened.page, key);
  await opened.page.getByRole("navigation", { name: "Sections" }).waitFor();
  return opened;
}

export async function signIn(page: Page, key: string): Promise<void> {
  await page.getByLabel("Admin key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** A part of a tenant's page. */
export const part = (page: Page, name: string): Locator => page.getByRole("region", { name, exact: true });

/** Makes a tenant past the page. */
export async function makeTenant(gateway: BuiltGateway, fields: object): Promise<string> {
  const response = await gateway.admin("POST", "/tenants", fields);
  if (response.status !== 201) throw new Error(await response.text());
  return ((await response.json()) as { id: string }).id;
}

export async function makeKeyOf(gateway: BuiltGateway, tenant: string, name = "production"): Promise<string> {
  const response = await gateway.admin("POST", `/tenants/${tenant}/keys`, { name, kind: "secret" });
  return ((await response.json()) as { key: string }).key;
}

/** So long a busy machine may take to draw what has happened. */
export const soon = { timeout: 15_000 };
