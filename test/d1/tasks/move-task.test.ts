/** Each move of a task is a compare-and-set: from the right state, and by the holder of the lease, or not at all. */
import { beforeEach, describe, expect, it } from "vitest";
import { markSubmitted, postponeSend, postponeStoring } from "../../../src/d1/tasks/tasks.ts";
import { endStates, openStates, type Task, type TaskState } from "../../../src/domain/task.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import { db, insertIn, picture, t0, taskOf } from "../../helpers/seed.ts";

beforeEach(clearTasks);

const states: TaskState[] = [...openStates, ...endStates];

/** Attempts a move of a task in every state: which ones it moved. The others have to stay untouched. */
async function movedFrom(move: (task: Task) => Promise<boolean>): Promise<TaskState[]> {
  const moved: TaskState[] = [];
  for (const state of states) {
    const before = await insertIn(state);
    if (await move(before)) moved.push(state);
    else expect(await taskOf(before.id)).toEqual(before);
  }
  return moved;
}

const taken = { upstreamId: "task-unified-1", submittedMs: t0 + 700, estimatedSeconds: 45 };

describe("noting that the upstream has a task", () => {
  it("is possible only while it is being sent", async () => {
    expect(await movedFrom((task) => markSubmitted(db, task.id, taken))).toEqual(["submitting"]);
  });

  it("writes what the upstream said, as a change that callers see", async () => {
    const before = await insertIn("submitting");
    expect(await markSubmitted(db, before.id, taken)).toBe(true);
    expect(await taskOf(before.id)).toEqual({
      ...before,
      ...taken,
      state: "submitted",
      refreshedMs: t0 + 700,
      dueMs: t0 + 700,
      version: before.version + 1,
    });
  });

  it("a second time changes nothing: the first one's id stays", async () => {
    const { id } = await insertIn("submitting");
    await markSubmitted(db, id, taken);
    const after = await taskOf(id);
    expect(await markSubmitted(db, id, { ...taken, upstreamId: "task-unified-2" })).toBe(false);
    expect(await taskOf(id)).toEqual(after);
  });

  it("of many senders at once is done by one", async () => {
    const { id } = await insertIn("submitting");
    const won = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        markSubmitted(db, id, { ...taken, upstreamId: `task-unified-${index}` }),
      ),
    );
    expect(won.filter(Boolean)).toHaveLength(1);
    expect((await taskOf(id)).upstreamId).toBe(`task-unified-${won.indexOf(true)}`);
    expect((await taskOf(id)).version).toBe(2);
  });

  it("of a task that does not exist changes nothing", async () => {
    expect(await markSubmitted(db, "task-unknown", taken)).toBe(false);
  });
});

describe("putting a send back", () => {
  it("is possible only while it is being sent", async () => {
    expect(await movedFrom((task) => postponeSend(db, task, t0 + 90_000, false))).toEqual(["submitting"]);
    expect(await movedFrom((task) => postponeSend(db, task, t0 + 90_000, true))).toEqual(["submitting"]);
  });

  it("after a definite refusal queues it, where it can be called off", async () => {
    const task = await insertIn("submitting");
    expect(await postponeSend(db, task, t0 + 90_000, false)).toBe(true);
    expect(await taskOf(task.id)).toEqual({ ...task, state: "queued", dueMs: t0 + 90_000 });
  });

  it("after an unknown outcome does not: the upstream may have it", async () => {
    const task = await insertIn("submitting");
    expect(await postponeSend(db, task, t0 + 90_000, true)).toBe(true);
    expect(await taskOf(task.id)).toEqual({
      ...task,
      uncertain: true,
      dueMs: t0 + 90_000,
      version: task.version + 1,
    });
  });

  it("keeps a task uncertain for good once it was", async () => {
    const task = await insertIn("submitting");
    await postponeSend(db, task, t0 + 90_000, true);
    expect(await postponeSend(db, { id: task.id, dueMs: t0 + 90_000 }, t0 + 95_000, false)).toBe(true);
    expect(await taskOf(task.id)).toMatchObject({ state: "submitting", uncertain: true, dueMs: t0 + 95_000 });
  });

  it("without the lease changes nothing", async () => {
    const task = await insertIn("submitting");
    for (const dueMs of [task.dueMs - 1, task.dueMs + 1, 0]) {
      expect(await postponeSend(db, { id: task.id, dueMs }, t0 + 90_000, true)).toBe(false);
    }
    expect(await taskOf(task.id)).toEqual(task);
  });

  it("a second time changes nothing: the lease is spent", async () => {
    const task = await insertIn("submitting");
    await postponeSend(db, task, t0 + 90_000, true);
    expect(await postponeSend(db, task, t0 + 99_000, false)).toBe(false);
    expect(await taskOf(task.id)).toMatchObject({ state: "submitting", dueMs: t0 + 90_000 });
  });
});

describe("putting the storing back", () => {
  const images = [
    picture("img-1", {
      state: "stored",
      stored: { contentType: "image/webp", width: 8, height: 6, bytes: 7, sha256: "f".repeat(64) },
    }),
    picture("img-2"),
  ];

  it("is possible only while it is stored", async () => {
    expect(await movedFrom((task) => postponeStoring(db, task, images, t0 + 90_000))).toEqual(["storing"]);
  });

  it("keeps what is stored so far, and the links of the rest", async () => {
    const task = await insertIn("storing");
    expect(await postponeStoring(db, task, images, t0 + 90_000)).toBe(true);
    expect(await taskOf(task.id)).toEqual({ ...task, images, dueMs: t0 + 90_000 });
  });

  it("without the lease, or a second time, changes nothing", async () => {
    const task = await insertIn("storing");
    expect(await postponeStoring(db, { id: task.id, dueMs: task.dueMs + 1 }, images, t0 + 90_000)).toBe(
      false,
    );
    expect(await taskOf(task.id)).toEqual(task);
    await postponeStoring(db, task, images, t0 + 90_000);
    expect(await postponeStoring(db, task, [], t0 + 99_000)).toBe(false);
    expect(await taskOf(task.id)).toMatchObject({ images, dueMs: t0 + 90_000 });
  });
});
