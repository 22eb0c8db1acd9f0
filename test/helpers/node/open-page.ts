/**
 * One of the gateway's own pages in a real browser, checked: the hosts that it calls, its console, the breaches of its
 * policy, and its fitness for keyboard and screen reader.
 */
import { setTimeout as pause } from "node:timers/promises";
import AxeBuilder from "@axe-core/playwright";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";

export interface CheckedPage {
  page: Page;
  context: BrowserContext;
  /** Console errors and warnings, uncaught errors, and breaches of the page's policy. */
  complaints: string[];
  /** Requests that went, or wanted to go, to another host. */
  elsewhere: string[];
  close(): Promise<void>;
}

export interface PageOptions extends BrowserContextOptions {
  /** The page's clock is one that a test can move, with {@link whilePassing}. */
  ownClock?: boolean;
}

let opened = 0;

/** Each page is another visitor: what a gateway allows one network address is less than all tests need together. */
function nextAddress(): string {
  opened += 1;
  return `198.18.${opened >> 8}.${opened & 255}`;
}

export async function openPage(
  browser: Browser,
  url: string,
  options: PageOptions = {},
): Promise<CheckedPage> {
  // Without a language of its own the browser takes the machine's, which in a bare one is none that browsers know.
  const screen = { viewport: { width: 1_280, height: 900 }, locale: "en-US" };
  const { ownClock = false, ...contextOptions } = options;
  const extraHTTPHeaders = { "cf-connecting-ip": nextAddress() };
  const context = await browser.newContext({ ...screen, extraHTTPHeaders, ...contextOptions });
  const page = await context.newPage();
  const { origin } = new URL(url);
  const complaints: string[] = [];
  const elsewhere: string[] = [];
  // Whatever it is that leaves the page: also what a policy stops, which is no request yet.
  page.on("request", (request) => {
    const asked = request.url();
    if (!/^(data|blob):/.test(asked) && new URL(asked).origin !== origin) elsewhere.push(asked);
  });
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    // A refusal is an answer; that the browser shows it in red is not the page's complaint.
    if (/^Failed to load resource: the server responded with a status of 4/.test(message.text())) return;
    complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`violates ${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
  });
  if (ownClock) await page.clock.install();
  await page.goto(url);
  return { page, context, complaints, elsewhere, close: () => context.close() };
}

/** No violation that axe-core calls serious or critical, by the rules of WCAG 2.2 A and AA. */
export async function expectAccessible(page: Page): Promise<void> {
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  await expectNothingSerious(axeOf(page).withTags(tags));
}

/** The rules of {@link expectAccessible} whose outcome depends on colours and widths: for a screen's other schemes. */
export async function expectReadable(page: Page): Promise<void> {
  const rules = ["color-contrast", "link-in-text-block", "target-size", "scrollable-region-focusable"];
  await expectNothingSerious(axeOf(page).withRules(rules));
}

/** Axe in the page itself: no page has frames of other hosts, for which it would open a second page each time. */
function axeOf(page: Page): AxeBuilder {
  return new AxeBuilder({ page }).setLegacyMode(true);
}

async function expectNothingSerious(axe: AxeBuilder): Promise<void> {
  const { violations } = await axe.analyze();
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
  expect(serious).toEqual([]);
}

/** At this width nothing but tables, which scroll by themselves, is wider than the screen. */
export async function expectNoSideScroll(page: Page): Promise<void> {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  expect(wide).toBeLessThanOrEqual(screen ?? 0);
}

/** Lets the page's time pass, a second at a time, until `work` is done, so that no test waits for the page's pauses. */
export async function whilePassing<T>(page: Page, work: Promise<T>): Promise<T> {
  let goesOn = true;
  const passing = (async () => {
    while (goesOn) {
      await page.clock.fastForward(1_000);
      await pause(20);
    }
  })();
  try {
    return await work;
  } finally {
    goesOn = false;
    await passing;
  }
}
