import { beforeEach, describe, expect, it } from "vitest";
import { type Ending, endTask, firstTask, selectTask } from "../../../src/d1/tasks/tasks.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import { db, insertSubmitting, leaseMs, newTask, t0, taskOf, writeTask } from "../../helpers/seed.ts";

beforeEach(clearTasks);

/** Reads a task as its tenant's key does. */
async function readAs(tenantId: string, id: string) {
  const [result] = await db.batch([selectTask(db, tenantId, id)]);
  return firstTask(result);
}

describe("a new task", () => {
  it("is written whole, to be sent by the one who wrote it", async () => {
    const task = newTask({ endUser: null, metadata: {} });
    expect(await writeTask(db, task, t0 + leaseMs)).toEqual({
      id: task.id,
      state: "submitting",
      dueMs: t0 + leaseMs,
      attempts: 1,
    });
    expect(await taskOf(task.id)).toEqual({
      ...task,
      state: "submitting",
      version: 1,
      finishedMs: null,
      dueMs: t0 + leaseMs,
      attempts: 1,
      uncertain: false,
      upstreamId: null,
      submittedMs: null,
      refreshedMs: 0,
      processing: false,
      progress: 0,
      estimatedSeconds: null,
      images: [],
      upstreamLinksExpireMs: null,
      errorCode: null,
      hidden: false,
      erased: false,
    });
  });

  it("of an id that is taken leaves the first one as it is", async () => {
    const first = await insertSubmitting();
    const second = newTask({ id: first.id, tenantId: "thief", input: { prompt: "other", n: 1 } });
    expect(await writeTask(db, second, t0 + leaseMs)).toBeUndefined();
    expect(await taskOf(first.id)).toEqual(first);
  });

  it("keeps texts of any script and shape as they are", async () => {
    const prompt = "'; DROP TABLE tasks; -- \u0000 \u2028 灯塔 😀 \" \\";
    const task = await insertSubmitting({
      input: { prompt, n: 1, size: { width: 640, height: 480 }, seed: 0, enable_safety_checker: false },
      metadata: { __proto__x: "1", "": "" },
      endUser: prompt,
    });
    expect(task.input).toEqual({
      prompt,
      n: 1,
      size: { width: 640, height: 480 },
      seed: 0,
      enable_safety_checker: false,
    });
    expect(task.metadata).toEqual({ __proto__x: "1", "": "" });
    expect(task.endUser).toBe(prompt);
  });
});

describe("a task is read", () => {
  it("by its tenant", async () => {
    const task = await insertSubmitting();
    expect(await readAs("acme", task.id)).toEqual(task);
  });

  it("by no other tenant, as if there were none", async () => {
    const { id } = await insertSubmitting();
    for (const tenantId of ["thief", "", "ACME", "acme ", "%"]) {
      expect(await readAs(tenantId, id)).toBeUndefined();
    }
    expect(await readAs("acme", "task-unknown")).toBeUndefined();
  });

  it("by no tenant when it is hidden", async () => {
    const { id } = await insertSubmitting();
    const refused: Ending = {
      id,
      from: ["submitting"],
      state: "failed",
      images: [],
      errorCode: "invalid_parameters",
      hidden: true,
    };
    await endTask(db, refused, t0).run();
    expect(await readAs("acme", id)).toBeUndefined();
    expect(await taskOf(id)).toMatchObject({ state: "failed", hidden: true });
  });
});
