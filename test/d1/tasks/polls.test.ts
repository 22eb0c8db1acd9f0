import { beforeEach, describe, expect, it } from "vitest";
import { oldestOverdueMs, writePolls } from "../../../src/d1/tasks/due-tasks.ts";
import { endTask } from "../../../src/d1/tasks/tasks.ts";
import { endStates, openStates } from "../../../src/domain/task.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import {
  db,
  donePoll,
  hourMs,
  insertIn,
  insertStoring,
  insertSubmitted,
  insertSubmitting,
  picture,
  runningPoll,
  t0,
  taskOf,
} from "../../helpers/seed.ts";

beforeEach(clearTasks);

const nowMs = t0 + 10_000;

describe("what a round of polls found", () => {
  it("is written for running tasks, as a change that callers see", async () => {
    const before = await insertSubmitted();
    await writePolls(db, [runningPoll(before.id)], nowMs);
    expect(await taskOf(before.id)).toEqual({
      ...before,
      processing: true,
      progress: 40,
      estimatedSeconds: 12,
      version: before.version + 1,
    });
  });

  it("makes a finished task due to be stored, at once and counted anew", async () => {
    const before = await insertSubmitted();
    const poll = donePoll(before.id, { estimatedSeconds: 45 });
    await writePolls(db, [poll], nowMs);
    expect(await taskOf(before.id)).toEqual({
      ...before,
      state: "storing",
      attempts: 0,
      dueMs: nowMs,
      images: [picture("img-1"), picture("img-2")],
      upstreamLinksExpireMs: t0 + 24 * hourMs,
      processing: true,
      progress: 99,
      version: before.version + 1,
    });
  });

  it("never lowers progress", async () => {
    const { id } = await insertSubmitted();
    await writePolls(db, [runningPoll(id, { progress: 60 })], nowMs);
    await writePolls(db, [runningPoll(id, { progress: 20 })], nowMs);
    expect((await taskOf(id)).progress).toBe(60);
  });

  it.each([...openStates, ...endStates].filter((state) => state !== "submitted"))(
    "leaves a task alone that is %s meanwhile",
    async (state) => {
      const before = await insertIn(state);
      await writePolls(db, [runningPoll(before.id), donePoll(before.id)], nowMs);
      expect(await taskOf(before.id)).toEqual(before);
    },
  );

  it("does not open a task again that ended while it was polled", async () => {
    const { id } = await insertSubmitted();
    await endTask(
      db,
      { id, from: ["submitted"], state: "failed", images: [], errorCode: "task_timeout" },
      t0,
    ).run();
    await writePolls(db, [donePoll(id)], nowMs);
    expect(await taskOf(id)).toMatchObject({ state: "failed", errorCode: "task_timeout", images: [] });
  });

  it("twice returns the first pictures, under their first ids", async () => {
    const { id } = await insertSubmitted();
    await writePolls(db, [donePoll(id)], nowMs);
    const after = await taskOf(id);
    await writePolls(db, [donePoll(id, { images: [picture("img-9")] })], nowMs + 1);
    expect(await taskOf(id)).toEqual(after);
  });

  it("is written for many tasks in one statement, each with its own", async () => {
    const made = await Promise.all(Array.from({ length: 60 }, () => insertSubmitted()));
    const others = [await insertSubmitted(), await insertSubmitting()];
    const polls = made.map(({ id }, index) =>
      index % 2 ? donePoll(id, { images: [picture(`img-${id}`)] }) : runningPoll(id, { progress: index }),
    );
    await writePolls(db, polls, nowMs);
    for (const [index, { id }] of made.entries()) {
      const expected = index % 2 ? { state: "storing" } : { state: "submitted", progress: index };
      const after = await taskOf(id);
      expect(after).toMatchObject(expected);
      expect(after.images).toEqual(index % 2 ? [picture(`img-${id}`)] : []);
    }
    for (const other of others) expect(await taskOf(other.id)).toEqual(other);
  });

  it("may be nothing, or of tasks that are gone", async () => {
    const before = await insertSubmitted();
    await writePolls(db, [], nowMs);
    await writePolls(db, [runningPoll("task-unknown")], nowMs);
    expect(await taskOf(before.id)).toEqual(before);
  });

  it("keeps links of any shape as they are", async () => {
    const { id } = await insertSubmitted();
    const source = "https://files.example/ä b%20?sign='\"\\&x=[{}]";
    await writePolls(db, [donePoll(id, { images: [picture("img-1", { source })] })], nowMs);
    expect((await taskOf(id)).images).toEqual([{ id: "img-1", source, state: "wanted" }]);
  });
});

describe("how long a task is overdue", () => {
  it("is nothing without tasks, and before any deadline", async () => {
    expect(await oldestOverdueMs(db, t0)).toBe(0);
    await insertSubmitted();
    expect(await oldestOverdueMs(db, t0 + hourMs)).toBe(0);
  });

  it("is that of the one that is longest past its deadline", async () => {
    await insertSubmitted({ deadlineMs: t0 + 5_000 });
    await insertSubmitting({ deadlineMs: t0 + 2_000 });
    expect(await oldestOverdueMs(db, t0 + 10_000)).toBe(8_000);
  });

  it("does not count tasks that are done upstream, or have ended", async () => {
    await insertStoring({ deadlineMs: t0 + 1_000 });
    await insertIn("failed", { deadlineMs: t0 + 1_000 });
    expect(await oldestOverdueMs(db, t0 + 10_000)).toBe(0);
  });
});
