/**
 * One task at a time: written, read, and moved on by compare-and-set. Every statement that moves a task names
 * the state, and where two holders of a lease could meet also the lease, that it moves the task from.
 */
import { readable, rowCodec, type SkipUnreadable } from "../../domain/stored.ts";
import type { EndState, OpenState, Task, TaskImage } from "../../domain/task.ts";
import { coolDownUntil } from "../cron/leases.ts";
import { hasEnded, isBeforeStoring, taskColumns, taskFromRow } from "./task-row.ts";

/** A new task. `dueMs`: until then its sender has it to itself. */
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
  | "holdNumber"
  | "createdMs"
  | "deadlineMs"
  | "dueMs"
>;

/** What a statement that writes a task returns of it. */
export type Written = Pick<Task, "id" | "state" | "dueMs" | "attempts">;

const { id, state, dueMs, attempts } = taskColumns;
const written = rowCodec<Written>("tasks", { id, state, dueMs, attempts });

/**
 * The statement that writes the rows which make tasks durable, before anything is sent upstream. While the upstream's
 * account cools down a task starts `queued`, due when the pause is over; else `submitting`, with a lease. Its result
 * goes through {@link writtenTasks}, and lacks those that were given up as void. One statement for all of them: most of what
 * D1 does for a row of its own is the statement around it.
 * @param tasks At most 2 MB in all, which is what D1 takes as one value.
 */
export function insertTasks(db: D1Database, tasks: NewTask[]): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, end_user,
         price_credits, created_ms, deadline_ms, due_ms, attempts, hold_number)
       SELECT id, value ->> 'tenantId', value ->> 'keyId', value ->> 'requestId', value ->> 'origin',
         iif(waits, 'queued', 'submitting'), value ->> 'model', value -> 'input', value -> 'metadata',
         value ->> 'endUser', value ->> 'priceCredits', created_ms, value ->> 'deadlineMs',
         iif(waits, until_ms, value ->> 'dueMs'), iif(waits, 0, 1), value ->> 'holdNumber'
       FROM (SELECT value, value ->> 'id' AS id, value ->> 'createdMs' AS created_ms, until_ms,
           until_ms > value ->> 'createdMs' AS waits
         FROM (SELECT ${coolDownUntil} AS until_ms) CROSS JOIN json_each(?1)) AS new
       WHERE NOT EXISTS (SELECT 1 FROM voids WHERE voids.id = new.id)
       RETURNING ${written.columns}`,
    )
    .bind(JSON.stringify(tasks));
}

/** The rows that a statement has written; those that it has not are not among them. */
export function writtenTasks(result: D1Result | undefined): Written[] {
  return (result?.results ?? []).map(written.read);
}

/** The statement that reads a task of a tenant; its result goes through {@link firstTask}. */
export function selectTask(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db.prepare("SELECT * FROM tasks WHERE id = ?1 AND tenant_id = ?2 AND hidden = 0").bind(id, tenantId);
}

/**
 * The statement that counts the tasks that are sent before a queued one, and itself, by the order in which they are
 * claimed; null for any other. Its result goes through {@link queuePosition}.
 */
export function selectQueuePosition(db: D1Database, id: string): D1PreparedStatement {
  return db
    .prepare(
      // CASE: the read of a task that is not queued does not scan the open tasks.
      `SELECT CASE WHEN (SELECT state FROM tasks WHERE id = ?1) = 'queued' THEN (
         WITH turns AS (
           SELECT id, state, created_ms, row_number() OVER (
             PARTITION BY tenant_id ORDER BY state = 'queued', created_ms, id) AS turn
           FROM tasks INDEXED BY tasks_open
           WHERE open = 1 AND ${isBeforeStoring})
         SELECT count(*) FROM turns JOIN turns AS own ON own.id = ?1
         WHERE turns.state = 'queued'
           AND (turns.turn, turns.created_ms, turns.id) <= (own.turn, own.created_ms, own.id)) END AS position`,
    )
    .bind(id);
}

export function queuePosition(result: D1Result | undefined): number | null {
  const [row] = (result?.results ?? []) as { position: number | null }[];
  return row?.position ?? null;
}

/**
 * The statement that notes that a second reader sees a task which its own request is still sending: a refusal
 * cannot hide it any more. The task's version is 1 until then.
 */
export function markNotified(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET version = version + 1
       WHERE id = ?1 AND tenant_id = ?2 AND state = 'submitting' AND version = 1`,
    )
    .bind(id, tenantId);
}

/**
 * The statement that shows a task whose refusal may not have reached the caller that waits for it: it has ended
 * and is hidden, or it goes on.
 */
export function unhideTask(db: D1Database, id: string): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET hidden = 0, version = version + 1
       WHERE id = ?1 AND (hidden = 1 OR state = 'submitting' AND version = 1)`,
    )
    .bind(id);
}

export function firstTask(result: D1Result | undefined): Task | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : taskFromRow(row);
}

/** That the upstream has taken a task. */
export interface Submitted extends Pick<Task, "estimatedSeconds"> {
  upstreamId: string;
  submittedMs: number;
}

/**
 * The statement that notes that the upstream has tasks. Any of their senders may run it, since all get the same upstream
 * task. Its result goes through {@link writtenTasks}, and lacks those that another sender has noted already.
 */
export function markSubmitted(db: D1Database, tasks: (Submitted & { id: string })[]): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET state = 'submitted', upstream_id = value ->> 'upstreamId',
         submitted_ms = value ->> 'submittedMs', refreshed_ms = value ->> 'submittedMs',
         due_ms = value ->> 'submittedMs', estimated_seconds = value ->> 'estimatedSeconds', version = version + 1
       FROM json_each(?1) AS given
       WHERE tasks.id = given.value ->> 'id' AND tasks.state = 'submitting'
       RETURNING ${written.columns}`,
    )
    .bind(JSON.stringify(tasks));
}

/**
 * Puts a task back until `dueMs`, by the holder of the lease only. It becomes `queued`, which can be called
 * off, only when every send of it so far was definitely refused; that it no longer can be is a change that callers see.
 */
export async function postponeSend(
  db: D1Database,
  task: Pick<Task, "id" | "dueMs">,
  dueMs: number,
  uncertain: boolean,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE tasks SET state = iif(uncertain OR ?4, 'submitting', 'queued'), due_ms = ?3,
         version = version + (?4 AND NOT uncertain), uncertain = uncertain OR ?4
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
export interface Ending extends Pick<Task, "id" | "images" | "errorCode"> {
  from: readonly OpenState[];
  state: EndState;
  /** No list shows the task, unless a second reader has seen it meanwhile: see {@link markNotified}. */
  hidden?: boolean;
}

/** An ended task, as far as its hold is concerned. */
export type EndedTask = Pick<
  Task,
  "id" | "tenantId" | "holdNumber" | "state" | "images" | "errorCode" | "hidden"
>;

const { tenantId, holdNumber, images, errorCode, hidden } = taskColumns;
const ended = rowCodec<EndedTask>("tasks", { id, tenantId, holdNumber, state, images, errorCode, hidden });

/**
 * The statement that ends a task; no row changes when it has ended already. It stays open until the tenant's
 * object has settled its hold. Only `finish` uses it, and reads its result with {@link endedTask}.
 * @param settleMs When cron settles the hold, if it is not settled by then.
 */
export function endTask(
  db: D1Database,
  ending: Ending,
  nowMs: number,
  settleMs: number,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET state = ?2, version = version + 1, finished_ms = ?3, images = ?4,
         error_code = ?5, hidden = iif(version = 1, ?6, 0), progress = iif(?2 = 'completed', 100, progress), due_ms = ?8
       WHERE id = ?1 AND state IN (SELECT value FROM json_each(?7))
       RETURNING ${ended.columns}`,
    )
    .bind(
      ending.id,
      ending.state,
      nowMs,
      // The upstream's links are of no use any more.
      JSON.stringify(ending.images.map(({ source: _dropped, ...image }) => image)),
      ending.errorCode,
      ending.hidden ? 1 : 0,
      JSON.stringify(ending.from),
      settleMs,
    );
}

export function endedTask(result: D1Result): EndedTask | undefined {
  const [row] = result.results;
  return row === undefined ? undefined : ended.read(row);
}

/** Claims ended tasks whose hold is not settled: one whose object is unavailable holds up no other. */
export async function claimUnsettled(
  db: D1Database,
  nowMs: number,
  againMs: number,
  limit: number,
  skip?: SkipUnreadable,
): Promise<EndedTask[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET due_ms = ?2 WHERE id IN (SELECT id FROM tasks INDEXED BY tasks_open
         WHERE open = 1 AND ${hasEnded()} AND due_ms <= ?1
         ORDER BY created_ms LIMIT ?3)
       RETURNING ${ended.columns}`,
    )
    .bind(nowMs, againMs, limit)
    .all();
  return readable(results, ended.read, skip);
}

/** Closes ended tasks whose holds are settled: nothing is left to do of them. */
export async function closeTasks(db: D1Database, ids: string[]): Promise<void> {
  await db
    .prepare(
      `UPDATE tasks SET open = 0 WHERE id IN (SELECT value FROM json_each(?1))
         AND ${hasEnded()}`,
    )
    .bind(JSON.stringify(ids))
    .run();
}
