import { beforeEach, describe, expect, it } from "vitest";
import { coolDown } from "../../../src/d1/cron/leases.ts";
import { claimRefresh, type DuePage, selectDue, writePolls } from "../../../src/d1/tasks/due-tasks.ts";
import { endStates } from "../../../src/domain/task.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import {
  db,
  hourMs,
  insertIn,
  insertQueued,
  insertStoring,
  insertSubmitted,
  insertSubmitting,
  leaseMs,
  runningPoll,
  t0,
} from "../../helpers/seed.ts";

beforeEach(clearTasks);

/** The ids that are due at a moment, for a round whose predecessor ran at `previousMs`. */
async function dueAt(
  nowMs: number,
  previousMs = nowMs - 60_000,
  over: Partial<DuePage> = {},
): Promise<string[]> {
  const { due } = await selectDue(db, { nowMs, previousMs, limit: 100, ...over });
  return due.map((task) => task.id);
}

const minutes = (count: number) => count * 60_000;

describe("a task that the upstream has", () => {
  // Ages of the task in milliseconds at the round before and at this one.
  it.each([
    [-1_000, 0, false],
    [0, 2_999, false],
    [0, 3_000, true],
    [2_999, 3_000, true],
    [-60_000, 3_000, true],
    [3_000, 5_999, false],
    [3_000, 6_000, true],
    [5_999, 6_000, true],
    [6_000, 8_999, false],
    [117_000, 119_999, false],
    [118_500, 120_000, true],
    [120_000, 129_999, false],
    [120_000, 130_000, true],
    [129_999, 130_000, true],
    [598_500, 600_000, true],
    [600_000, 629_999, false],
    [600_000, 630_000, true],
    [1_798_500, 1_800_000, true],
    [1_800_000, 1_859_999, false],
    [1_800_000, 1_860_000, true],
    [minutes(40), minutes(41) - 1, false],
    [minutes(40), minutes(41), true],
  ])("at the ages %i and then %i ms is due: %s", async (previousAge, age, due) => {
    const { id } = await insertSubmitted();
    expect(await dueAt(t0 + age, t0 + previousAge)).toEqual(due ? [id] : []);
  });

  it("is due at any age when no round ran for a minute", async () => {
    const { id } = await insertSubmitted();
    for (const age of [3_000, 59_000, 119_000, 125_000, 601_000, 1_801_000, 3_599_999]) {
      expect(await dueAt(t0 + age)).toEqual([id]);
    }
  });

  it("is polled every 3 s by rounds of 1 s, then every 10 s, and never twice for one pace", async () => {
    await insertSubmitted();
    const polls: number[] = [];
    for (let second = 1; second <= 160; second++) {
      const due = await dueAt(t0 + second * 1_000, t0 + (second - 1) * 1_000);
      if (due.length > 0) polls.push(second);
    }
    const expected = [...Array.from({ length: 40 }, (_, index) => 3 * (index + 1)), 130, 140, 150, 160];
    expect(polls).toEqual(expected);
  });

  it("is left alone for 3 s after a reader's poll", async () => {
    const { id } = await insertSubmitted();
    await claimRefresh(db, id, t0 + 5_500, 3_000);
    expect(await dueAt(t0 + 6_000)).toEqual([]);
    expect(await dueAt(t0 + 8_499)).toEqual([]);
    expect(await dueAt(t0 + 8_500)).toEqual([id]);
  });

  it("is due in every round from its deadline on, and not before its time", async () => {
    const { id } = await insertSubmitted({ deadlineMs: t0 + minutes(40) + 5_000 });
    expect(await dueAt(t0 + minutes(40) + 4_999, t0 + minutes(40) + 2_000)).toEqual([]);
    expect(await dueAt(t0 + minutes(40) + 5_000, t0 + minutes(40) + 4_000)).toEqual([id]);
    expect(await dueAt(t0 + minutes(40) + 6_000, t0 + minutes(40) + 5_999)).toEqual([id]);
  });

  it("is described as far as a poll needs it", async () => {
    const task = await insertSubmitted({ input: { prompt: "a", n: 4 } });
    await writePolls(db, [runningPoll(task.id)], t0);
    const { due } = await selectDue(db, { nowMs: t0 + 3_000, previousMs: t0, limit: 1 });
    expect(due[0]).toEqual({
      id: task.id,
      state: "submitted",
      createdMs: t0,
      upstreamId: task.upstreamId,
      deadlineMs: t0 + hourMs,
      processing: true,
      progress: 40,
      estimatedSeconds: 12,
      imagesAsked: 4,
      isRead: false,
    });
  });
});

describe("a task that is to be sent or stored", () => {
  it("is due when its sender's lease has run out", async () => {
    const { id } = await insertSubmitting();
    expect(await dueAt(t0 + leaseMs - 1)).toEqual([]);
    expect(await dueAt(t0 + leaseMs)).toEqual([id]);
  });

  it("is due when its turn has come", async () => {
    const { id } = await insertQueued({}, t0 + 30_000);
    expect(await dueAt(t0 + 29_999)).toEqual([]);
    expect(await dueAt(t0 + 30_000)).toEqual([id]);
  });

  it("is due as soon as its pictures are ready", async () => {
    const { id } = await insertStoring({}, t0 + 9_000);
    expect(await dueAt(t0 + 8_999)).toEqual([]);
    expect(await dueAt(t0 + 9_000)).toEqual([id]);
  });

  it.each(endStates)("is never due again once it is %s", async (state) => {
    await insertIn(state);
    expect(await dueAt(t0 + 100 * hourMs)).toEqual([]);
  });
});

describe("while the upstream's account cools down", () => {
  it("only storing is due, and at its end everything", async () => {
    const submitting = await insertSubmitting();
    const queued = await insertQueued();
    const submitted = await insertSubmitted();
    const storing = await insertStoring();
    const nowMs = t0 + hourMs / 2;
    await coolDown(db, nowMs + 1);
    expect(await dueAt(nowMs)).toEqual([storing.id]);
    const all = [submitting.id, queued.id, submitted.id, storing.id];
    expect(await dueAt(nowMs + 1)).toEqual(all);
  });

  it("a deadline waits too: the last poll is owed to the task", async () => {
    await insertSubmitted({ deadlineMs: t0 + 10_000 });
    await coolDown(db, t0 + 60_000);
    expect(await dueAt(t0 + 20_000)).toEqual([]);
  });

  it("what waits to be sent is ended at its deadline, and a poll is owed for two minutes at the most", async () => {
    const queued = await insertQueued({ deadlineMs: t0 + 30_000 });
    const submitted = await insertSubmitted({ deadlineMs: t0 + 30_000 });
    await coolDown(db, t0 + hourMs);
    expect(await dueAt(t0 + 30_000)).toEqual([queued.id]);
    expect(await dueAt(t0 + 149_999)).toEqual([queued.id]);
    expect(await dueAt(t0 + 150_000)).toEqual([queued.id, submitted.id]);
  });
});

describe("a page of what is due", () => {
  it("goes on where the one before ended, also between tasks of one millisecond", async () => {
    const made: string[] = [];
    for (const createdMs of [t0 + 1, t0 + 1, t0 + 1, t0 + 1, t0 + 1, t0 + 2, t0 + 3, t0 + 3]) {
      made.push((await insertSubmitting({ createdMs })).id);
    }
    made.unshift((await insertSubmitting({ createdMs: t0 })).id);
    const nowMs = t0 + hourMs;
    const pages: string[][] = [];
    let after: DuePage["after"];
    do {
      const page = await selectDue(db, { nowMs, previousMs: nowMs - 1, limit: 2, after });
      pages.push(page.due.map((task) => task.id));
      after = page.next;
    } while (after);
    expect(pages.flat()).toEqual(made);
    expect(pages.map((page) => page.length)).toEqual([2, 2, 2, 2, 1]);
  });

  it("leaves out states of which enough is known", async () => {
    const { id: submitted } = await insertSubmitted();
    const { id: storing } = await insertStoring();
    expect(await dueAt(t0 + minutes(1), t0, { except: ["storing"] })).toEqual([submitted]);
    expect(await dueAt(t0 + minutes(1), t0, { except: ["queued", "submitting"] })).toEqual([
      submitted,
      storing,
    ]);
  });

  it("holds what is due beside what is not, oldest first", async () => {
    const young = await insertSubmitting({ createdMs: t0 + 10_000 });
    const old = await insertSubmitting({ createdMs: t0 });
    await insertSubmitting({ createdMs: t0 + 20_000 });
    const nowMs = t0 + 10_000 + leaseMs;
    expect(await dueAt(nowMs)).toEqual([old.id, young.id]);
    expect(await dueAt(nowMs, nowMs - 1, { limit: 1 })).toEqual([old.id]);
  });
});
