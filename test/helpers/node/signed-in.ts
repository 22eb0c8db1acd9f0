/** The dashboard, authorized by its door: what the tests of its sections share. */
import type { Browser, Page } from "playwright-core";
import { type BuiltGateway, secrets } from "./built-gateway.ts";
import {
  type CheckedPage,
  expectAccessible,
  expectNoSideScroll,
  expectReadable,
  openPage,
  type PageOptions,
} from "./open-page.ts";

/** Opens a section, as "/tasks?status=failed". @param key The admin key unless given otherwise. */
export async function openSection(
  browser: Browser,
  gateway: BuiltGateway,
  section: string,
  options: PageOptions = {},
  key: string = secrets.ADMIN_API_KEY,
): Promise<CheckedPage> {
  const opened = await openPage(browser, `${gateway.url}/admin#${section}`, options);
  await opened.page.getByLabel("Admin key").fill(key);
  await opened.page.getByRole("button", { name: "Sign in" }).click();
  await opened.page.getByRole("button", { name: "Sign out" }).waitFor();
  return opened;
}

/** Accessible in light and dark, and no wider than a small screen. */
export async function expectFitForAll(page: Page): Promise<void> {
  // Colours that are still on their way from one scheme to the other are none that a reader sees.
  await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
  await expectAccessible(page);
  await page.emulateMedia({ colorScheme: "dark" });
  await expectReadable(page);
  const before = page.viewportSize();
  await page.setViewportSize({ width: 360, height: 740 });
  await expectNoSideScroll(page);
  if (before) await page.setViewportSize(before);
}
