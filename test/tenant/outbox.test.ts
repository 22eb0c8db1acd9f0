/** Calls on a tenant's object that come twice, late or in another order than they should, and what D1 gets of its tasks. */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, describe, expect, it } from "vitest";
import type { FirstOutcome } from "../../src/domain/new-task.ts";
import { db, taskOf } from "../helpers/seed.ts";
import {
  admitOne,
  beginTask,
  configOf,
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

const submitted: FirstOutcome = {
  kind: "submitted",
  upstreamId: "task-unified-1",
  submittedMs: t0 + 5,
  estimatedSeconds: 30,
};

async function configured(): Promise<string> {
  const id = freshId();
  await configure(id, { prepaid: true, openingBalance: 500, limits: limitsOf({ concurrent_tasks: 50 }) });
  return id;
}

async function begun(over: Parameters<typeof requestOf>[1] = {}) {
  const id = await configured();
  const request = requestOf(id, over);
  const { holdNumber } = await admitOne(id, request);
  return { id, request, taskId: request.taskId, holdNumber, object: stubOf(id) };
}

const whole = { balance: 500, held: 0 };
const rowsOf = async (taskId: string) =>
  (await db.prepare("SELECT state, hidden, open, error_code FROM tasks WHERE id = ?1").bind(taskId).all())
    .results;
const endOf = (taskId: string, holdNumber: number) =>
  ({ taskId, holdNumber, errorCode: "invalid_parameters", nowMs: t0 + 9 }) as const;

let isOut = false;
async function toggleD1(): Promise<void> {
  const [from, to] = isOut ? ["tasks_away", "tasks"] : ["tasks", "tasks_away"];
  await db.prepare(`ALTER TABLE ${from} RENAME TO ${to}`).run();
  isOut = !isOut;
}
afterEach(async () => {
  if (isOut) await toggleD1();
});

describe("a submission that is begun a second time", () => {
  it("answers as the first time, and is held once", async () => {
    const { id, request, holdNumber } = await begun();
    for (let i = 0; i < 2; i++)
      expect(await beginTask(id, { ...request, isRepeated: true })).toMatchObject({
        kind: "admitted",
        holdNumber,
        price: 30,
      });
    expect(await summaryOf(id)).toMatchObject({ balance: 500, held: 30 });
  });

  it("is the first time where that never came", async () => {
    const id = await configured();
    const request = { ...requestOf(id), isRepeated: true };
    expect((await beginTask(id, request)).kind).toBe("admitted");
    expect((await beginTask(id, request)).kind).toBe("admitted");
    expect(await summaryOf(id)).toMatchObject({ held: 30 });
  });
});

describe("a submission that is given up", () => {
  it("before it comes is refused then, and counts nothing", async () => {
    const id = await configured();
    const request = requestOf(id);
    expect(await stubOf(id).giveUp(request.taskId, t0)).toBe("ended");
    for (const isRepeated of [false, true])
      expect(await beginTask(id, { ...request, isRepeated })).toEqual({ kind: "given_up" });
    expect(await summaryOf(id)).toMatchObject(whole);
    expect(await ledgerOf(id)).toHaveLength(1);
  });

  it("after it began ends, once, and leaves the operator a record", async () => {
    const { id, taskId, object, request } = await begun();
    for (let i = 0; i < 2; i++) expect(await object.giveUp(taskId, t0 + 5)).toBe("ended");
    expect(await summaryOf(id)).toMatchObject(whole);
    await object.flush();
    expect(await rowsOf(taskId)).toEqual([
      { state: "failed", hidden: 1, open: 0, error_code: "service_unavailable" },
    ]);
    expect(await beginTask(id, { ...request, isRepeated: true })).toEqual({ kind: "given_up" });
  });

  it("goes on where another request got its task, or cron sends it", async () => {
    const replay = { by: "key", value: "order 7", fingerprint: "a body", retries: 0 } as const;
    const shown = await begun({ replay });
    expect(await beginTask(shown.id, requestOf(shown.id, { replay }))).toMatchObject({
      kind: "replay",
      taskId: shown.taskId,
      task: { id: shown.taskId, state: "submitting", version: 1 },
    });
    const taken = await begun();
    expect(await taken.object.takeOver(taken.holdNumber, taken.taskId)).toBe(true);
    for (const { object, taskId, id } of [shown, taken]) {
      expect(await object.giveUp(taskId, t0 + 5)).toBe("goes_on");
      expect(await summaryOf(id)).toMatchObject({ held: 30 });
    }
  });

  it("is dropped from the list after an hour", async () => {
    const { id, taskId, object } = await begun();
    await object.giveUp(requestOf(id).taskId, t0 - 3_600_000 + 60_000);
    await object.giveUp(taskId, t0);
    await admitOne(id);
    await runDurableObjectAlarm(objectOf(id));
    const kept = await runInDurableObject(objectOf(id), (_object, { storage }) =>
      storage.sql.exec("SELECT task_id FROM early_ends").toArray(),
    );
    expect(kept).toEqual([{ task_id: taskId }]);
  });
});

describe("of the first sender, who ends a task, and cron, which takes it over,", () => {
  it("the first one wins", async () => {
    const ended = await begun();
    expect(await ended.object.endEarly(endOf(ended.taskId, ended.holdNumber))).toBe("ended");
    expect(await ended.object.takeOver(ended.holdNumber, ended.taskId)).toBe(false);
    // Cron finds that in D1, too.
    expect(await rowsOf(ended.taskId)).toMatchObject([{ state: "failed", hidden: 1 }]);
    expect(await summaryOf(ended.id)).toMatchObject(whole);
    const taken = await begun();
    expect(await taken.object.takeOver(taken.holdNumber, taken.taskId)).toBe(true);
    expect(await taken.object.endEarly(endOf(taken.taskId, taken.holdNumber))).toBe("goes_on");
    expect(await summaryOf(taken.id)).toMatchObject({ held: 30 });
  });
});

describe("a task that cron took over and brought to its end", () => {
  it("is not ended by its first sender, who comes after that: it was charged", async () => {
    const { id, taskId, holdNumber, object } = await begun();
    await object.takeOver(holdNumber, taskId);
    await settle(id, holdNumber, { taskId, images: 1 });
    expect(await object.endEarly(endOf(taskId, holdNumber))).toBe("goes_on");
    expect(await summaryOf(id)).toMatchObject({ balance: 470, held: 0 });
    // One that it has ended itself it may end again, as where the first call's reply was lost.
    const own = await begun();
    for (let i = 0; i < 2; i++)
      expect(await own.object.endEarly(endOf(own.taskId, own.holdNumber))).toBe("ended");
  });
});

describe("a task that its object does not know, as after a restore,", () => {
  it("is sent by cron, since it was promised, and is none that ended early", async () => {
    const id = await configured();
    expect(await stubOf(id).takeOver(7, "task-of-before")).toBe(true);
  });
});

describe("an outcome", () => {
  it("of another task's hold is none", async () => {
    const { id, holdNumber, taskId, object } = await begun();
    expect(await object.noteOutcome(holdNumber, "task-of-another", submitted)).toBe(false);
    expect(await rowsOf(taskId)).toEqual([]);
    expect(await object.noteOutcome(holdNumber, taskId, submitted)).toBe(true);
    expect(await object.noteOutcome(holdNumber, taskId, submitted)).toBe(false);
    expect(await taskOf(taskId)).toMatchObject({ state: "submitted", version: 2, tenantId: id });
  });

  it("goes to D1 with the row, also where that went without it before", async () => {
    const { holdNumber, taskId, object } = await begun();
    await object.writeRow(holdNumber);
    expect(await taskOf(taskId)).toMatchObject({ state: "submitting", version: 1 });
    expect(await object.noteOutcome(holdNumber, taskId, submitted)).toBe(true);
    expect(await taskOf(taskId)).toMatchObject({ state: "submitted", version: 2 });
  });

  it("is in D1 once a flush is over, also where that came while it was being written", async () => {
    for (let i = 0; i < 20; i++) {
      const { holdNumber, taskId, object } = await begun();
      const noted = object.noteOutcome(holdNumber, taskId, submitted);
      await object.flush();
      expect(await rowsOf(taskId)).toMatchObject([{ state: "submitted" }]);
      expect(await noted).toBe(true);
    }
  });

  it("that comes while the row is written without one follows it", async () => {
    for (let i = 0; i < 20; i++) {
      const { holdNumber, taskId, object } = await begun();
      const wrote = object.writeRow(holdNumber);
      // Some come before that write has begun, some while it goes on.
      if (i % 2) await object.ping();
      await object.noteOutcome(holdNumber, taskId, submitted);
      await wrote;
      expect(await taskOf(taskId)).toMatchObject({ state: "submitted", version: 2 });
    }
  });

  it("takes along what D1 was out for, once D1 answers", async () => {
    const id = await configured();
    const object = stubOf(id);
    const tasks: string[] = [];
    await toggleD1();
    for (let i = 0; i < 30; i++) {
      const request = requestOf(id, { price: 1 });
      const { holdNumber } = await admitOne(id, request);
      await object.noteOutcome(holdNumber, request.taskId, submitted);
      tasks.push(request.taskId);
    }
    await toggleD1();
    const request = requestOf(id, { price: 1 });
    const { holdNumber } = await admitOne(id, request);
    await object.noteOutcome(holdNumber, request.taskId, submitted);
    await expect
      .poll(async () => Promise.all(tasks.map(async (task) => (await rowsOf(task))[0]?.state)))
      .toEqual(tasks.map(() => "submitted"));
  });
});

describe("a task that D1 lacks", () => {
  it("is shown to its tenant's keys as D1 would show it, until D1 has it", async () => {
    const { id, request, holdNumber, taskId, object } = await begun();
    const { caller } = request;
    expect(await object.readYoung(caller, taskId, t0)).toMatchObject({
      kind: "task",
      task: { id: taskId, state: "submitting", version: 1, holdNumber, priceCredits: 30, tenantId: id },
    });
    expect(await object.readYoung(caller, "task-unknown", t0)).toEqual({ kind: "none" });
    await object.noteOutcome(holdNumber, taskId, submitted);
    expect(await object.readYoung(caller, taskId, t0)).toEqual({ kind: "in_database" });
  });

  it("is shown to no key that is wrong, revoked, or may not read", async () => {
    const { id, request, taskId, object } = await begun();
    const refusedAs = async (refusal: string, caller = request.caller) =>
      expect(await object.readYoung(caller, taskId, t0)).toEqual({ kind: "key_refused", refusal });
    await refusedAs("invalid_key", { ...request.caller, keyHash: "0".repeat(64) });
    await refusedAs("invalid_key", { ...request.caller, keyId: "key-0000000000000009" });
    await configure(id, { ...configOf(), version: 2, keys: [keyOf(undefined, { revokedMs: t0 })] });
    await refusedAs("invalid_key");
  });

  it("is not shown once its caller has the refusal, unless a replay has got it", async () => {
    const hidden = await begun();
    const replay = { by: "key", value: "order 7", fingerprint: "a body", retries: 0 } as const;
    const shown = await begun({ replay });
    await beginTask(shown.id, requestOf(shown.id, { replay }));
    await toggleD1();
    for (const { object, taskId, holdNumber } of [hidden, shown])
      expect(await object.endEarly(endOf(taskId, holdNumber))).toBe("ended");
    const { caller } = hidden.request;
    expect(await hidden.object.readYoung(caller, hidden.taskId, t0)).toEqual({ kind: "none" });
    const read = () => shown.object.readYoung(shown.request.caller, shown.taskId, t0);
    expect(await read()).toMatchObject({
      kind: "task",
      task: { state: "failed", errorCode: "invalid_parameters", hidden: false },
    });
    await toggleD1();
    await shown.object.flush();
    expect(await read()).toEqual({ kind: "in_database" });
  });
});
