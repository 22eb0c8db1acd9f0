/**
 * Deliveries that end without an attempt, and the log's bound: what these statements read follows from what they take, however
 * much is open, failing or logged.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import {
  cutLog,
  endExpired,
  noteLogs,
  readNotedLogs,
  selectLogsDue,
} from "../../../src/d1/webhooks/delivery-ends.ts";
import { dropOfSwitchedOff, selectWebhooksOff } from "../../../src/d1/webhooks/switch-off.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import { emptyStores } from "../../helpers/setup.ts";

const now = 1_900_000_000_000;
const hour = 3_600_000;
const life = 77 * hour;

beforeEach(emptyStores);

/** Runs work over a metered database. */
async function metered<T>(work: (db: D1Database) => Promise<T>) {
  const spent = { rowsRead: 0, rowsWritten: 0 };
  const db = measureDatabase(
    env.DB,
    (call) => call(),
    (cost) => {
      spent.rowsRead += cost.rowsRead;
      spent.rowsWritten += cost.rowsWritten;
    },
  );
  return { result: await work(db), ...spent };
}

const numbers = (count: number) =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

interface Rows {
  count: number;
  prefix: string;
  createdMs: number;
  endpoints?: number;
  state?: "pending" | "delivered";
}

const end = (db: D1Database, atMs: number) => endExpired(db, atMs, 500).run();
const ended = async (atMs: number) => {
  await end(env.DB, atMs);
  const { results } = await env.DB.prepare("SELECT 1 FROM deliveries WHERE state = 'failed'").all();
  return results.length;
};

/** Deliveries of tenant `many`, a millisecond apart. */
const insert = ({ count, prefix, createdMs, endpoints = 1, state = "pending" }: Rows) =>
  env.DB.prepare(
    `INSERT INTO deliveries (id, tenant_id, endpoint, event, open, state, created_ms, due_ms)
     ${numbers(count)} SELECT ?1 || printf('%07d', i), 'many', 'https://' || (i % CAST(?3 AS INTEGER)) || '.example', 'task.completed',
       ?4 = 'pending', ?4, ?2 + i, ?2 + i FROM n`,
  ).bind(prefix, createdMs, endpoints, state);

const states = async () => {
  const { results } = await env.DB.prepare(
    "SELECT substr(id, 1, 7) AS prefix, state, count(*) AS count FROM deliveries GROUP BY 1, 2",
  ).all<{ prefix: string; state: string; count: number }>();
  return Object.fromEntries(results.map(({ prefix, state, count }) => [`${prefix} ${state}`, count]));
};

describe("a delivery whose life is over", () => {
  it("is found beside a hundred thousand open ones of ten thousand failing endpoints, for the rows that it takes", async () => {
    await insert({ count: 100_000, prefix: "msg-new", createdMs: now - life + 1, endpoints: 10_000 }).run();
    await env.DB.prepare(
      `INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms)
       ${numbers(10_000)} SELECT 'many', 'https://' || (i - 1) || '.example', 9, ?1 FROM n`,
    )
      .bind(now + hour)
      .run();
    const none = await metered((db) => end(db, now));
    expect(none.rowsWritten).toBe(0);
    expect(none.rowsRead).toBeLessThanOrEqual(5);
    await insert({ count: 700, prefix: "msg-old", createdMs: now - life - 700, endpoints: 10_000 }).run();
    const first = await metered((db) => end(db, now));
    expect(await states()).toMatchObject({ "msg-old failed": 500 });
    expect(first.rowsRead / 500).toBeLessThanOrEqual(20);
    await end(env.DB, now);
    expect(await states()).toEqual({ "msg-new pending": 100_000, "msg-old failed": 700 });
  }, 120_000);

  it("is its sender's while it is being sent, and ends once the sender's lease is over", async () => {
    await insert({ count: 1, prefix: "msg-old", createdMs: now - life - 1 }).run();
    await env.DB.prepare("UPDATE deliveries SET state = 'sending', due_ms = ?1")
      .bind(now + 1)
      .run();
    expect(await ended(now)).toBe(0);
    expect(await ended(now + 1)).toBe(1);
  });

  it("lives as long again from when it was retried by hand", async () => {
    await insert({ count: 1, prefix: "msg-old", createdMs: now - 10 * life }).run();
    await env.DB.prepare("UPDATE deliveries SET retried_ms = ?1").bind(now).run();
    expect(await ended(now + life - 1)).toBe(0);
    expect(await ended(now + life)).toBe(1);
  });
});

describe("an endpoint that is switched off", () => {
  it("has what is open dropped some at a time, for the rows that these take", async () => {
    await insert({ count: 5_000, prefix: "msg-new", createdMs: now - 5_000 }).run();
    await env.DB.batch([
      env.DB.prepare(
        "INSERT INTO gone_urls (tenant_id, url, at_ms, reason) VALUES ('many', 'https://0.example/*', ?1, 'failing')",
      ).bind(now),
    ]);
    const dropped = await metered((db) => dropOfSwitchedOff(db, "many", "https://0.example", 500).run());
    expect(await states()).toEqual({ "msg-new dropped": 500, "msg-new pending": 4_500 });
    expect(dropped.rowsRead / 500).toBeLessThanOrEqual(20);
    // What came after it was switched off is of a task that may try it again.
    await insert({ count: 1, prefix: "msg-lat", createdMs: now }).run();
    await dropOfSwitchedOff(env.DB, "many", "https://0.example", -1).run();
    expect(await states()).toEqual({ "msg-new dropped": 5_000, "msg-lat pending": 1 });
  });

  it("is found for the operator beside ten thousand of other kinds, in a bounded number of rows", async () => {
    await env.DB.batch([
      env.DB.prepare(
        `INSERT INTO gone_urls (tenant_id, url, at_ms)
         ${numbers(10_000)} SELECT 'many', 'https://' || i || '.example/hook', ?1 FROM n`,
      ).bind(now),
      env.DB.prepare(
        `INSERT INTO gone_urls (tenant_id, url, at_ms, reason)
         ${numbers(200)} SELECT 't-' || i, 'webhook/*', 1000 * i, 'failing' FROM n`,
      ),
    ]);
    const { result, rowsRead } = await metered((db) => selectWebhooksOff(db).all<{ tenant: string }>());
    expect(result.results[0]).toEqual({ tenant: "t-200", at: 200, reason: "failing" });
    expect(result.results).toHaveLength(20);
    expect(rowsRead).toBeLessThanOrEqual(40);
  });
});

describe("the log of a tenant", () => {
  const noted = async () => (await readNotedLogs(env.DB, 10)).tenants;
  const note = (over: object = {}) =>
    noteLogs(env.DB, { since: "msg-c", share: 2_000, all: false, untilMs: now, ...over });
  const tenant = (id: string) =>
    env.DB.prepare("INSERT INTO tenants (id, name, limits, created_ms) VALUES (?1, '', '{}', 0)").bind(id);

  beforeEach(async () => {
    await env.DB.batch([
      tenant("many"),
      tenant("none"),
      insert({ count: 10, prefix: "msg-a-o", createdMs: now }),
      insert({ count: 1_000, prefix: "msg-b-e", createdMs: now, state: "delivered" }),
      insert({ count: 2_000, prefix: "msg-c-e", createdMs: now, state: "delivered" }),
    ]);
  });

  it("keeps its newest, and what is open, is noted until it has no more, and reads what it keeps and deletes", async () => {
    await note();
    const bound = { kept: 2_000, limit: 400 };
    const some = await metered((db) => cutLog(db, "many", bound));
    expect([some.result, (await states())["msg-b-e delivered"]]).toEqual([true, 600]);
    expect(some.rowsRead).toBeLessThanOrEqual(2_000 + 8 * 410);
    expect(await noted()).toEqual(["many"]);
    expect([await cutLog(env.DB, "many", bound), await cutLog(env.DB, "many", bound)]).toEqual([true, false]);
    expect(await noted()).toEqual([]);
    expect(await states()).toEqual({ "msg-a-o pending": 10, "msg-c-e delivered": 2_000 });
  });

  it("is noted by its share of what is new, for the rows of that, or with all that have one", async () => {
    const few = await metered((db) =>
      noteLogs(db, { since: "msg-c-e0001001", share: 1_001, all: false, untilMs: now }),
    );
    // Grouping counts each twice.
    expect(few.rowsRead).toBeLessThanOrEqual(2 * 1_000 + 10);
    expect(await readNotedLogs(env.DB, 10)).toEqual({ untilMs: now, tenants: [] });
    const due = (atMs: number) =>
      metered(async (db) => (await selectLogsDue(db, atMs).all()).results.length > 0);
    const idle = await due(now - 1);
    expect(idle.result).toBe(false);
    expect(idle.rowsRead).toBeLessThanOrEqual(3);
    expect((await due(now)).result).toBe(true);
    await note();
    expect([await noted(), (await due(now - 1)).result]).toEqual([["many"], true]);
    await env.DB.prepare("DELETE FROM leases WHERE name LIKE 'webhook_logs %'").run();
    const all = await metered((db) => noteLogs(db, { since: "msg-d", share: 1, all: true, untilMs: now }));
    expect(await noted()).toEqual(["many"]);
    expect(all.rowsRead).toBeLessThanOrEqual(20);
  });
});
