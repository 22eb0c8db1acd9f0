/**
 * The built gateway and a real browser, for all tests of a file that asks for them. Each file has modules of its own, so
 * what is exported here is that file's alone; it is there once its hooks have begun.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { startBrowser } from "./browser.ts";
import { type BuiltGateway, startBuiltGateway } from "./built-gateway.ts";

export let gateway: BuiltGateway;
export let browser: Browser;

/** To be called before the file's own hooks. @param vars Over those of wrangler.toml. */
export function serveInBrowser(vars: Record<string, string> = {}): void {
  beforeAll(async () => {
    gateway = await startBuiltGateway(vars);
    // Not beside it: libraries that the browser needs stand in the environment while it starts.
    browser = await startBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await gateway.close();
  });
}
