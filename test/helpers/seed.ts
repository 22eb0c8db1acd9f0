/** Tasks in every state, made by the statements of src/d1, and what the table holds of them. */
import { env } from "cloudflare:workers";
import { type PollResult, writePolls } from "../../src/d1/tasks/due-tasks.ts";
import { insertTasks, type Written, writtenTasks } from "../../src/d1/tasks/new-tasks.ts";
import { claimStores } from "../../src/d1/tasks/store-claims.ts";
import { taskFromRow } from "../../src/d1/tasks/task-row.ts";
import { endTask, markSubmitted } from "../../src/d1/tasks/tasks.ts";
import { bumpConfigVersion } from "../../src/d1/tenants/tenants.ts";
import { type FirstOutcome, type NewTask, recordOf } from "../../src/domain/new-task.ts";
import type { Task, TaskImage, TaskState } from "../../src/domain/task.ts";

export const db = env.DB;
export const t0 = 1_900_000_000_000;
/** The lease that tasks are written with. */
export const leaseMs = 60_000;
export const hourMs = 3_600_000;

/** Marks a tenant's copy as out of date, as a change of its keys does. */
export const raiseVersion = (tenantId: string) =>
  db.batch([
    db.prepare("UPDATE tenants SET name = name WHERE id = ?1").bind(tenantId),
    bumpConfigVersion(db, tenantId),
  ]);

let made = 0;

/** A new task; ids sort in the order of making. */
export function newTask(over: Partial<NewTask> = {}): NewTask {
  made += 1;
  const createdMs = over.createdMs ?? t0;
  return {
    id: `task-${String(made).padStart(31, "0")}`,
    tenantId: "acme",
    keyId: "key-0123456789abcdef",
    tokenId: null,
    requestId: "req-1",
    origin: "https://gateway.example",
    model: "wan-2.7-image",
    input: { prompt: "a lighthouse", n: 2, size: "square" },
    metadata: { order: "7" },
    endUser: "u-1",
    priceCredits: 30,
    holdNumber: null,
    createdMs,
    deadlineMs: createdMs + hourMs,
    dueMs: createdMs + leaseMs,
    ...over,
  };
}

export const picture = (id: string, over: Partial<TaskImage> = {}): TaskImage => ({
  id,
  source: `https://upstream.example/${id}.png`,
  state: "wanted",
  ...over,
});

/** What a poll found: the upstream is done. */
export const donePoll = (id: string, over: Partial<PollResult> = {}): PollResult => ({
  id,
  processing: true,
  progress: 99,
  estimatedSeconds: null,
  images: [picture("img-1"), picture("img-2")],
  upstreamLinksExpireMs: t0 + 24 * hourMs,
  ...over,
});

/** What a poll found: the upstream is at work. */
export const runningPoll = (id: string, over: Partial<PollResult> = {}): PollResult =>
  donePoll(id, { progress: 40, estimatedSeconds: 12, images: null, upstreamLinksExpireMs: null, ...over });

/** Reads a task of any tenant. */
export async function taskOf(id: string): Promise<Task> {
  const { results } = await db.prepare("SELECT * FROM tasks WHERE id = ?1").bind(id).all();
  const [row] = results;
  if (!row) throw new Error(`no task ${id}`);
  return taskFromRow(row);
}

export async function insertSubmitting(over: Partial<NewTask> = {}): Promise<Task> {
  const task = newTask(over);
  await writeTask(db, task, task.createdMs + leaseMs);
  return taskOf(task.id);
}

/** A task that waits for its turn, due at `dueMs`. */
export async function insertQueued(over: Partial<NewTask> = {}, dueMs = t0 + 5_000): Promise<Task> {
  const task = newTask(over);
  await writeTask(db, task, task.createdMs + leaseMs, { kind: "busy", dueMs });
  return taskOf(task.id);
}

export async function insertSubmitted(over: Partial<NewTask> = {}, submittedMs = t0): Promise<Task> {
  const { id } = await insertSubmitting(over);
  await markSubmitted(db, id, { upstreamId: `task-unified-${id}`, submittedMs, estimatedSeconds: 45 });
  return taskOf(id);
}

/** A task whose pictures are to be stored, due at `dueMs`. */
export async function insertStoring(over: Partial<NewTask> = {}, dueMs = t0): Promise<Task> {
  const { id } = await insertSubmitted(over);
  await writePolls(db, [donePoll(id)], dueMs);
  return taskOf(id);
}

/** A task in the given state. */
export async function insertIn(state: TaskState, over: Partial<NewTask> = {}): Promise<Task> {
  switch (state) {
    case "submitting":
      return insertSubmitting(over);
    case "queued":
      return insertQueued(over);
    case "submitted":
      return insertSubmitted(over);
    case "storing":
      return insertStoring(over);
    case "completed":
    case "failed":
    case "cancelled": {
      const { id } = await insertStoring(over);
      const ending = { id, from: ["storing"] as const, state, images: [], errorCode: null };
      await endTask(db, ending, t0 + 1_000).run();
      return taskOf(id);
    }
  }
}

/** Writes a task's row, as the tenant's object does. */
export async function writeTask(
  db: D1Database,
  task: NewTask,
  leaseUntilMs: number,
  outcome: FirstOutcome | null = null,
): Promise<Written | undefined> {
  return writtenTasks(await insertTasks(db, [recordOf({ ...task, dueMs: leaseUntilMs }, outcome)]).all())[0];
}

/** Claims one task to be stored. */
export async function claimStore(
  ...args: [db: D1Database, nowMs: number, leaseUntilMs: number, which: "new" | "any"]
): Promise<Task | undefined> {
  return (await claimStores(...args, 1))[0];
}
