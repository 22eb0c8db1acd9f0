/**
 * The built gateway and a real browser, for all tests of a file that asks for them. Files share both; what is exported
 * here is there once a file's hooks have begun.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll } from "vitest";
import { startBrowser } from "./browser.ts";
import { type BuiltGateway, startBuiltGateway } from "./built-gateway.ts";

export let gateway: BuiltGateway;
export let browser: Browser;

/** One for all files of a process. It ends with the process. */
let shared: Promise<Browser> | undefined;

/** To be called before the file's own hooks. */
export function serveInBrowser(): void {
  beforeAll(async () => {
    gateway = await startBuiltGateway();
    // Not beside it: libraries that the browser needs stand in the environment while it starts.
    shared ??= startBrowser();
    browser = await shared;
  });
  // What a file has left open would go on asking.
  afterAll(async () => {
    await Promise.all(browser.contexts().map((context) => context.close()));
    await gateway.close();
  });
}
