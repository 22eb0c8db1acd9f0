/** A day's erasing is done within the day, an hour's within the hour, and deleted tenants are gone within minutes. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { erasedTasks, insertEndedTasks, insertTenants, namesOf } from "../../helpers/ended-tasks.ts";
import { finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(emptyStores);

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const startMs = 1_900_000_020_000;

async function minutes(gateway: TestGateway, count: number): Promise<void> {
  for (let minute = 0; minute < count; minute++) {
    gateway.advance(minuteMs);
    await gateway.tick();
  }
}

describe("an hour's or a day's work", () => {
  it("of four hundred tenants with retention is done, whatever the order of their ids", async () => {
    const gateway = startGateway();
    const tenants = namesOf(400);
    await insertTenants(tenants, 2);
    for (const tenantId of tenants) {
      await insertEndedTasks({ tenantId, count: 2, fromMs: gateway.now() - 3 * dayMs });
    }
    await minutes(gateway, 2);
    expect(await erasedTasks()).toEqual({ done: 800 });
    // And the next of their tasks when they have come of age.
    for (const tenantId of tenants.slice(0, 50)) {
      await insertEndedTasks({ tenantId, count: 1, fromMs: gateway.now() });
    }
    gateway.advance(2 * dayMs - hourMs);
    await gateway.tick();
    expect(await erasedTasks()).toEqual({ done: 800, none: 50 });
    gateway.advance(2 * hourMs);
    await minutes(gateway, 2);
    expect(await erasedTasks()).toEqual({ done: 850 });
  }, 120_000);

  it("of 24,000 tasks and deliveries a day leaves none behind, of a quarter of a day at its end", async () => {
    const gateway = startGateway({ startMs });
    await insertTenants(["acme"], 2);
    const everyMs = dayMs / 24_000;
    const quarter = { count: 6_000, everyMs };
    await insertEndedTasks({ tenantId: "acme", ...quarter, fromMs: startMs - 2 * dayMs });
    await env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, task_id, created_ms, due_ms, open, state)
       SELECT 'msg-' || substr(id, 6) || '-w', tenant_id, 'webhook', 'task.completed', id, created_ms, 0, 0, 'delivered' FROM tasks`,
    ).run();
    const left = async (table: string, before: number, where: string) =>
      Number(
        await env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE created_ms < ?1 AND ${where}`)
          .bind(before)
          .first("n"),
      );
    for (let time = 0; time < 12; time++) {
      gateway.advance(hourMs / 2);
      await gateway.tick();
    }
    // What is of the last hour is the next turn's.
    expect(await left("tasks", gateway.now() - 2 * dayMs - hourMs, "erasure <> 'done'")).toBe(0);
    gateway.advance(28 * dayMs);
    await gateway.tick();
    expect(await left("deliveries", gateway.now() - 30 * dayMs, "open = 0")).toBe(0);
  }, 120_000);

  it("of a hundred deleted tenants is done within ten minutes of their last task", async () => {
    const gateway = startGateway();
    const tenants: string[] = [];
    for (let i = 0; i < 100; i++) {
      const { id, key } = await gateway.makeTenant({
        balance: 100,
        webhook: { url: "https://hooks.example/" },
      });
      tenants.push(id);
      if (i % 25 === 0) await finishTask(gateway, key, (await submitTask(gateway, key)).id);
      await insertEndedTasks({ tenantId: id, count: 5, fromMs: gateway.now() - dayMs, hasPicture: true });
    }
    for (const id of tenants) expect((await gateway.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
    await minutes(gateway, 9);
    expect(await erasedTasks()).toEqual({ done: 504 });
    const { results } = await env.DB.prepare("SELECT * FROM tenants").all();
    expect(results.filter(({ erased_ms }) => erased_ms === null)).toEqual([]);
    expect(results[0]).toMatchObject({ webhook_url: null, webhook_secret: "", webhook_secrets_before: "[]" });
    for (const table of ["keys", "erasure_turns", "gone_urls", "endpoints"])
      expect((await env.DB.prepare(`SELECT * FROM ${table}`).all()).results).toEqual([]);
    const { objects } = await env.IMAGES.list({ limit: 1_000 });
    expect(objects.filter(({ size }) => size > 0)).toEqual([]);
    const ledger = await gateway.admin("GET", `/tenants/${tenants[0]}/ledger`);
    expect(await ledger.json()).toMatchObject({
      data: [{ type: "charge" }, { type: "hold" }, { type: "topup" }],
    });
  }, 120_000);
});
