/**
 * A hold whose Worker died before it wrote the task's row is given back, and a Worker that still comes to write that
 * row is stopped: a hold without a task and a task without a hold never stay.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it } from "vitest";
import { voidMissing } from "../../src/d1/tasks/voids.ts";
import { newTask, writeTask } from "../helpers/seed.ts";
import {
  type Asked,
  configure,
  freshId,
  keyOf,
  ledgerOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

const waitMs = 120_000;
const other = "key-0000000000000002";

async function configured(): Promise<string> {
  const id = freshId();
  const limits = limitsOf({ images_per_day: 100, concurrent_tasks: 50 });
  await configure(id, { limits, prepaid: true, openingBalance: 5_000, keys: [keyOf(), keyOf(other)] });
  return id;
}

/** Admits a task, and nothing more. */
async function admitTask(id: string, over: Asked = {}): Promise<{ task: string; hold: number }> {
  const request = requestOf(id, over);
  const decision = await stubOf(id).admit(request);
  if (decision.kind !== "admitted") throw new Error(decision.kind);
  return { task: request.taskId, hold: decision.holdNumber };
}

/** What a Worker does next. */
const writeRow = (tenantId: string, task: string) =>
  writeTask(env.DB, newTask({ id: task, tenantId }), t0 + waitMs);

const runAlarm = (id: string) => runDurableObjectAlarm(objectOf(id));
const alarmOf = (id: string) =>
  runInDurableObject(objectOf(id), (_object, state) => state.storage.getAlarm());
const held = async (id: string) => (await summaryOf(id)).held;
const isVoid = async (task: string) =>
  (await env.DB.prepare("SELECT 1 FROM voids WHERE id = ?1").bind(task).all()).results.length > 0;
const hasRow = async (task: string) =>
  (await env.DB.prepare("SELECT 1 FROM tasks WHERE id = ?1").bind(task).all()).results.length > 0;

/** Makes D1 answer the alarm with an error until it is called again. */
let isUnavailable = false;
async function toggleD1(): Promise<void> {
  const [from, to] = isUnavailable ? ["voids_away", "voids"] : ["voids", "voids_away"];
  await env.DB.prepare(`ALTER TABLE ${from} RENAME TO ${to}`).run();
  isUnavailable = !isUnavailable;
}
afterEach(async () => {
  if (isUnavailable) await toggleD1();
});

describe("two minutes after an admission", () => {
  it("a hold without a row is released, and its task is never written", async () => {
    const id = await configured();
    const { task } = await admitTask(id, { images: 4 });
    expect(await alarmOf(id)).toBe(t0 + waitMs);
    const before = await summaryOf(id);
    expect(await runAlarm(id)).toBe(true);
    expect(before).toMatchObject({ held: 120, remaining: { images_per_day: 96, concurrent_tasks: 49 } });
    expect(await summaryOf(id)).toMatchObject({
      balance: 5_000,
      held: 0,
      remaining: { images_per_day: 100, concurrent_tasks: 50 },
    });
    expect(await writeRow(id, task)).toBeUndefined();
    expect(await hasRow(task)).toBe(false);
  });

  it("one with a row stays, to be settled by its task's end", async () => {
    const id = await configured();
    const { task, hold } = await admitTask(id, { images: 4 });
    await writeRow(id, task);
    await runAlarm(id);
    expect(await isVoid(task)).toBe(false);
    expect(await held(id)).toBe(120);
    await settle(id, hold, { images: 4 });
    expect(await summaryOf(id)).toMatchObject({ balance: 4_880, held: 0 });
  });

  it("one that has ended is left alone", async () => {
    const id = await configured();
    const { task, hold } = await admitTask(id);
    await settle(id, hold, { images: 1 });
    const before = await ledgerOf(id);
    await runAlarm(id);
    expect(await ledgerOf(id)).toEqual(before);
    expect(await isVoid(task)).toBe(false);
  });

  it("an idempotency key whose task never came is free again", async () => {
    const id = await configured();
    const replay = { by: "key", value: "order 7", fingerprint: "a body", retries: 0 } as const;
    await admitTask(id, { replay });
    expect((await stubOf(id).admit(requestOf(id, { replay }))).kind).toBe("replay");
    await runAlarm(id);
    expect((await stubOf(id).admit(requestOf(id, { replay }))).kind).toBe("admitted");
  });

  it("either the row or the void gets in when both come at once", async () => {
    const id = await configured();
    const tasks = await Promise.all(Array.from({ length: 30 }, () => admitTask(id)));
    // The first alarm checks what there was when it was set: the first one.
    await runAlarm(id);
    const [written] = await Promise.all([
      Promise.all(tasks.map(({ task }) => writeRow(id, task))),
      runAlarm(id),
    ]);
    for (const { task } of tasks) expect(await hasRow(task)).toBe(!(await isVoid(task)));
    expect(await held(id)).toBe(30 * written.filter(Boolean).length);
  });
});

describe("a hold that cannot be released", () => {
  const change = (id: string, statement: string, ...values: unknown[]) =>
    runInDurableObject(objectOf(id), (_object, { storage }) => {
      storage.sql.exec(statement, ...values);
    });

  it.each([
    [
      "its row",
      (id: string, hold: number) => change(id, "UPDATE open_tasks SET images = 'x' WHERE seq = ?", hold),
    ],
    [
      "its key's counters",
      (id: string) => change(id, "INSERT INTO scopes (scope, body) VALUES (?, '{x')", other),
    ],
  ])("since %s cannot be read keeps no other from it", async (_what, damage) => {
    const id = await configured();
    const { hold } = await admitTask(id, { keyId: other, keyHash: keyOf(other).hash });
    const { task } = await admitTask(id);
    await damage(id, hold);
    await runAlarm(id);
    await runAlarm(id);
    expect(await isVoid(task)).toBe(true);
    expect(await held(id)).toBe(30);
    expect(await alarmOf(id)).toBeNull();
  });
});

describe("the alarm", () => {
  it("is not set while nothing is open", async () => {
    const id = await configured();
    await stubOf(id).credit(id, { type: "topup", amount: 5, reference: "r", note: null }, t0);
    expect((await stubOf(id).admit(requestOf(id, { images: 1_000 }))).kind).toBe("never_fits");
    expect(await runAlarm(id)).toBe(false);
  });

  it.each(["has a row", "has ended", "is released"])(
    "is not set again once the last hold %s",
    async (how) => {
      const id = await configured();
      const { task, hold } = await admitTask(id);
      if (how === "has a row") await writeRow(id, task);
      if (how === "has ended") await settle(id, hold);
      await runAlarm(id);
      expect(await runAlarm(id)).toBe(false);
      await admitTask(id, { nowMs: t0 + 3 * waitMs });
      expect(await alarmOf(id)).toBe(t0 + 4 * waitMs);
    },
  );

  it("gives each hold its two minutes, also when it is late", async () => {
    const id = await configured();
    await admitTask(id);
    const lateMs = t0 + waitMs + 70_000;
    const { task } = await admitTask(id, { nowMs: lateMs });
    await stubOf(id).credit(id, { type: "topup", amount: 5, reference: "r", note: null }, lateMs);
    await runAlarm(id);
    expect(await isVoid(task)).toBe(false);
    expect(await held(id)).toBe(30);
    expect(await alarmOf(id)).toBe(lateMs + waitMs);
    await runAlarm(id);
    expect(await isVoid(task)).toBe(true);
    expect(await held(id)).toBe(0);
  });

  it("outlives an eviction, with all that it has to know", async () => {
    const id = await configured();
    const { task } = await admitTask(id);
    await evictDurableObject(objectOf(id));
    await runAlarm(id);
    expect(await isVoid(task)).toBe(true);
    await evictDurableObject(objectOf(id));
    expect(await held(id)).toBe(0);
  });

  it("tries again when D1 is unavailable, and gives nothing back before", async () => {
    const id = await configured();
    const { task } = await admitTask(id);
    const later = await admitTask(id, { nowMs: t0 + 1_000 });
    await toggleD1();
    for (let times = 0; times < 3; times++) {
      expect(await runAlarm(id)).toBe(true);
      expect(await held(id)).toBe(60);
      await evictDurableObject(objectOf(id));
    }
    await toggleD1();
    await writeRow(id, later.task);
    await runAlarm(id);
    expect([await isVoid(task), await isVoid(later.task)]).toEqual([true, false]);
    expect(await held(id)).toBe(30);
    expect(await runAlarm(id)).toBe(false);
  });

  it("finishes what one began that died after its voids went in", async () => {
    const id = await configured();
    const { task } = await admitTask(id);
    expect(await voidMissing(env.DB, [task], t0)).toEqual([task]);
    await runAlarm(id);
    expect(await held(id)).toBe(0);
  });

  it("that comes twice changes nothing the second time", async () => {
    const id = await configured();
    await admitTask(id);
    await runAlarm(id);
    const before = [await summaryOf(id), await ledgerOf(id)];
    await runInDurableObject(objectOf(id), (object) => object.alarm());
    expect([await summaryOf(id), await ledgerOf(id)]).toEqual(before);
  });
});
