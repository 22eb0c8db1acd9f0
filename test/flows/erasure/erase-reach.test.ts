/**
 * How much is erased in how long. Time is virtual where it is measured: each call takes as long as one does on the platform,
 * six at a time in an invocation. Real rows, objects and buckets of workerd; what is not modelled is D1's own pace, whose
 * statements here take some hundred tasks each.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { eraseDue, roomOfConsumer } from "../../../src/flows/erasure/erase-due.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import type { Invocation } from "../../../src/platform/invocation.ts";
import { erasedTasks, insertEndedTasks } from "../../helpers/ended-tasks.ts";
import { finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { type VirtualTime, virtualTime, withCron } from "../../helpers/virtual-time.ts";

beforeEach(emptyStores);

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const startMs = 1_900_000_020_000;

const insertTenants = (ids: string[], retentionDays: number | null) =>
  env.DB.batch(
    ids.map((id) =>
      env.DB.prepare(
        "INSERT INTO tenants (id, name, limits, created_ms, pushed_version, retention_days) VALUES (?1, ?1, '{}', 0, 1, ?2)",
      ).bind(id, retentionDays),
    ),
  );
const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `t-${String(i).padStart(3, "0")}`);

/** Times of calls between a Worker and what it is bound to, milliseconds. */
const callMs = (name: string) => (name === "D1" ? 20 : name === "R2 put" ? 50 : name === "Queue" ? 50 : 5);

async function measured(tenants: string[], each: number) {
  let [puts, most] = [0, 0];
  const virtual = virtualTime({ startMs, takes: callMs });
  const time: VirtualTime = {
    ...virtual,
    async during(name, call) {
      if (name === "R2 put") most = Math.max(most, ++puts);
      const result = await virtual.during(name, call);
      if (name === "R2 put") puts--;
      return result;
    },
  };
  const gateway = startGateway({ time, vars: { POLL_ROUND_SECONDS: 2 } });
  await insertTenants(tenants, 2);
  for (const tenantId of tenants) {
    await insertEndedTasks({ tenantId, count: each, fromMs: startMs - 3 * dayMs, hasPicture: true });
  }
  const total = tenants.length * each;
  const seconds = await withCron(gateway, async () => {
    for (;;) {
      await gateway.sleep(1_000);
      const { done = 0 } = await erasedTasks();
      const after = (gateway.now() - startMs) / 1000;
      if (done === total || after > 120) return after;
    }
  });
  return { gateway, perSecond: total / seconds, most };
}

describe("a million overdue tasks with pictures", () => {
  it.each([
    ["of four tenants", namesOf(4), 1_250],
    ["of one tenant", namesOf(1), 6_000],
  ])(
    "%s are erased within the hour, of which consumers work five sixths",
    async (_, tenants, each) => {
      const { gateway, perSecond, most } = await measured(tenants, each);
      expect(perSecond * 3_600 * (5 / 6)).toBeGreaterThanOrEqual(1_000_000);
      // Six by the tick, and by each of six consumers.
      expect(most).toBeGreaterThan(30);
      expect(most).toBeLessThanOrEqual(42);
      expect(await erasedTasks()).toEqual({ done: tenants.length * each });
      expect(gateway.logs.filter(({ level }) => level === "error")).toEqual([]);
      const { objects } = await env.IMAGES.list({ limit: 1_000 });
      expect(objects.every(({ size }) => size === 0)).toBe(true);
    },
    240_000,
  );
});

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
    for (const tenantId of tenants) {
      await insertEndedTasks({ tenantId, count: 1, fromMs: gateway.now() });
    }
    gateway.advance(2 * dayMs - hourMs);
    await gateway.tick();
    expect(await erasedTasks()).toEqual({ done: 800, none: 400 });
    gateway.advance(2 * hourMs);
    await minutes(gateway, 2);
    expect(await erasedTasks()).toEqual({ done: 1_200 });
  });

  it("of 24,000 tasks and deliveries a day leaves none behind at the day's end", async () => {
    const gateway = startGateway({ startMs });
    await insertTenants(["acme"], 2);
    const aDay = 24_000;
    const everyMs = dayMs / aDay;
    await insertEndedTasks({ tenantId: "acme", count: aDay, fromMs: startMs - 2 * dayMs, everyMs });
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
    const runADay = async (often: number) => {
      for (let time = 0; time < often; time++) {
        gateway.advance(dayMs / often);
        await gateway.tick();
      }
    };
    await runADay(48);
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
      await insertEndedTasks({ tenantId: id, count: 20, fromMs: gateway.now() - dayMs, hasPicture: true });
    }
    for (const id of tenants) expect((await gateway.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
    await minutes(gateway, 9);
    expect(await erasedTasks()).toEqual({ done: 2_004 });
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

/** An invocation in which one tenant's object fails, after some time. */
function withObjectAway(gateway: TestGateway, away: string, ms: number): Invocation {
  const made = gateway.invocation();
  const fails = async () => {
    await made.sleep(ms);
    throw new Error("overloaded");
  };
  return {
    ...made,
    tenant: (id, hint) =>
      id === away
        ? ({ ...made.tenant(id, hint), erase: fails, flush: fails } as never)
        : made.tenant(id, hint),
  };
}

describe("one tenant's object", () => {
  it.each([
    ["that fails", 0],
    ["that hangs", 10_000],
  ])(
    "%s holds up no other tenant: retention and deletion go on",
    async (_, ms) => {
      const gateway = startGateway();
      const tenants = namesOf(30);
      await insertTenants(tenants, 2);
      for (const tenantId of tenants) {
        await insertEndedTasks({
          tenantId,
          count: 300,
          fromMs: gateway.now() - 3 * dayMs,
          hasPicture: tenantId === "t-000",
        });
      }
      await env.DB.prepare("UPDATE tenants SET status = 'suspended', deleted_ms = ?1 WHERE id > 't-019'")
        .bind(gateway.now())
        .run();
      const invocation = withObjectAway(gateway, "t-000", ms);
      for (let minute = 0; minute < 3; minute++) {
        const untilMs = invocation.now() + minuteMs;
        while (await eraseDue(invocation, { ...roomOfConsumer, untilMs }));
        gateway.advance(minuteMs);
      }
      const { results } = await env.DB.prepare(
        "SELECT tenant_id, count(*) AS n FROM tasks WHERE erasure <> 'done' GROUP BY tenant_id",
      ).all();
      expect(results).toEqual([{ tenant_id: "t-000", n: 300 }]);
      const ended = await env.DB.prepare("SELECT count(*) AS n FROM tenants WHERE erased_ms > 0").first("n");
      expect(ended).toBe(10);
      expect(gateway.logs.filter(({ event }) => event === "not_erased")).not.toEqual([]);
      expect(new Set(gateway.logs.filter(({ level }) => level).map(({ tenant }) => tenant))).toEqual(
        new Set(["t-000"]),
      );
      // Its text and pictures do not wait for the object.
      const text = await env.DB.prepare("SELECT count(*) AS n FROM tasks WHERE erasure = 'none'").first("n");
      expect(Number(text)).toBeLessThan(300);
      // Once it is back, all of it goes.
      gateway.advance(2 * minuteMs);
      await gateway.tick();
      expect(await erasedTasks()).toEqual({ done: 30 * 300 });
    },
    60_000,
  );
});

it("a consumer stays within the platform's 1,000 queries and 10,000 calls, however much is due", async () => {
  const gateway = startGateway();
  const tenants = namesOf(90);
  await insertTenants(tenants, 2);
  for (const tenantId of tenants)
    await insertEndedTasks({ tenantId, count: 1, fromMs: gateway.now() - 3 * dayMs });
  const made = gateway.invocation();
  let queries = 0;
  const db = measureDatabase(
    made.db,
    (call) => call(),
    () => queries++,
  );
  const room = { ...roomOfConsumer, untilMs: gateway.now() + minuteMs };
  expect(await eraseDue({ ...made, db }, room)).toBe(true);
  expect(queries).toBeGreaterThan(300);
  expect(queries).toBeLessThanOrEqual(1_000);
  await insertTenants(["large"], 2);
  const large = { tenantId: "large", count: 9_000, hasPicture: true };
  await insertEndedTasks({ ...large, fromMs: gateway.now() - 3 * dayMs });
  let puts = 0;
  const bucket = { put: async () => void puts++ } as unknown as R2Bucket;
  expect(await eraseDue({ ...made, bucket }, { ...roomOfConsumer, untilMs: gateway.now() + minuteMs })).toBe(
    true,
  );
  expect(puts).toBeGreaterThan(5_000);
  expect(puts).toBeLessThanOrEqual(8_000);
}, 60_000);
