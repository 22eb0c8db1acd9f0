/**
 * What a claim of webhooks reads: as much as it may take, however much waits. The turns of tenants and endpoints follow
 * from the deliveries and the back-offs after every change of these.
 */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AttemptResult, recordAttempt } from "../../../src/d1/webhooks/attempts.ts";
import { claimDeliveries, type Sending, selectNextDelivery } from "../../../src/d1/webhooks/deliveries.ts";
import { retryDelivery } from "../../../src/d1/webhooks/delivery-log.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";

const now = 1_900_000_000_000;
const leaseMs = 30_000;

beforeEach(async () => {
  await env.DB.batch(
    ["deliveries", "endpoints", "tenants"].map((table) => env.DB.prepare(`DELETE FROM ${table}`)),
  );
});

/** Every endpoint with open deliveries has a turn that is not too late, and its tenant one that is not later. */
afterEach(async () => {
  const { results } = await env.DB.prepare(
    `WITH wanted AS (
       SELECT one.tenant_id, one.endpoint, failures IS NOT NULL AS failing,
         max(min(due_ms), coalesce(backoff_until_ms, 0)) AS due_ms
       FROM deliveries AS one LEFT JOIN endpoints USING (tenant_id, endpoint)
       WHERE open = 1 GROUP BY one.tenant_id, one.endpoint)
     SELECT wanted.*, turn.due_ms AS is_ms, ours.due_ms AS tenant_ms FROM wanted
       LEFT JOIN endpoint_turns AS turn USING (tenant_id, endpoint, failing)
       LEFT JOIN tenant_turns AS ours USING (tenant_id, failing)
     WHERE NOT coalesce(turn.due_ms <= wanted.due_ms AND ours.due_ms <= turn.due_ms, 0)
     UNION ALL
     SELECT tenant_id, endpoint, failing, NULL, due_ms, NULL FROM endpoint_turns
     WHERE (tenant_id, endpoint, failing) NOT IN (SELECT tenant_id, endpoint, failing FROM wanted)
     UNION ALL
     SELECT tenant_id, NULL, failing, NULL, NULL, due_ms FROM tenant_turns
     WHERE (tenant_id, failing) NOT IN (SELECT tenant_id, failing FROM wanted)`,
  ).all();
  expect(results).toEqual([]);
});

type Of = "one tenant" | "as many tenants";

/** Deliveries that are due, to as many endpoints, which fail and are in back-off until `untilMs`. */
async function insertFailing(count: number, of: Of, untilMs: number, dueMs = now - 60_000): Promise<void> {
  const tenant = of === "one tenant" ? "'bad'" : "'bad-' || i";
  const many = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, created_ms, due_ms)
       ${many} SELECT 'msg-bad-' || i, ${tenant}, 'https://' || i || '.example', 'task.completed', ?1, ?1 FROM n`,
    ).bind(dueMs),
    env.DB.prepare(
      `INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms)
       ${many} SELECT ${tenant}, 'https://' || i || '.example', 9, ?1 FROM n`,
    ).bind(untilMs),
  ]);
}

async function insertOne(id: string, tenant = "well", dueMs = now, endpoint = "webhook"): Promise<void> {
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO tenants (id, name, limits, created_ms, webhook_url, webhook_secret)
       VALUES (?1, ?1, '{}', 0, 'https://well.example/hook', 'whsec_AAAA') ON CONFLICT DO NOTHING`,
    ).bind(tenant),
    env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
       VALUES (?1, ?2, ?4, 'balance.low', '{}', ?3, ?3)`,
    ).bind(id, tenant, dueMs, endpoint),
  ]);
}

/** Runs work over a metered database. */
async function metered<T>(work: (db: D1Database) => Promise<T>) {
  const most = { rowsRead: 0, rowsWritten: 0 };
  const db = measureDatabase(
    env.DB,
    (call) => call(),
    (cost) => {
      most.rowsRead = Math.max(most.rowsRead, cost.rowsRead);
      most.rowsWritten += cost.rowsWritten;
    },
  );
  return { result: await work(db), ...most };
}

const claim = (db: D1Database, atMs = now) =>
  claimDeliveries(db, { nowMs: atMs, leaseUntilMs: atMs + leaseMs, limit: 6, failing: 3 });
const next = async (db: D1Database) => (await db.batch([selectNextDelivery(db)]))[0]?.results;
const sending = async () =>
  (
    await env.DB.prepare("SELECT id FROM deliveries WHERE state = 'sending' ORDER BY id").all<{
      id: string;
    }>()
  ).results.map(({ id }) => id);
const delivered: AttemptResult = { status: 200, problem: null, outcome: { kind: "delivered" } };
const failed = (againMs: number): AttemptResult => ({
  status: 500,
  problem: "status 500",
  outcome: { kind: "failed", againMs },
});
async function claimOne(): Promise<Sending> {
  const [one] = await claim(env.DB);
  if (!one) throw new Error("nothing was claimed");
  return one;
}

describe("ten thousand endpoints that fail", () => {
  it.each<[Of, string, number]>([
    ["one tenant", "in back-off", now + 60_000],
    ["as many tenants", "in back-off", now + 60_000],
    ["one tenant", "due", now - 1],
    ["as many tenants", "due", now - 1],
  ])(
    "of %s, all of them %s, keep no claim from another's webhook, and cost it few rows",
    async (of, _what, untilMs) => {
      await insertFailing(10_000, of, untilMs);
      await insertOne("msg-well");
      const read = await metered(next);
      expect(read.result).toEqual([{ dueMs: Math.min(now, untilMs) }]);
      expect(read.rowsRead).toBeLessThanOrEqual(6);
      const claimed = await metered(claim);
      expect(await sending()).toContain("msg-well");
      expect(claimed.rowsRead).toBeLessThanOrEqual(150);
      const failing = untilMs > now ? 0 : of === "one tenant" ? 2 : 3;
      expect(await sending()).toHaveLength(1 + failing);
    },
    60_000,
  );

  it("get three connections of six, and the longest due go first", async () => {
    await insertFailing(20, "as many tenants", now - 1, now - 1_000);
    await env.DB.prepare("UPDATE deliveries SET due_ms = ?1 WHERE id = 'msg-bad-7'")
      .bind(now - 5_000)
      .run();
    await env.DB.prepare("UPDATE endpoints SET backoff_until_ms = 0 WHERE tenant_id = 'bad-7'").run();
    await claim(env.DB);
    expect(await sending()).toContain("msg-bad-7");
    expect(await sending()).toHaveLength(3);
  });
});

describe("ten thousand endpoints of one tenant that are new", () => {
  it("keep no claim from another's webhook, also while two of them hang", async () => {
    await insertFailing(10_000, "one tenant", 0);
    await env.DB.prepare("DELETE FROM endpoints").run();
    await claim(env.DB);
    expect(await sending()).toHaveLength(2);
    await insertOne("msg-well");
    const claimed = await metered(claim);
    expect(claimed.rowsRead).toBeLessThanOrEqual(150);
    expect(await sending()).toHaveLength(3);
    expect(await sending()).toContain("msg-well");
  }, 60_000);
});

describe("tenants whose receivers hang", () => {
  it("keep no claim from another's webhook, however many they are", async () => {
    for (const tenant of Array.from({ length: 8 }, (_, index) => `hangs-${index}`)) {
      for (const n of [1, 2, 3]) await insertOne(`msg-${tenant}-${n}`, tenant, now - 60_000);
    }
    for (let i = 0; i < 4; i++) await claim(env.DB);
    expect(await sending()).toHaveLength(16);
    await insertOne("msg-well");
    await claim(env.DB);
    expect(await sending()).toHaveLength(17);
    expect(await sending()).toContain("msg-well");
  });
});

describe("the turn of an endpoint", () => {
  it("goes with its last delivery, and costs seven rows beside the seven of the delivery itself", async () => {
    const insert = await metered(async (db) => {
      await db
        .prepare(
          `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
           VALUES ('msg-1', 'well', 'webhook', 'balance.low', '{}', ?1, ?1)`,
        )
        .bind(now)
        .run();
    });
    await env.DB.prepare(
      "INSERT INTO tenants (id, name, limits, created_ms, webhook_url, webhook_secret) VALUES ('well', 'w', '{}', 0, 'https://w.example', 'whsec_AAAA')",
    ).run();
    const taken = await metered(claim);
    const ended = await metered((db) => recordAttempt(db, taken.result[0] as Sending, delivered, now));
    expect(await next(env.DB)).toEqual([{ dueMs: null }]);
    expect([insert, taken, ended].map(({ rowsWritten }) => rowsWritten)).toEqual([8, 3, 3]);
  });

  it("moves to the next attempt, to the end of the back-off, and back where the operator wants it now", async () => {
    await insertOne("msg-1");
    await recordAttempt(env.DB, await claimOne(), failed(now + 5_000), now);
    expect(await next(env.DB)).toEqual([{ dueMs: now + 5_000 }]);
    await env.DB.prepare("UPDATE endpoints SET backoff_until_ms = ?1")
      .bind(now + 90_000)
      .run();
    expect(await next(env.DB)).toEqual([{ dueMs: now + 90_000 }]);
    expect(await claim(env.DB, now + 80_000)).toEqual([]);
    await retryDelivery(env.DB, null, "msg-1", now + 10);
    expect(await next(env.DB)).toEqual([{ dueMs: now + 10 }]);
    expect(await claim(env.DB, now + 10)).toHaveLength(1);
  });

  it("is now for one that the operator wants now, where its endpoint works again", async () => {
    await insertOne("msg-1");
    await recordAttempt(env.DB, await claimOne(), failed(now + 300_000), now);
    await insertOne("msg-2");
    await recordAttempt(env.DB, await claimOne(), delivered, now);
    expect(await next(env.DB)).toEqual([{ dueMs: now + 300_000 }]);
    await retryDelivery(env.DB, null, "msg-1", now + 10);
    expect(await next(env.DB)).toEqual([{ dueMs: now + 10 }]);
  });

  it("is the end of its sender's lease while it is sent, so that no other lane waits for it", async () => {
    await insertOne("msg-1");
    await claimOne();
    expect(await next(env.DB)).toEqual([{ dueMs: now + leaseMs }]);
    await insertOne("msg-2", "other", now + 10_000);
    expect(await next(env.DB)).toEqual([{ dueMs: now + 10_000 }]);
  });

  it("stays while its only delivery is sent, so that a sender that dies is followed by another", async () => {
    await insertOne("msg-1");
    await claimOne();
    expect(await claim(env.DB, now + leaseMs - 1)).toEqual([]);
    expect(await claim(env.DB, now + leaseMs)).toHaveLength(1);
  });

  it("is there for a delivery that comes while another is sent", async () => {
    await insertOne("msg-1");
    const one = await claimOne();
    await insertOne("msg-2");
    await recordAttempt(env.DB, one, delivered, now);
    expect(await claim(env.DB)).toHaveLength(1);
  });
});
