/** Reference pictures: however they come to the page, the task is asked with them. */
import type { Page } from "playwright-core";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import { expectAccessible } from "../helpers/node/open-page.ts";
import {
  card,
  expectError,
  openPlayground,
  promptField,
  sendButton,
  widths,
} from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

serveInBrowser();

const references = (page: Page) => page.getByRole("group", { name: "References" });

async function png(side: number): Promise<string> {
  const create = { width: side, height: side, channels: 3, background: "teal" } as const;
  return (await sharp({ create }).png().toBuffer()).toString("base64");
}

/** Files and text on their way, as another program offers them. */
function transfer(page: Page, files: { name: string; base64: string }[], text = "") {
  return page.evaluateHandle(
    ([files, text]) => {
      const data = new DataTransfer();
      for (const { name, base64 } of files) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], name, { type: "image/png" }));
      }
      if (text !== "") data.setData("text/plain", text);
      return data;
    },
    [files, text] as const,
  );
}

describe("references", () => {
  it("are uploaded when they are dropped, and the task edits them", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    const dataTransfer = await transfer(page, [{ name: "teal.png", base64: await png(300) }]);
    await references(page).dispatchEvent("drop", { dataTransfer });
    const shown = references(page).getByRole("img", { name: "Reference 1" });
    await expect
      .poll(() => shown.evaluate((image) => (image as HTMLImageElement).naturalWidth), { timeout: 10_000 })
      .toBe(300);
    await page.getByText("More options").click();
    await page.getByLabel("Prompt expansion").selectOption("Off");
    await expectAccessible(page);
    await playground.submit("put image 1 into the snow [sim:seconds=0]");
    await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 20_000 }).toEqual([1_024]));
    const file = expect.stringMatching(new RegExp(`^${gateway.url}/files/file-.*\\.png$`));
    const [edited] = await tenant.tasks();
    expect(edited).toMatchObject({ input: { image_urls: [file], enable_prompt_expansion: false } });

    await references(page).getByRole("button", { name: "Remove reference 1" }).click();
    await card(page).getByRole("button", { name: "Edit this" }).click();
    await playground.submit("now without the snow [sim:seconds=0]");
    await card(page).getByText("now without the snow").waitFor();
    expect((await tenant.tasks())[0]).toMatchObject({ input: { image_urls: edited?.results } });
    playground.expectQuiet();
    await playground.close();
  });

  it("may be pasted, as an address or as a picture, up to four", async () => {
    const tenant = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(tenant.key);
    await promptField(page).waitFor();
    const paste = async (target: string, data: Awaited<ReturnType<typeof transfer>>) => {
      await page.evaluate(
        ([selector, clipboardData]) =>
          document
            .querySelector(selector)
            ?.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true })),
        [target, data] as const,
      );
    };
    await paste("main", await transfer(page, [], "https://shop.example/lighthouse.png"));
    await paste("textarea", await transfer(page, [], "https://shop.example/only-text.png"));
    await paste("textarea", await transfer(page, [{ name: "teal.png", base64: await png(300) }]));
    await references(page).getByText("Image 2: teal.png").waitFor();
    await playground.submit("image 1 in the colours of image 2");
    await card(page).waitFor();
    const file = expect.stringContaining(`${gateway.url}/files/file-`);
    expect((await tenant.tasks())[0]).toMatchObject({
      input: { image_urls: ["https://shop.example/lighthouse.png", file] },
    });

    const address = page.getByLabel("Address of a reference");
    await address.fill("https://shop.example/third.png");
    await address.press("Enter");
    const two = [
      { name: "4.png", base64: await png(300) },
      { name: "5.png", base64: await png(300) },
    ];
    await paste("main", await transfer(page, two));
    await page.getByText("At most 4 references").waitFor();
    expect(await references(page).getByRole("listitem").count()).toBe(4);
    playground.expectQuiet();
    await playground.close();
  });

  it("that are refused say why, each beside itself", async () => {
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(await gateway.makeKey());
    const dataTransfer = await transfer(page, [
      { name: "small.png", base64: await png(20) },
      { name: "good.png", base64: await png(300) },
    ]);
    await references(page).dispatchEvent("drop", { dataTransfer });
    const [small, good] = [
      references(page).getByRole("listitem").nth(0),
      references(page).getByRole("listitem").nth(1),
    ];
    await small.getByText("Must have sides of 240 to 8000 pixels, not 20 × 20").waitFor();
    await promptField(page).fill("anything");
    expect(await sendButton(page).isDisabled()).toBe(true);
    await small.getByRole("button", { name: "Remove reference 1" }).click();
    expect(await good.count()).toBe(0);

    const address = page.getByLabel("Address of a reference");
    for (const typed of ["ftp://shop.example/old.png", "javascript:alert(1)", "a picture"]) {
      await address.fill(typed);
      await page.getByRole("button", { name: "Add", exact: true }).click();
      await expectError(page, "Address of a reference", /begins with https:\/\/ or http:\/\//);
    }
    await expectAccessible(page);
    expect(await references(page).getByRole("listitem").count()).toBe(1);
    // What only the gateway can know.
    await address.fill("https://user:secret@shop.example/old.png");
    await address.press("Enter");
    await sendButton(page).click();
    await references(page).getByRole("listitem").nth(1).locator(".field-error").waitFor();
    expect(await references(page).getByRole("listitem").nth(0).locator(".field-error").count()).toBe(0);
    playground.expectQuiet();
    await playground.close();
  });
});
