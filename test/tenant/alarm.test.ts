/**
 * The alarm of a tenant's object: D1 gets what it lacks, and holds end whose tasks have ended elsewhere, whatever was out
 * or evicted meanwhile.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import { endTask } from "../../src/d1/tasks/tasks.ts";
import type { FirstOutcome } from "../../src/domain/new-task.ts";
import { db, picture, taskOf } from "../helpers/seed.ts";
import {
  type Asked,
  beginTask,
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

const everyMs = 60_000;
const other = "key-0000000000000002";

async function configured(): Promise<string> {
  const id = freshId();
  const limits = limitsOf({ images_per_day: 100, concurrent_tasks: 50 });
  await configure(id, { limits, prepaid: true, openingBalance: 5_000, keys: [keyOf(), keyOf(other)] });
  return id;
}

/** Begins a task, of which D1 knows nothing yet. */
async function begin(id: string, over: Asked = {}): Promise<{ task: string; hold: number }> {
  const request = requestOf(id, over);
  const decision = await beginTask(id, request);
  if (decision.kind !== "admitted") throw new Error(decision.kind);
  return { task: request.taskId, hold: decision.holdNumber };
}

const runAlarm = (id: string) => runDurableObjectAlarm(objectOf(id));
const alarmOf = (id: string) =>
  runInDurableObject(objectOf(id), (_object, state) => state.storage.getAlarm());
const held = async (id: string) => (await summaryOf(id)).held;
const hasRow = async (task: string) =>
  (await db.prepare("SELECT 1 FROM tasks WHERE id = ?1").bind(task).all()).results.length > 0;
const change = (id: string, statement: string, ...values: unknown[]) =>
  runInDurableObject(objectOf(id), (_object, { storage }) => {
    storage.sql.exec(statement, ...values);
  });

/** Ends a task in D1 as completed, and says nothing of it to its object. */
async function end(task: string, images: number): Promise<void> {
  const stored = Array.from({ length: images }, (_, i) => picture(`img-${i}`, { state: "stored" }));
  const ending = { id: task, from: ["submitting"] as const, state: "completed", errorCode: null } as const;
  await endTask(db, { ...ending, images: stored }, t0 + 1_000).run();
}

const endOf = ({ task, hold }: { task: string; hold: number }) => ({
  taskId: task,
  holdNumber: hold,
  nowMs: t0 + 5,
});

/** As a Worker of the version before began it: the object has nothing that D1 could be given. */
const withoutRecord = (id: string, hold: number) =>
  change(id, "UPDATE open_tasks SET record = NULL WHERE seq = ?", hold);

let isUnavailable = false;
async function toggleD1(): Promise<void> {
  const [from, to] = isUnavailable ? ["tasks_away", "tasks"] : ["tasks", "tasks_away"];
  await db.prepare(`ALTER TABLE ${from} RENAME TO ${to}`).run();
  isUnavailable = !isUnavailable;
}
afterEach(async () => {
  if (isUnavailable) await toggleD1();
});

describe("a task that D1 lacks", () => {
  it("is written by the alarm, as it began, and its hold stays", async () => {
    const id = await configured();
    const { task, hold } = await begin(id, { images: 4 });
    expect(await alarmOf(id)).toBe(t0 + everyMs);
    expect(await hasRow(task)).toBe(false);
    expect(await runAlarm(id)).toBe(true);
    expect(await taskOf(task)).toMatchObject({
      ...{ tenantId: id, state: "submitting", version: 1, attempts: 1, holdNumber: hold, priceCredits: 30 },
      ...{ input: { prompt: "a lighthouse", n: 1 }, createdMs: t0, dueMs: t0 + 60_000 },
    });
    expect(await held(id)).toBe(120);
  });

  it("is written with its outcome, where D1 was out when that came, also after an eviction", async () => {
    const id = await configured();
    const first = await begin(id);
    const second = await begin(id);
    await toggleD1();
    const submitted: FirstOutcome = {
      kind: "submitted",
      upstreamId: "task-unified-1",
      submittedMs: t0 + 5,
      estimatedSeconds: 30,
    };
    for (const { task, hold } of [first, second])
      expect(await stubOf(id).noteOutcome(hold, task, submitted)).toBe(false);
    await evictDurableObject(objectOf(id));
    for (let times = 0; times < 3; times++) expect(await runAlarm(id)).toBe(true);
    await toggleD1();
    await evictDurableObject(objectOf(id));
    await runAlarm(id);
    for (const { task } of [first, second])
      expect(await taskOf(task)).toMatchObject({
        state: "submitted",
        upstreamId: "task-unified-1",
        version: 2,
      });
    expect(await held(id)).toBe(60);
  });

  it("is written no more once D1 has it, also when an earlier object wrote it there", async () => {
    const id = await configured();
    const { hold } = await begin(id);
    await stubOf(id).writeRow(hold);
    // An object that is made anew does not know that.
    await evictDurableObject(objectOf(id));
    await runAlarm(id);
    await settle(id, hold);
    await runAlarm(id);
    expect(await alarmOf(id)).toBeNull();
  });

  it("is written again when D1 has lost it, as after it was restored to an earlier time", async () => {
    const id = await configured();
    const { task } = await begin(id);
    await runAlarm(id);
    await db.prepare("DELETE FROM tasks WHERE id = ?1").bind(task).run();
    await runAlarm(id);
    expect(await hasRow(task)).toBe(true);
    expect(await held(id)).toBe(30);
  });

  it("of a Worker of the version before that died is released, and its idempotency key is free", async () => {
    const id = await configured();
    const replay = { by: "key", value: "order 7", fingerprint: "a body", retries: 0 } as const;
    const { task, hold } = await begin(id, { images: 4, replay });
    await withoutRecord(id, hold);
    await evictDurableObject(objectOf(id));
    expect((await beginTask(id, requestOf(id, { replay }))).kind).toBe("replay");
    await runAlarm(id);
    await runAlarm(id);
    expect(await hasRow(task)).toBe(false);
    expect(await summaryOf(id)).toMatchObject({
      balance: 5_000,
      held: 0,
      remaining: { images_per_day: 100, concurrent_tasks: 50 },
    });
    expect((await beginTask(id, requestOf(id, { replay }))).kind).toBe("admitted");
  });
});

describe("a task whose end did not come to the object", () => {
  it("is settled by the alarm: what was stored is charged, once", async () => {
    const id = await configured();
    const { task } = await begin(id, { images: 4 });
    await runAlarm(id);
    await end(task, 3);
    await runAlarm(id);
    expect(await summaryOf(id)).toMatchObject({ balance: 4_910, held: 0 });
    expect(await alarmOf(id)).toBeNull();
    const before = await ledgerOf(id);
    await runInDurableObject(objectOf(id), (object) => object.alarm());
    expect(await ledgerOf(id)).toEqual(before);
  });

  it("is found however many are open, two hundred at a time", async () => {
    const id = freshId();
    await configure(id, { limits: limitsOf({}) });
    const begun = await Promise.all(Array.from({ length: 250 }, () => begin(id)));
    await runAlarm(id);
    const last = begun.at(-1)?.task ?? "";
    await end(last, 1);
    await runAlarm(id);
    await runAlarm(id);
    expect(await ledgerOf(id, { taskId: last })).toMatchObject([
      { type: "charge", amount: 30 },
      { type: "hold" },
    ]);
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
  ])("keeps no other from it, where %s cannot be read", async (_what, damage) => {
    const id = await configured();
    const bad = await begin(id, { keyId: other, keyHash: keyOf(other).hash });
    const good = await begin(id);
    await runAlarm(id);
    await damage(id, bad.hold);
    for (const { task } of [bad, good]) await end(task, 1);
    await runAlarm(id);
    expect(await summaryOf(id)).toMatchObject({ balance: 4_970, held: 30 });
  });

  it("stays held where its row cannot be read, and keeps no other from its end", async () => {
    const id = await configured();
    const [broken, other] = [await begin(id), await begin(id)];
    await runAlarm(id);
    for (const { task } of [broken, other]) await end(task, 1);
    await withoutRecord(id, broken.hold);
    await db.prepare("UPDATE tasks SET images = '{x' WHERE id = ?1").bind(broken.task).run();
    await runAlarm(id);
    expect(await summaryOf(id)).toMatchObject({ balance: 4_970, held: 30 });
  });
});

describe("a task whose record cannot be read", () => {
  it("keeps no other from D1, nor from its end, and keeps its hold", async () => {
    const id = await configured();
    const bad = await begin(id);
    const [good, ended] = [await begin(id), await begin(id)];
    await stubOf(id).writeRow(ended.hold);
    await end(ended.task, 1);
    await change(id, "UPDATE open_tasks SET record = '{x' WHERE seq = ?", bad.hold);
    await runAlarm(id);
    expect([await hasRow(bad.task), await hasRow(good.task)]).toEqual([false, true]);
    expect(await summaryOf(id)).toMatchObject({ balance: 4_970, held: 60 });
    expect(await stubOf(id).endEarly({ ...endOf(good), errorCode: "invalid_parameters" })).toBe("ended");
    await change(id, "UPDATE early_ends SET record = '{x'");
    await stubOf(id).flush();
    expect(await held(id)).toBe(30);
  });
});

describe("the alarm", () => {
  it("is not set while nothing is open", async () => {
    const id = await configured();
    await stubOf(id).credit(id, { type: "topup", amount: 5, reference: "r", note: null }, t0);
    expect((await beginTask(id, requestOf(id, { images: 1_000 }))).kind).toBe("never_fits");
    expect(await runAlarm(id)).toBe(false);
  });

  it("comes every minute while a task is open, and not after its end", async () => {
    const id = await configured();
    const { hold } = await begin(id);
    await runAlarm(id);
    expect(await alarmOf(id)).toBe(t0 + 2 * everyMs);
    await settle(id, hold);
    await runAlarm(id);
    expect(await runAlarm(id)).toBe(false);
    await begin(id, { nowMs: t0 + 9 * everyMs });
    expect(await alarmOf(id)).toBe(t0 + 10 * everyMs);
  });

  it("is set again by an object that is made anew, where the platform has given it up", async () => {
    const id = await configured();
    const { task } = await begin(id);
    await runInDurableObject(objectOf(id), (_object, { storage }) => storage.deleteAlarm());
    await begin(id);
    expect(await alarmOf(id)).toBeNull();
    await evictDurableObject(objectOf(id));
    expect(await alarmOf(id)).toBe(t0 + everyMs);
    await runAlarm(id);
    expect(await hasRow(task)).toBe(true);
  });

  it("is set again where only a record of an early end waits", async () => {
    const id = await configured();
    const begun = await begin(id);
    await stubOf(id).endEarly({ ...endOf(begun), errorCode: "invalid_parameters" });
    await runInDurableObject(objectOf(id), (_object, { storage }) => storage.deleteAlarm());
    await evictDurableObject(objectOf(id));
    expect(await runAlarm(id)).toBe(true);
    expect(await hasRow(begun.task)).toBe(true);
  });

  it("is not set anew by an admission, so that many in a row do not put it off", async () => {
    const id = await configured();
    await begin(id);
    await begin(id, { nowMs: t0 + 30_000 });
    expect(await alarmOf(id)).toBe(t0 + everyMs);
  });

  it("tries again when D1 is unavailable, and gives nothing back before", async () => {
    const id = await configured();
    const { task } = await begin(id);
    await toggleD1();
    for (let times = 0; times < 3; times++) {
      expect(await runAlarm(id)).toBe(true);
      expect(await held(id)).toBe(30);
      await evictDurableObject(objectOf(id));
    }
    await toggleD1();
    await runAlarm(id);
    expect(await hasRow(task)).toBe(true);
    expect(await held(id)).toBe(30);
  });
});
