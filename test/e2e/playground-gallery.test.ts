/** The list of what a key has made: also when that is much, and while some of it is still being made. */
import { describe, expect, it } from "vitest";
import { submit } from "../helpers/node/built-gateway.ts";
import { payingTenant } from "../helpers/node/built-tenant.ts";
import { query } from "../helpers/node/notified-tenant.ts";
import { expectAccessible } from "../helpers/node/open-page.ts";
import { card, endUserOf, gallery, openPlayground, widths } from "../helpers/node/playground-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

serveInBrowser();

async function make(key: string, prompt: string): Promise<string> {
  const made = await submit(gateway, key, { prompt, end_user: endUserOf(key) });
  return ((await made.json()) as { id: string }).id;
}

/** Copies of a finished task, each with a number in its prompt. */
async function multiply(id: string, copies: number): Promise<void> {
  const columns = (await query(gateway, "SELECT name FROM pragma_table_info('tasks')")).map(({ name }) =>
    String(name),
  );
  const values = columns.map((name) => {
    if (name === "id") return "printf('task-0%031d', i)";
    return name === "input" ? "replace(input, 'number 0', 'number ' || i)" : name;
  });
  await query(
    gateway,
    `WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < ${copies})
     INSERT INTO tasks (${columns.join(", ")}) SELECT ${values.join(", ")} FROM tasks, numbers WHERE id = '${id}'`,
  );
}

describe("the gallery", () => {
  it("turns its pages through ten thousand tasks, and opens one of them", async () => {
    const { key } = await payingTenant(gateway);
    const first = await make(key, "lighthouse number 0 [sim:seconds=0]");
    await whileTicking(
      gateway,
      expect
        .poll(
          async () =>
            (await query(gateway, `SELECT 1 FROM tasks WHERE id = '${first}' AND finished_ms > 0`)).length,
          {
            timeout: 20_000,
          },
        )
        .toBe(1),
    );
    await multiply(first, 9_999);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    await playground.enterKey(key);
    const thumbnails = gallery(page).getByRole("listitem");
    await gallery(page).getByRole("button", { name: "lighthouse number 0" }).waitFor();
    expect(await thumbnails.count()).toBe(12);
    expect(await thumbnails.locator("img:not([loading=lazy])").count()).toBe(0);
    await gallery(page).getByRole("button", { name: "Older" }).click();
    await gallery(page).getByText("Page 2").waitFor();
    // The first page holds number 0, which is the newest, and then 9999 to 9989.
    await gallery(page).getByRole("button", { name: "lighthouse number 9988" }).click();
    await card(page).getByText("lighthouse number 9988").first().waitFor();
    await expect.poll(() => widths(page), { timeout: 10_000 }).toEqual([1_024]);
    expect(
      await card(page)
        .getByRole("heading")
        .evaluate((title) => title === document.activeElement),
    ).toBe(true);
    await expectAccessible(page);
    await gallery(page).getByRole("button", { name: "Newer" }).click();
    await gallery(page).getByRole("button", { name: "lighthouse number 0" }).waitFor();
    playground.expectQuiet();
    await playground.close();
  });

  it("shows what is being made and what has failed, and leaves the browser some connections", async () => {
    const { key } = await payingTenant(gateway);
    await make(key, "a failed one [sim:seconds=0][sim:fail=unknown_error]");
    for (const one of [1, 2, 3, 4, 5, 6]) await make(key, `slow ${one} [sim:seconds=60]`);
    await gateway.tick();
    const playground = await openPlayground(browser, gateway, { colorScheme: "dark" });
    const { page } = playground;
    const streams = new Set<string>();
    page.on("request", (request) => {
      if (request.url().includes("/events")) streams.add(request.url());
    });
    await playground.enterKey(key);
    await gallery(page).getByText("The task failed for an unknown reason.").waitFor();
    await expect.poll(() => streams.size, { timeout: 10_000 }).toBe(3);
    expect(await gallery(page).getByRole("progressbar").count()).toBe(6);
    await expectAccessible(page);
    expect(streams.size).toBe(3);
    playground.expectQuiet();
    await playground.close();
  });

  it("follows a task on, when the link to its events is no longer good", async () => {
    const { key } = await payingTenant(gateway);
    const playground = await openPlayground(browser, gateway);
    const { page } = playground;
    let openings = 0;
    await page.route(/\/events\?token=/, async (route) => {
      openings += 1;
      if (openings > 1) return route.fallback();
      await route.fulfill({ status: 401, json: {} });
    });
    await playground.enterKey(key);
    await playground.submit("a lighthouse, patiently [sim:seconds=1]");
    await whileTicking(gateway, expect.poll(() => widths(page), { timeout: 12_000 }).toEqual([1_024]));
    expect(openings).toBeGreaterThan(0);
    playground.expectQuiet();
    await playground.close();
  });
});
