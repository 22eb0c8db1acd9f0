/** The overview says what was really done: its figures are the API's, and its verdict agrees with them. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secrets } from "../helpers/node/built-gateway.ts";
import { makeNotifiedTenant, type NotifiedTenant, query } from "../helpers/node/notified-tenant.ts";
import { type CheckedPage, whilePassing } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { expectFitForAll, openSection } from "../helpers/node/signed-in.ts";

const readKey = secrets.ADMIN_READ_KEY;
serveInBrowser();
let tenant: NotifiedTenant;
let opened: CheckedPage;
let slow: string;

interface Figures {
  days: { images: number; credits: number; tasks: number; failed: number }[];
  last_day: { error_rate: number; failures: Record<string, number> };
  upstream: { credits_left: number };
}
const figures = async () => (await (await gateway.admin("GET", "/overview")).json()) as Figures;
const tile = (name: string) => opened.page.getByRole("region", { name, exact: true });

beforeAll(async () => {
  tenant = await makeNotifiedTenant(gateway, null, { id: "acme-today", balance: 5_000 });
  await tenant.start("a pair [sim:seconds=0]", { n: 2 });
  await tenant.start("one more [sim:seconds=0]");
  const { script } = gateway.simulator.control;
  script({
    on: "submit",
    times: 1,
    do: { kind: "plan", seconds: 0, end: "failed", code: "generation_timeout" },
  });
  await tenant.start("one that fails");
  await gateway.tick();
  slow = await tenant.start("a slow one [sim:seconds=900]");
  opened = await openSection(browser, gateway, "/overview", { ownClock: true }, readKey);
});
afterAll(async () => {
  await opened.close();
});

describe("the overview", () => {
  it("shows the figures that the API has, which are what was done", async () => {
    const { days, last_day, upstream } = await figures();
    expect(days).toMatchObject([{ images: 3, credits: 90, tasks: 4, failed: 1 }]);
    expect(last_day).toMatchObject({ error_rate: 0.25, failures: { generation_timeout: 1 } });
    const shown: Record<string, string[]> = {
      Today: ["3 images", "Credits charged 90", "Tasks 4", "Failed 1"],
      "Errors in 24 hours": ["25%", "of 4 tasks", "generation_timeout 1"],
      "Unfinished tasks": ["1", "submitted 1"],
      Upstream: ["takes tasks", `Credits left ${upstream.credits_left.toLocaleString("en")}`],
      Readiness: ["ready", "Database (D1) ok", "Pictures (R2) ok", "Limits (Durable Object) ok"],
      Audit: ["sound", "Everything agrees. 1 tenant checked."],
    };
    for (const [name, lines] of Object.entries(shown)) {
      for (const line of lines) await tile(name).getByText(line).first().waitFor();
    }
    for (const name of ["Images", "Credits charged", "Tasks"]) {
      const chart = opened.page.getByRole("figure").filter({ hasText: new RegExp(`^${name}`) });
      await chart.getByRole("img", { name: "bars by day" }).locator("canvas").waitFor();
      await chart.getByText("As a table").click();
      // Every day has a row, also those on which nothing was done.
      expect(await chart.getByRole("row").count()).toBe(31);
    }
    const row = opened.page.getByRole("figure").last().getByRole("row").last();
    expect(await row.getByRole("cell").allTextContents()).toEqual(["3", "1"]);
    await expectFitForAll(opened.page);
  });

  it("draws anew in the colours of the scheme", async () => {
    const box = opened.page.getByRole("img", { name: /^Images, bars/ });
    /** Whether anything on the canvas is of this colour. */
    const isDrawnIn = (colour: string) =>
      box.locator("canvas").evaluate((canvas: HTMLCanvasElement, wanted) => {
        // A copy: what is read back often is drawn in another way.
        const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
        copy?.drawImage(canvas, 0, 0);
        const { data = [] } = copy?.getImageData(0, 0, canvas.width, canvas.height) ?? {};
        for (let at = 0; at < data.length; at += 4) {
          if (`${data[at]},${data[at + 1]},${data[at + 2]}` === wanted) return true;
        }
        return false;
      }, colour);
    await opened.page.emulateMedia({ colorScheme: "light" });
    const keyColour = () =>
      opened.page
        .locator(".chart-key")
        .first()
        .evaluate((key) => getComputedStyle(key).backgroundColor.replace(/rgb\(|\)| /g, ""));
    const light = await keyColour();
    await expect.poll(() => isDrawnIn(light), { timeout: 10_000 }).toBe(true);
    await opened.page.emulateMedia({ colorScheme: "dark" });
    const dark = await keyColour();
    expect(dark).not.toBe(light);
    await expect.poll(() => isDrawnIn(dark), { timeout: 10_000 }).toBe(true);
    expect(await isDrawnIn(light)).toBe(false);
  });

  it("changes its verdict and its figures by itself, and leads to the task that waits", async () => {
    const verdict = opened.page.getByRole("status", { name: "Verdict" });
    await verdict.getByText("25% of the last day's tasks failed.").waitFor();
    await query(gateway, `UPDATE tasks SET created_ms = ${Date.now() - 1_200_000} WHERE id = '${slow}'`);
    await whilePassing(opened.page, verdict.getByText("A task has been under way for 20 min").waitFor());
    await whilePassing(opened.page, tile("Oldest unfinished").getByText("it waits for something").waitFor());
    await opened.page.getByRole("link", { name: slow }).click();
    await opened.page.getByRole("heading", { level: 1, name: slow }).waitFor();
  });

  it("says at once that all is well when it is, and what is wrong when something is", async () => {
    await query(gateway, `UPDATE tasks SET error_code = 'content_policy_violation' WHERE state = 'failed'`);
    await query(gateway, `UPDATE tasks SET created_ms = created_ms + 1000000 WHERE id = '${slow}'`);
    await opened.page.getByRole("link", { name: "Overview" }).click();
    const verdict = opened.page.getByRole("status", { name: "Verdict" });
    await whilePassing(opened.page, verdict.getByText("All is well").waitFor());
    // What a caller asked for is shown, and is no reason to get up.
    await tile("Errors in 24 hours").getByText("of 4 tasks; 1 failed by what was asked").waitFor();
    // Minutes are not usual where pictures take seconds.
    await tile("Oldest unfinished").getByText("Longer than 95 of 100 took").waitFor();
    // What cannot be had from a Worker that runs: a binding of it that does not answer.
    await opened.page.route("**/readyz", (route) =>
      route.fulfill({
        status: 503,
        json: { status: "unavailable", checks: { database: "ok", storage: "failed", limiter: "ok" } },
      }),
    );
    await whilePassing(opened.page, verdict.getByText("Something is wrong").waitFor());
    await whilePassing(opened.page, verdict.getByText("Pictures (R2) does not answer").waitFor());
    await tile("Readiness").getByText("not ready").waitFor();
  });

  it("has no complaints, and calls no other host", () => {
    // The 503 is this test's own.
    expect(opened.complaints.filter((text) => !text.includes("status of 503"))).toEqual([]);
    expect(opened.elsewhere).toEqual([]);
  });
});
