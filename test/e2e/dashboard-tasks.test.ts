/**
 * Tasks in the dashboard: seen live from the list to the last webhook, ended by hand, found by filters
 * among very many, and shown as text whatever their callers have written.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { secrets } from "../helpers/node/built-gateway.ts";
import { type Receiver, startReceiver } from "../helpers/node/http-receiver.ts";
import { makeNotifiedTenant, type NotifiedTenant, query } from "../helpers/node/notified-tenant.ts";
import type { CheckedPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";
import { expectFitForAll, openSection } from "../helpers/node/signed-in.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

const readKey = secrets.ADMIN_READ_KEY;
serveInBrowser();
let receiver: Receiver;
let tenant: NotifiedTenant;
let opened: CheckedPage;
let page: Page;

beforeAll(async () => {
  receiver = await startReceiver();
  tenant = await makeNotifiedTenant(gateway, `${receiver.url}/hook`, { id: "acme-tasks", balance: 5_000 });
  opened = await openSection(browser, gateway, "/tasks");
  page = opened.page;
  page.on("dialog", (dialog) => void dialog.accept().then(() => opened.complaints.push(dialog.message())));
});
afterAll(async () => {
  await opened.close();
  await receiver.close();
});

const go = (section: string) => page.goto(`${gateway.url}/admin#${section}`);
const rows = () => page.getByRole("region", { name: "Table of tasks" }).locator("tbody tr");
const points = () => page.getByRole("region", { name: "Timeline" }).getByRole("listitem");
const station = (name: string) => points().filter({ has: page.getByText(name, { exact: true }) });
const deliveryTo = (target: string) => points().filter({ hasText: `to ${target}` });

describe("a task", () => {
  it("is seen live from the list to its end, and to the last attempt of its webhook, without a reload", async () => {
    await page.getByText("There are no tasks yet.").waitFor();
    receiver.answer("/callback", { status: 500 });
    const id = await tenant.start("a lighthouse at dusk [sim:seconds=3]", {
      n: 2,
      end_user: "user-81",
      metadata: { order: "7" },
      callback_url: `${receiver.url}/callback`,
    });
    const link = page.getByRole("link", { name: "a lighthouse at dusk" });
    await link.press("Enter");
    await page.getByText("60 credits held").waitFor();
    await station("Submitted").getByText("(done)").waitFor();
    await station("Accepted upstream").getByText("as task-unified-").waitFor();
    await station("Done upstream").getByText("(under way)").waitFor();
    await station("Settled").getByText("(to come)").waitFor();
    await expectFitForAll(page);

    const delivery = deliveryTo(receiver.url);
    await whileTicking(gateway, delivery.getByText("answered 500").waitFor());
    await station("Done upstream").getByText("(done)").waitFor();
    await station("Completed").getByText("2 pictures stored").waitFor();
    await station("Settled").getByText("60 credits charged").waitFor();
    await deliveryTo("the tenant's webhook").getByText("Webhook delivered").waitFor();
    for (const name of ["Submitted", "Accepted upstream", "Done upstream", "Completed"]) {
      expect(await station(name).locator("time").count(), name).toBe(1);
    }
    await expect.poll(() => page.getByRole("img", { name: /^Number/ }).count()).toBe(2);

    receiver.answer("/callback", { status: 204 });
    const before = receiver.received("/callback").length;
    await delivery.getByRole("button", { name: "Send again" }).click();
    await delivery.getByText("Asked for").waitFor();
    await delivery.getByText("Webhook delivered").waitFor();
    await delivery.getByText("answered 204").waitFor();
    expect(receiver.received("/callback")).toHaveLength(before + 1);
    const facts = page.getByRole("region", { name: "Facts" });
    for (const fact of ["user-81", "acme-tasks", "completed"])
      await facts.getByText(fact, { exact: true }).waitFor();
    await page.getByText("Metadata: order").waitFor();
    await page.getByRole("heading", { level: 1, name: id }).waitFor();
    await expectFitForAll(page);
  });

  it("that is stuck is failed by hand, once the operator has read what that means", async () => {
    const id = await tenant.start("stuck [sim:seconds=9000]");
    await go(`/tasks/${id}`);
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByText("Polled just now").waitFor();
    const open = page.getByRole("button", { name: "Fail…" });
    await open.press("Enter");
    const dialog = page.getByRole("dialog", { name: "Fail this task?" });
    await dialog.getByText("the 30 credits that it holds are given back").waitFor();
    await expectFitForAll(page);
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
    await station("Done upstream").getByText("(under way)").waitFor();
    await open.press("Enter");
    await dialog.getByRole("button", { name: "Fail the task" }).press("Enter");
    await dialog.waitFor({ state: "detached" });
    await station("Failed").getByText("The task failed for an unknown reason.").waitFor();
    await station("Settled").getByText("the hold is released").waitFor();
    expect(await open.count()).toBe(0);
    expect(await tenant.notified(id)).toMatchObject({ status: "failed", error: { code: "unknown_error" } });
  });

  it("is not changed with the key that only reads, which the page says", async () => {
    const id = await tenant.start("not yours [sim:seconds=9000]");
    const reader = await openSection(browser, gateway, `/tasks/${id}`, {}, readKey);
    const { page } = reader;
    await page.getByRole("button", { name: "Fail…" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("button", { name: "Fail the task" }).click();
    const refused = await fetch(`${gateway.url}/admin/api/tasks/${id}/fail`, {
      method: "POST",
      headers: { authorization: `Bearer ${readKey}` },
    });
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    expect(error.code).toBe("scope_denied");
    await dialog.getByRole("alert").getByText(error.message).waitFor();
    await dialog.getByRole("button", { name: "Leave it" }).click();
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("alert").getByText(error.message).waitFor();
    expect([reader.complaints, reader.elsewhere]).toEqual([[], []]);
    await reader.close();
  });

  it("that is erased is said to be so, and shows no pictures", async () => {
    const id = await tenant.start("soon gone [sim:seconds=0]");
    await gateway.tick();
    await go(`/tasks/${id}`);
    await page.getByRole("region", { name: "Pictures" }).waitFor();
    const headers = { authorization: `Bearer ${tenant.key}` };
    const erase = async () =>
      (await fetch(`${gateway.url}/v1/tasks/${id}`, { method: "DELETE", headers })).status;
    expect(await erase()).toBe(204);
    await page.reload();
    await page.getByText("This task is erased: its text and its pictures are gone.").waitFor();
    await station("Completed").getByText("1 picture stored").waitFor();
    await station("Settled").getByText("30 credits charged").waitFor();
    expect(await page.getByRole("region", { name: "Pictures" }).count()).toBe(0);
    await expectFitForAll(page);
    await go("/tasks");
    const row = rows().filter({ hasText: id });
    await row.getByText("erased", { exact: true }).waitFor();
    await go("/tenants/acme-tasks");
    const recent = page.getByRole("region", { name: "Recent pictures" });
    await recent.getByRole("link").first().waitFor();
    expect(await recent.getByRole("link", { name: id }).count()).toBe(0);
  });

  it("that is not there is said to be so", async () => {
    await go("/tasks/task-unknown");
    await page.getByRole("alert").getByText("There is no such task.").waitFor();
  });

  it("shows what its caller has written as text, whatever it is", async () => {
    const evil = `"><img src=x onerror=alert(1)><script>alert(2)</script>`;
    const id = await tenant.start(`${evil} [sim:seconds=0]`, {
      end_user: evil,
      metadata: { [evil.slice(0, 30)]: evil },
      negative_prompt: evil,
      callback_url: `${receiver.url}/${encodeURIComponent(evil)}?${evil}`,
    });
    await query(gateway, `UPDATE tasks SET upstream_id = '${evil}' WHERE id = '${id}'`);
    await gateway.tick();
    await go("/tasks");
    await page.getByText(id).waitFor();
    expect(await page.locator("main img, main script").count()).toBe(0);
    await go(`/tasks/${id}`);
    // Every place where it is shown: the prompt, the negative prompt, the end user, the metadata.
    await expect.poll(() => page.getByText(evil).count(), { timeout: 10_000 }).toBeGreaterThanOrEqual(4);
    await page.locator(".prompt").getByText(evil).waitFor();
    expect(await page.locator("main img[src=x], main script").count()).toBe(0);
    const changes = `last_problem = '${evil}', endpoint = '${evil}', last_status = NULL`;
    await query(gateway, `UPDATE deliveries SET ${changes} WHERE task_id = '${id}'`);
    await go("/webhooks");
    await expect.poll(() => page.getByText(evil).count(), { timeout: 10_000 }).toBeGreaterThanOrEqual(4);
    expect(await page.locator("main img[src=x], main script").count()).toBe(0);
  });
});

describe("the list of tasks", () => {
  it("is narrowed by filters, which are in the address, by keyboard", async () => {
    await go("/tasks");
    const shown = async (prompts: RegExp[]) => {
      await expect.poll(() => rows().count(), { timeout: 10_000 }).toBe(prompts.length);
      for (const prompt of prompts) await rows().filter({ hasText: prompt }).waitFor();
    };
    await page.getByLabel("Status").selectOption("failed");
    await shown([/stuck/]);
    expect(page.url()).toContain("#/tasks?status=failed");
    await page.reload();
    await shown([/stuck/]);
    await page.getByRole("button", { name: "Clear" }).press("Enter");
    await page.getByLabel("End user").fill("user-81");
    await page.keyboard.press("Enter");
    await shown([/a lighthouse/]);
    const known = { tenant: "acme-tasks", model: "wan-2.7-image", end_user: "user-81", status: "completed" };
    await go(`/tasks?${new URLSearchParams(known)}`);
    await shown([/a lighthouse/]);
    expect(await page.getByLabel("Tenant").inputValue()).toBe("acme-tasks");
    await page.getByLabel("Tenant").fill("no-such");
    await page.keyboard.press("Tab");
    await page.getByText("No task is like that.").waitFor();
    // What was written stays, and so does the place of the keyboard.
    expect(await page.getByLabel("Tenant").inputValue()).toBe("no-such");
    await page.goBack();
    await shown([/a lighthouse/]);
    await page.getByRole("button", { name: "Clear" }).press("Enter");
    const [stuck] = await query(gateway, "SELECT request_id FROM tasks WHERE state = 'failed'");
    await page.getByLabel("Request id").fill(String(stuck?.request_id));
    await page.getByRole("button", { name: "Apply" }).click();
    await shown([/stuck/]);
    await page.getByLabel("Tenant").fill("x".repeat(40));
    await page.keyboard.press("Enter");
    await page.locator(".field").filter({ hasText: "Tenant" }).getByRole("alert").waitFor();
    await expectFitForAll(page);
  });

  it("turns the pages of more than ten thousand", async () => {
    const names = (await query(gateway, "SELECT name FROM pragma_table_info('tasks')")).map(
      ({ name }) => `${name}`,
    );
    const columns = names.map((name) => {
      if (name === "id") return "'task-0z' || printf('%029d', n.i)";
      return name === "end_user" ? "'bulk-' || n.i" : `tasks.${name}`;
    });
    await query(
      gateway,
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
       INSERT INTO tasks (${names.join(", ")}) SELECT ${columns.join(", ")} FROM n
         CROSS JOIN (SELECT * FROM tasks WHERE state = 'completed' LIMIT 1) AS tasks`,
    );
    await go("/tasks");
    const between = async (newest: number, oldest: number) => {
      await rows().first().getByText(`bulk-${newest}`, { exact: true }).waitFor();
      await rows().last().getByText(`bulk-${oldest}`, { exact: true }).waitFor();
      expect(await rows().count()).toBe(50);
    };
    await between(10_000, 9_951);
    const pager = page.getByRole("navigation", { name: "Pages" });
    await pager.getByRole("button", { name: "Older" }).press("Enter");
    await between(9_950, 9_901);
    await pager.getByRole("button", { name: "Older" }).press("Enter");
    await between(9_900, 9_851);
    await pager.getByText("Page 3").waitFor();
    await pager.getByRole("button", { name: "Newer" }).press("Enter");
    await between(9_950, 9_901);
    // Pressed twice before the first press is answered: the number of the page and its rows still agree.
    await pager.getByRole("button", { name: "Older" }).dblclick();
    const turned = Number((await pager.getByText(/^Page/).textContent())?.slice("Page ".length)) - 1;
    await between(10_000 - 50 * turned, 10_000 - 50 * turned - 49);
    await page.getByLabel("End user").fill("bulk-4321");
    await page.keyboard.press("Enter");
    await expect.poll(() => rows().count(), { timeout: 10_000 }).toBe(1);
    await rows().getByText("bulk-4321", { exact: true }).waitFor();
  });

  it("has no complaints, and calls no other host", () => {
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
  });
});
