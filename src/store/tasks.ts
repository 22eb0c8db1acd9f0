/**
 * One task at a time: written, read, and moved on by compare-and-set. Every statement that moves a task names
 * the state, and where two holders of a lease could meet also the lease, that it moves the task from.
 */
import type { TaskFailureCode } from "../domain/failures.ts";
import type { EndState, OpenState, Task, TaskImage } from "../domain/task.ts";
import { type TaskRow, taskFromRow } from "./rows.ts";

export type NewTask = Pick<
  Task,
  | "id"
  | "tenantId"
  | "keyId"
  | "requestId"
  | "origin"
  | "model"
  | "input"
  | "metadata"
  | "endUser"
  | "priceCredits"
  | "createdMs"
  | "deadlineMs"
>;

/**
 * Writes the row that makes a task durable, before anything is sent upstream. While the upstream's account
 * cools down the task starts `queued`, due when the pause is over; else `submitting`, with a lease.
 * @returns the state and due time that it was written with.
 */
export async function insertTask(
  db: D1Database,
  task: NewTask,
  leaseUntilMs: number,
): Promise<Pick<Task, "state" | "dueMs" | "attempts">> {
  const { results } = await db
    .prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, end_user,
         price_credits, created_ms, deadline_ms, due_ms, attempts)
       SELECT ?1, ?2, ?3, ?4, ?5, iif(until_ms > ?11, 'queued', 'submitting'), ?6, ?7, ?8, ?9,
         ?10, ?11, ?12, iif(until_ms > ?11, until_ms, ?13), iif(until_ms > ?11, 0, 1)
       FROM leases WHERE name = 'cool_down'
       RETURNING state, due_ms AS dueMs, attempts`,
    )
    .bind(
      task.id,
      task.tenantId,
      task.keyId,
      task.requestId,
      task.origin,
      task.model,
      JSON.stringify(task.input),
      JSON.stringify(task.metadata),
      task.endUser,
      task.priceCredits,
      task.createdMs,
      task.deadlineMs,
      leaseUntilMs,
    )
    .all<Pick<Task, "state" | "dueMs" | "attempts">>();
  const written = results[0];
  if (!written) throw new Error("the task was not written");
  return written;
}

/** The statement that reads a task of a tenant; its result goes through {@link firstTask}. */
export function selectTask(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db.prepare("SELECT * FROM tasks WHERE id = ?1 AND tenant_id = ?2 AND hidden = 0").bind(id, tenantId);
}

export function firstTask(result: D1Result | undefined): Task | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : taskFromRow(row as TaskRow);
}

/** Notes that the upstream has the task; any of its senders may, since all hear of the same upstream task. */
export async function markSubmitted(
  db: D1Database,
  id: string,
  submitted: { upstreamId: string; submittedMs: number; estimatedSeconds: number | null },
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE tasks SET state = 'submitted', upstream_id = ?2, submitted_ms = ?3, refreshed_ms = ?3,
         estimated_seconds = ?4, version = version + 1
       WHERE id = ?1 AND state = 'submitting'`,
    )
    .bind(id, submitted.upstreamId, submitted.submittedMs, submitted.estimatedSeconds)
    .run();
  return meta.changes > 0;
}

/**
 * Puts a task back until `dueMs`, by the holder of the lease only. It becomes `queued`, which can be called
 * off, only when every send of it so far was definitely refused.
 */
export async function postponeSend(
  db: D1Database,
  task: Pick<Task, "id" | "dueMs">,
  dueMs: number,
  uncertain: boolean,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE tasks SET state = iif(uncertain OR ?4, 'submitting', 'queued'), uncertain = uncertain OR ?4, due_ms = ?3
       WHERE id = ?1 AND state = 'submitting' AND due_ms = ?2`,
    )
    .bind(task.id, task.dueMs, dueMs, uncertain ? 1 : 0)
    .run();
  return meta.changes > 0;
}

/** Keeps what is stored so far of a task and puts it back until `dueMs`, by the holder of the lease only. */
export async function postponeStoring(
  db: D1Database,
  task: Pick<Task, "id" | "dueMs">,
  images: TaskImage[],
  dueMs: number,
): Promise<boolean> {
  const { meta } = await db
    .prepare("UPDATE tasks SET images = ?3, due_ms = ?4 WHERE id = ?1 AND state = 'storing' AND due_ms = ?2")
    .bind(task.id, task.dueMs, JSON.stringify(images), dueMs)
    .run();
  return meta.changes > 0;
}

/** How a task ends, and from which states it may. */
export interface Ending {
  id: string;
  from: readonly OpenState[];
  state: EndState;
  /** Without links: they are the upstream's, and of no use any more. */
  images: TaskImage[];
  errorCode: TaskFailureCode | null;
  hidden?: boolean;
}

/** The statement that ends a task; no row changes when it has ended already. Only `finish` uses it. */
export function endTask(db: D1Database, ending: Ending, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET state = ?2, open = 0, version = version + 1, finished_ms = ?3, images = ?4,
         error_code = ?5, hidden = ?6, progress = iif(?2 = 'completed', 100, progress)
       WHERE id = ?1 AND state IN (SELECT value FROM json_each(?7))`,
    )
    .bind(
      ending.id,
      ending.state,
      nowMs,
      JSON.stringify(ending.images.map(({ source: _dropped, ...image }) => image)),
      ending.errorCode,
      ending.hidden ? 1 : 0,
      JSON.stringify(ending.from),
    );
}
