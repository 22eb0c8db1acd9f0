/** What the tests of the playground do again and again, as a person does it: by label and by button. */
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { expect } from "vitest";
import type { BuiltGateway } from "./built-gateway.ts";
import { type CheckedPage, openPage } from "./open-page.ts";

export interface Playground extends CheckedPage {
  enterKey(key: string): Promise<void>;
  submit(prompt: string): Promise<void>;
  /** No other host was called, and the console has no complaints. */
  expectQuiet(): void;
}

export async function openPlayground(
  browser: Browser,
  gateway: BuiltGateway,
  options: BrowserContextOptions = {},
): Promise<Playground> {
  const opened = await openPage(browser, `${gateway.url}/`, options);
  const { page } = opened;
  return {
    ...opened,
    async enterKey(key) {
      await keyField(page).fill(key);
      await page.getByRole("button", { name: "Start" }).click();
    },
    async submit(prompt) {
      await promptField(page).fill(prompt);
      await sendButton(page).click();
    },
    expectQuiet() {
      expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
    },
  };
}

export const keyField = (page: Page) => page.getByLabel("Your key");
export const promptField = (page: Page) => page.getByRole("textbox", { name: "Prompt", exact: true });
export const sendButton = (page: Page) => page.getByRole("button", { name: "Make it" });
/** The task in view. */
export const card = (page: Page) => page.getByRole("article");
export const gallery = (page: Page) => page.getByRole("region", { name: "Made with this key" });
/** What is wrong with a control, as those hear it who do not see it. */
export async function expectError(page: Page, label: string, words: RegExp): Promise<void> {
  const control = page.getByLabel(label, { exact: true });
  await expect.poll(() => control.getAttribute("aria-invalid"), { timeout: 10_000 }).toBe("true");
  const ids = (await control.getAttribute("aria-describedby")) ?? "";
  const texts = await Promise.all(ids.split(" ").map((id) => page.locator(`[id="${id}"]`).textContent()));
  expect(texts.join(" ")).toMatch(words);
}

/** Whether each picture of the card is there, and not merely asked for. */
export function widths(page: Page): Promise<number[]> {
  return card(page)
    .locator("figure img")
    .evaluateAll((images) => images.map((image) => (image as HTMLImageElement).naturalWidth));
}

/** The key's own part of its text, under which its tasks are listed. */
export const endUserOf = (key: string): string => `playground-${key.split("_")[2]}`;
