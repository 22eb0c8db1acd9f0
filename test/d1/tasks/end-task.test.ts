import { beforeEach, describe, expect, it } from "vitest";
import { writePolls } from "../../../src/d1/tasks/due-tasks.ts";
import { type Ending, endTask, markSubmitted, postponeStoring } from "../../../src/d1/tasks/tasks.ts";
import { endStates, openStates, type Task } from "../../../src/domain/task.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import {
  claimStore,
  db,
  hourMs,
  insertIn,
  insertSubmitted,
  picture,
  runningPoll,
  t0,
  taskOf,
} from "../../helpers/seed.ts";

beforeEach(clearTasks);

const doneMs = t0 + 31_000;
const stored = { contentType: "image/png", width: 8, height: 6, bytes: 7, sha256: "f".repeat(64) } as const;

/** Ends a task; whether this call did. */
async function end(id: string, over: Partial<Ending> = {}, nowMs = doneMs): Promise<boolean> {
  const ending: Ending = { id, from: openStates, state: "completed", images: [], errorCode: null, ...over };
  return (await endTask(db, ending, nowMs).run()).meta.changes > 0;
}

describe("ending a task", () => {
  it.each(openStates)("from %s is possible only where it is asked for", async (state) => {
    const before = await insertIn(state);
    const others = openStates.filter((other) => other !== state);
    expect(await end(before.id, { from: others })).toBe(false);
    expect(await end(before.id, { from: [] })).toBe(false);
    expect(await taskOf(before.id)).toEqual(before);
    expect(await end(before.id, { from: [state] })).toBe(true);
    expect((await taskOf(before.id)).state).toBe("completed");
  });

  it.each(endStates)("that is %s changes nothing", async (state) => {
    const before = await insertIn(state);
    for (const next of endStates) expect(await end(before.id, { state: next })).toBe(false);
    expect(await taskOf(before.id)).toEqual(before);
  });

  it("completes it, with its pictures and without the upstream's links", async () => {
    const before = await insertIn("storing");
    const images = [picture("img-1", { state: "stored", stored }), picture("img-2", { state: "lost" })];
    expect(await end(before.id, { images })).toBe(true);
    expect(await taskOf(before.id)).toEqual({
      ...before,
      state: "completed",
      version: before.version + 1,
      finishedMs: doneMs,
      progress: 100,
      images: [
        { id: "img-1", state: "stored", stored },
        { id: "img-2", state: "lost" },
      ],
    });
    const { results } = await db.prepare("SELECT images FROM tasks WHERE id = ?1").bind(before.id).run();
    expect(JSON.stringify(results)).not.toContain("upstream.example");
  });

  it("fails it with its code, and leaves its progress where it was", async () => {
    const { id } = await insertSubmitted();
    await writePolls(db, [runningPoll(id, { progress: 40 })], t0);
    const before = await taskOf(id);
    expect(await end(id, { state: "failed", errorCode: "task_timeout" })).toBe(true);
    expect(await taskOf(id)).toEqual({
      ...before,
      state: "failed",
      version: before.version + 1,
      finishedMs: doneMs,
      errorCode: "task_timeout",
    });
  });

  it("twice, or in two ways at once, is done once", async () => {
    const { id } = await insertIn("submitted");
    const won = await Promise.all([
      end(id, { state: "failed", errorCode: "task_timeout" }),
      end(id, { state: "completed" }),
      end(id, { state: "cancelled" }),
      end(id, { state: "failed", errorCode: "unknown_error" }),
    ]);
    expect(won.filter(Boolean)).toHaveLength(1);
    const after = await taskOf(id);
    expect(after.version).toBe(3);
    expect(await end(id, { state: "completed" }, doneMs + hourMs)).toBe(false);
    expect(await taskOf(id)).toEqual(after);
  });

  it("leaves nothing due, and takes the task from the holder of its lease", async () => {
    const { id } = await insertIn("storing");
    const held = await claimStore(db, t0, t0 + 60_000, "any");
    expect(held?.id).toBe(id);
    await end(id);
    expect(await postponeStoring(db, held as Task, [], t0 + 90_000)).toBe(false);
    expect(await markSubmitted(db, id, { upstreamId: "x", submittedMs: t0, estimatedSeconds: null })).toBe(
      false,
    );
    const { results } = await db.prepare("SELECT count(*) AS open FROM tasks WHERE open = 1").run();
    expect(results).toEqual([{ open: 0 }]);
  });

  it("of several tasks in one transaction ends those that can be ended", async () => {
    const [a, b, c] = [await insertIn("submitted"), await insertIn("cancelled"), await insertIn("storing")];
    const endings = [a, b, c].map(({ id }) =>
      endTask(
        db,
        { id, from: ["submitted", "storing"], state: "failed", images: [], errorCode: null },
        doneMs,
      ),
    );
    const results = await db.batch(endings);
    expect(results.map((result) => result.meta.changes > 0)).toEqual([true, false, true]);
    expect(await taskOf(b.id)).toEqual(b);
  });
});
