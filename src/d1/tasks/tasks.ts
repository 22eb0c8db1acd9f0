/**
 * One task at a time: written, read, and moved on by compare-and-set. Every statement that moves a task names
 * the state, and where two holders of a lease could meet also the lease, that it moves the task from.
 */
import type { Submitted } from "../../domain/new-task.ts";
import { rowCodec } from "../../domain/stored.ts";
import type { EndState, OpenState, Task, TaskImage, TaskState } from "../../domain/task.ts";
import { hasEnded, isBeforeStoring, taskColumns, taskFromRow } from "./task-row.ts";

/** The statement that reads a task of a tenant; its result goes through {@link firstTask}. */
export function selectTask(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db.prepare("SELECT * FROM tasks WHERE id = ?1 AND tenant_id = ?2 AND hidden = 0").bind(id, tenantId);
}

/** Of all open tasks the oldest are read for a position in the queue. */
const mostInQueue = 100;

/**
 * The statement that reads what is sent before a queued task, of the oldest open ones; nothing for any other. Its result goes
 * through {@link queuePosition}.
 */
export function selectQueuePosition(db: D1Database, id: string): D1PreparedStatement {
  return db
    .prepare(
      `SELECT id, tenant_id, state FROM tasks WHERE id = ?1 AND state = 'queued'
       UNION ALL SELECT id, tenant_id, state FROM (
         SELECT id, tenant_id, state FROM tasks INDEXED BY tasks_open WHERE open = 1 ORDER BY created_ms, id
         LIMIT iif((SELECT state FROM tasks WHERE id = ?1) = 'queued', ${mostInQueue}, 0))
       WHERE ${isBeforeStoring}`,
    )
    .bind(id);
}

/**
 * How many tasks are sent before a queued one, and itself, by the order in which they are claimed; null for any other. With
 * more open tasks than are read it is the least that it can be, as far as older tasks go.
 */
export function queuePosition(result: D1Result | undefined): number | null {
  type Row = { id: string; tenant_id: string; state: TaskState };
  const [own, ...open] = (result?.results ?? []) as unknown as Row[];
  if (!own) return null;
  // What the upstream has of a tenant are turns taken.
  const turns = new Map<string, number>();
  const taken = (tenant: string) => turns.get(tenant) ?? 0;
  for (const { tenant_id: tenant, state } of open)
    if (state !== "queued") turns.set(tenant, taken(tenant) + 1);
  const queued = open
    .filter(({ state }) => state === "queued")
    .map((task, place) => {
      turns.set(task.tenant_id, taken(task.tenant_id) + 1);
      return { ...task, place, turn: taken(task.tenant_id) };
    });
  const self = queued.find(({ id }) => id === own.id) ?? {
    place: queued.length,
    turn: taken(own.tenant_id) + 1,
  };
  return (
    1 +
    queued.filter(({ place, turn }) => turn < self.turn || (turn === self.turn && place < self.place)).length
  );
}

export function firstTask(result: D1Result | undefined): Task | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : taskFromRow(row);
}

/**
 * Notes that the upstream has a task. Any of its senders may, since all get the same upstream task.
 * @returns false when another one has noted it already.
 */
export async function markSubmitted(
  db: D1Database,
  id: string,
  { upstreamId, submittedMs, estimatedSeconds }: Submitted,
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE tasks SET state = 'submitted', upstream_id = ?2, submitted_ms = ?3, refreshed_ms = ?3, due_ms = ?3,
         estimated_seconds = ?4, version = version + 1
       WHERE id = ?1 AND state = 'submitting'`,
    )
    .bind(id, upstreamId, submittedMs, estimatedSeconds)
    .run();
  return meta.changes > 0;
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
  /** There is no task for its tenant: the row is for the operator. */
  hidden?: boolean;
}

/** An ended task, as far as its hold is concerned. */
export type EndedTask = Pick<
  Task,
  "id" | "tenantId" | "holdNumber" | "state" | "images" | "errorCode" | "hidden"
>;

const { id, state, tenantId, holdNumber, images, errorCode, hidden } = taskColumns;
const ended = rowCodec<EndedTask>("tasks", { id, tenantId, holdNumber, state, images, errorCode, hidden });

/**
 * The statement that ends a task, with which nothing is left to do in D1; no row changes when it has ended already. Only
 * `finish` uses it, and reads its result with {@link endedTask}.
 */
export function endTask(db: D1Database, ending: Ending, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tasks SET state = ?2, version = version + 1, finished_ms = ?3, images = ?4,
         error_code = ?5, hidden = ?6, progress = iif(?2 = 'completed', 100, progress), open = 0
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
    );
}

export function endedTask(result: D1Result): EndedTask | undefined {
  const [row] = result.results;
  return row === undefined ? undefined : ended.read(row);
}

/**
 * Closes tasks that the version before has ended, which left them open until their holds were settled.
 * @returns their tenants, in whose objects holds of theirs may be open.
 */
export async function closeEnded(db: D1Database): Promise<string[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET open = 0 WHERE id IN (
         SELECT id FROM tasks INDEXED BY tasks_open WHERE open = 1 AND ${hasEnded()} LIMIT 1000)
       RETURNING tenant_id`,
    )
    .all<{ tenant_id: string }>();
  return [...new Set(results.map(({ tenant_id: tenant }) => tenant))];
}
