/** Erasures in turns: each comes to its turn, however long those before it take, and whatever is asked for meanwhile. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type ErasureTurn,
  endTurn,
  insertErasure,
  oldestErasureMs,
  putBehind,
  takeTurn,
  waitUntil,
} from "../../../src/d1/erasure/erasure-turns.ts";
import { deleteTenant } from "../../../src/d1/erasure/erasures.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(emptyStores);

const t0 = 1_900_000_000_000;
const minuteMs = 60_000;
const many = 45;
const names = Array.from({ length: many }, (_, index) => `n-${String(index).padStart(2, "0")}`);
/** When each was asked for: not in the order of the names. */
const askedMs = (index: number) => t0 + ((index * 7) % many);
const inOrder = names.toSorted((a, b) => askedMs(names.indexOf(a)) - askedMs(names.indexOf(b)));

const atBeginning = { in: "database", afterId: "", isLast: false } as const;

const fail = (problem: Error) => {
  throw problem;
};
const take = async (nowMs: number): Promise<ErasureTurn | undefined> =>
  (await takeTurn(env.DB, nowMs, nowMs + minuteMs, fail))?.turn;

const insertTenant = (id: string, retentionDays: number | null = null) =>
  env.DB.prepare(
    "INSERT INTO tenants (id, name, limits, created_ms, retention_days) VALUES (?1, ?1, '{}', 0, ?2)",
  ).bind(id, retentionDays);

const turnOf = (tenantId: string) =>
  env.DB.prepare("SELECT since_ms, due_ms, cursor FROM erasure_turns WHERE tenant_id = ?1")
    .bind(tenantId)
    .first();

/** Takes so many turns, a second each, of which each goes on. */
async function takenInTurn(count: number): Promise<string[]> {
  const taken: string[] = [];
  for (let second = 1; second <= count; second++) {
    const nowMs = t0 + second * 1_000;
    const turn = await take(nowMs);
    if (!turn) break;
    taken.push(turn.endUser || turn.tenantId);
    await putBehind(env.DB, turn, nowMs, atBeginning);
  }
  return taken;
}

describe("a turn", () => {
  it("of a person goes behind all others, those that were asked for first before it", async () => {
    for (const [index, endUser] of names.entries()) {
      await insertErasure(env.DB, { tenantId: "slow", endUser, atMs: askedMs(index) });
    }
    expect(await takenInTurn(2 * many)).toEqual([...inOrder, ...inOrder]);
  });

  it("of a deleted tenant does so as well", async () => {
    await env.DB.batch(names.map((name) => insertTenant(name)));
    await env.DB.batch(names.map((name, index) => deleteTenant(env.DB, name, askedMs(index))));
    expect(await takenInTurn(2 * many)).toEqual([...inOrder, ...inOrder]);
  });

  it("that goes on is not passed by new ones", async () => {
    await insertErasure(env.DB, { tenantId: "a", endUser: "old", atMs: t0 });
    expect(await takenInTurn(1)).toEqual(["old"]);
    await insertErasure(env.DB, { tenantId: "a", endUser: "new", atMs: t0 + 1_500 });
    expect((await take(t0 + 2_000))?.endUser).toBe("old");
  });

  it("is one eraser's at a time, and another's once its lease has run out", async () => {
    await insertErasure(env.DB, { tenantId: "a", endUser: "ada", atMs: t0 });
    const dead = await take(t0);
    expect(dead?.endUser).toBe("ada");
    expect(await take(t0 + minuteMs - 1)).toBeUndefined();
    const next = await take(t0 + minuteMs);
    if (!dead || !next) throw new Error("not taken");
    // The one that was slow ends and moves nothing any more.
    await endTurn(env.DB, dead, t0);
    await putBehind(env.DB, dead, t0, { ...atBeginning, afterId: "task-9" });
    expect(await turnOf("a")).toMatchObject({ due_ms: next.leaseUntilMs, cursor: "" });
    await endTurn(env.DB, next, t0);
    expect(await turnOf("a")).toBeNull();
  });

  it("is a tenant's from the moment that it has a retention, and due at once when that changes, until it has none", async () => {
    await env.DB.batch([insertTenant("with", 30), insertTenant("without")]);
    expect([await turnOf("with"), await turnOf("without")]).toMatchObject([{ due_ms: 0 }, null]);
    const turn = await take(t0);
    if (!turn) throw new Error("not taken");
    await waitUntil(env.DB, turn, t0 + 86_400_000, atBeginning).run();
    expect(await take(t0 + minuteMs)).toBeUndefined();
    await env.DB.prepare("UPDATE tenants SET retention_days = 2, name = 'other'").run();
    expect([await turnOf("with"), await turnOf("without")]).toMatchObject([{ due_ms: 0 }, { due_ms: 0 }]);
    await env.DB.prepare("UPDATE erasure_turns SET due_ms = 7").run();
    await env.DB.prepare("UPDATE tenants SET retention_days = 2, name = 'another'").run();
    expect(await turnOf("with")).toMatchObject({ due_ms: 7 });
    await env.DB.prepare("UPDATE tenants SET retention_days = NULL").run();
    expect([await turnOf("with"), await turnOf("without")]).toEqual([null, null]);
  });

  it("is also what the version before asks for, in its own table", async () => {
    const insert = "INSERT INTO erasures (tenant_id, end_user, at_ms, worked_ms) VALUES ('a', 'ada', ?1, ?1)";
    await env.DB.prepare(`${insert} ON CONFLICT (tenant_id, end_user) DO UPDATE SET at_ms = max(at_ms, ?1)`)
      .bind(t0)
      .run();
    expect(await take(t0)).toMatchObject({ tenantId: "a", endUser: "ada", atMs: t0 });
    expect(await env.DB.prepare("SELECT * FROM erasures").first()).toBeNull();
  });
});

it("statements of the version before run beside this one", async () => {
  const run = (sql: string, ...values: unknown[]) =>
    env.DB.prepare(sql)
      .bind(...values)
      .all();
  await run(
    `UPDATE erasures SET worked_ms = ?2 WHERE (tenant_id, end_user) IN (
       SELECT tenant_id, end_user FROM erasures INDEXED BY erasures_in_turn ORDER BY worked_ms LIMIT ?1)`,
    ...[20, t0],
  );
  await run(
    `UPDATE tenants SET erasure_worked_ms = ?2 WHERE id IN (
       SELECT id FROM tenants INDEXED BY tenants_to_erase WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL
       ORDER BY erasure_worked_ms LIMIT ?1)`,
    ...[20, t0],
  );
  await run(
    `SELECT id FROM tasks INDEXED BY tasks_erasing
     WHERE erasure = 'pending' AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1))) LIMIT ?2`,
    ...[null, 20],
  );
  await run(
    `SELECT id FROM files INDEXED BY files_erasing WHERE erasure = 'pending' AND (?1 IS NULL OR tenant_id = ?1) LIMIT ?2`,
    ...[null, 20],
  );
  const retention =
    "SELECT id FROM tenants INDEXED BY tenants_with_retention WHERE retention_days IS NOT NULL";
  expect((await run(retention)).results).toEqual([]);
});

describe("the age of the oldest erasure", () => {
  it("counts from what was asked for, until nothing is left to erase", async () => {
    expect(await oldestErasureMs(env.DB, t0)).toBe(0);
    await insertErasure(env.DB, { tenantId: "a", endUser: "ada", atMs: t0 });
    const turn = await take(t0 + 5_000);
    if (!turn) throw new Error("not taken");
    expect(await oldestErasureMs(env.DB, t0 + 7_000)).toBe(7_000);
    await waitUntil(env.DB, turn, t0 + minuteMs, atBeginning).run();
    expect(await oldestErasureMs(env.DB, t0 + 7_000)).toBe(0);
  });
});

it("twenty end users whose tasks run on keep no other's task from being erased", async () => {
  const gateway = startGateway();
  const insertTask = env.DB.prepare(
    `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata, end_user,
       price_credits, created_ms, deadline_ms, due_ms, attempts)
     VALUES ('task-' || ?1, 'slow', 'key-1', 'req-1', 'https://gateway.example', ?2, ?2 = 'queued', 'wan-2.7-image',
       '{"prompt":"a boat","n":1,"size":"square"}', '{}', ?1, 30, ?3, ?4, ?4, 0)`,
  );
  const nowMs = gateway.now();
  const values = (name: string, state: string) => insertTask.bind(name, state, nowMs, nowMs + 86_400_000);
  await env.DB.batch([...names.map((name) => values(name, "queued")), values("z-ended", "failed")]);
  for (const endUser of names) {
    await insertErasure(env.DB, { tenantId: "slow", endUser, atMs: nowMs });
  }
  await insertErasure(env.DB, { tenantId: "slow", endUser: "z-ended", atMs: nowMs + 1 });
  for (let tick = 0; tick < 3; tick++) {
    gateway.advance(minuteMs);
    await gateway.tick();
  }
  const row = await env.DB.prepare("SELECT erasure FROM tasks WHERE id = 'task-z-ended'").first();
  expect(row).toEqual({ erasure: "done" });
  const left = await env.DB.prepare("SELECT count(*) AS n FROM erasure_turns").first();
  expect(left).toEqual({ n: many });
});
