/** Erasures in turns: of more than one tick takes up each comes to its turn, however long those before it take. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { readMaintenance } from "../../../src/d1/cron/maintenance.ts";
import { deleteTenant, endErasure, insertErasure } from "../../../src/d1/erasure/erasures.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

beforeEach(emptyStores);

const t0 = 1_900_000_000_000;
const minuteMs = 60_000;
/** More than two ticks take up. */
const many = 45;
const names = Array.from({ length: many }, (_, index) => `n-${String(index).padStart(2, "0")}`);
/** When each was asked for: not in the order of the names. */
const askedMs = (index: number) => t0 + ((index * 7) % many);
const inOrder = names.toSorted((a, b) => askedMs(names.indexOf(a)) - askedMs(names.indexOf(b)));

const sorted = (some: string[]) => some.toSorted((a, b) => a.localeCompare(b));

/** What each of so many ticks takes up. */
async function takenBy(
  ticks: number,
  named: (work: Awaited<ReturnType<typeof readMaintenance>>) => string[],
) {
  const taken: string[][] = [];
  for (let tick = 1; tick <= ticks; tick++) {
    taken.push(sorted(named(await readMaintenance(env.DB, t0 + tick * minuteMs))));
  }
  return taken;
}

describe("erasures that take long", () => {
  it("of end users are taken up the oldest first, and go behind all others", async () => {
    for (const [index, endUser] of names.entries()) {
      await insertErasure(env.DB, { tenantId: "slow", endUser, atMs: askedMs(index) });
    }
    const taken = await takenBy(3, ({ erasures }) => erasures.map(({ endUser }) => endUser));
    expect(taken.slice(0, 2)).toEqual([sorted(inOrder.slice(0, 20)), sorted(inOrder.slice(20, 40))]);
    expect(taken[2]).toHaveLength(20);
    expect(taken[2]).toEqual(expect.arrayContaining(inOrder.slice(40)));
  });

  it("that go on are not passed by new ones", async () => {
    const insert = async (kind: string, atMs: number) => {
      for (const name of names.slice(0, 20))
        await insertErasure(env.DB, { tenantId: kind, endUser: name, atMs });
    };
    const kindsTaken = async (nowMs: number) => [
      ...new Set((await readMaintenance(env.DB, nowMs)).erasures.map(({ tenantId }) => tenantId)),
    ];
    await insert("old", t0);
    expect(await kindsTaken(t0 + minuteMs)).toEqual(["old"]);
    await insert("new", t0 + 1.5 * minuteMs);
    expect(await kindsTaken(t0 + 2 * minuteMs)).toEqual(["old"]);
    expect(await kindsTaken(t0 + 3 * minuteMs)).toEqual(["new"]);
    expect(await kindsTaken(t0 + 4 * minuteMs)).toEqual(["old"]);
  });

  it("of deleted tenants as well", async () => {
    const insert = env.DB.prepare(
      "INSERT INTO tenants (id, name, limits, created_ms) VALUES (?1, ?1, '{}', 0)",
    );
    await env.DB.batch(names.map((name) => insert.bind(name)));
    await env.DB.batch(names.map((name, index) => deleteTenant(env.DB, name, askedMs(index))));
    const taken = await takenBy(3, ({ deleted }) => deleted.map(({ id }) => id));
    expect(taken.slice(0, 2)).toEqual([sorted(inOrder.slice(0, 20)), sorted(inOrder.slice(20, 40))]);
    expect(taken[2]).toEqual(expect.arrayContaining(inOrder.slice(40)));
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
  await endErasure(env.DB, { tenantId: "slow", endUser: "n-00", atMs: nowMs });
  const left = await env.DB.prepare("SELECT count(*) AS n FROM erasures").first();
  expect(left).toEqual({ n: many });
});
