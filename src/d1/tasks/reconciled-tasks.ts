/** The operator's changes of single tasks, and what reconciliation reads of tasks. */
import { bit, orNull, readable, rowCodec, type SkipUnreadable, whole } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import {
  chargedCredits,
  chargedImages,
  hasEnded,
  hasNotEnded,
  taskColumns,
  taskFromRow,
} from "./task-row.ts";

/** A task, by its id. */
export interface NamedTask {
  id: string;
  /** Absent: of any tenant. */
  tenant?: string | undefined;
}

const isNamed = "id = ?1 AND (?2 IS NULL OR tenant_id = ?2)";

export async function findTask(db: D1Database, { id, tenant }: NamedTask): Promise<Task | undefined> {
  const { results } = await db
    .prepare(`SELECT * FROM tasks WHERE ${isNamed}`)
    .bind(id, tenant ?? null)
    .all();
  return results[0] && taskFromRow(results[0]);
}

const { id, tenantId, state, images } = taskColumns;
type OwnedTask = Pick<Task, "id" | "tenantId" | "state">;
const owned = rowCodec<OwnedTask>("tasks", { id, tenantId, state });

/** Reads as little of a task as ending it takes, so that it can be ended whatever else is unreadable. */
export async function findOwnedTask(db: D1Database, task: NamedTask): Promise<OwnedTask | undefined> {
  const { results } = await db
    .prepare(`SELECT ${owned.columns} FROM tasks WHERE ${isNamed}`)
    .bind(task.id, task.tenant ?? null)
    .all();
  return results[0] && owned.read(results[0]);
}

/** Makes a task that waits for its turn, its back-off or its storing due now. */
export async function makeDue(db: D1Database, id: string, nowMs: number): Promise<void> {
  await db
    .prepare("UPDATE tasks SET due_ms = ?2 WHERE id = ?1 AND state IN ('queued', 'storing') AND due_ms > ?2")
    .bind(id, nowMs)
    .run();
}

/** What became of a task, as far as its hold is concerned. */
export interface TaskEnd extends Pick<Task, "finishedMs" | "hidden"> {
  /** Images that are to be charged. */
  images: number;
  /** The upstream refused the content. */
  refused: boolean;
}

const end = rowCodec<TaskEnd & Pick<Task, "id">>("tasks", {
  id: taskColumns.id,
  finishedMs: ["finished_ms", orNull(whole)],
  hidden: taskColumns.hidden,
  images: ["images_charged", whole, chargedImages],
  refused: ["refused", bit, "error_code IS 'content_policy_violation'"],
});

/** Reads how the tasks of holds stand; those without a row are absent, and those that cannot be read. */
export async function readEnds(
  db: D1Database,
  holds: { taskId: string }[],
  skip?: SkipUnreadable,
): Promise<Map<string, TaskEnd>> {
  if (holds.length === 0) return new Map();
  const { results } = await db
    .prepare(
      `SELECT ${end.columns} FROM tasks
       WHERE id IN (SELECT value FROM json_each(?1))`,
    )
    .bind(JSON.stringify(holds.map(({ taskId }) => taskId)))
    .all();
  return new Map(readable(results, end.read, skip).map(({ id, ...rest }) => [id, rest]));
}

/** Of a tenant's newest tasks so many are examined: whatever they are, no more is read. */
const latestExamined = 200;
/** SQL: those before an id, newest first. It is read as far as the statement around it asks. */
const latest = (columns: string) =>
  `(SELECT ${columns} FROM tasks INDEXED BY tasks_of_tenant WHERE tenant_id = ?1 AND id < ?2
    ORDER BY id DESC LIMIT ${latestExamined})`;

/** A tenant's newest tasks before an id, whether or not they have ended or had a hold. */
export async function tasksBefore(
  db: D1Database,
  tenantId: string,
  beforeId: string,
  limit: number,
): Promise<{ id: string; holdNumber: number | null; finishedMs: number | null }[]> {
  const { results } = await db
    .prepare(
      `SELECT id, hold_number AS holdNumber, finished_ms AS finishedMs FROM tasks INDEXED BY tasks_of_tenant
       WHERE tenant_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3`,
    )
    .bind(tenantId, beforeId, limit)
    .all<{ id: string; holdNumber: number | null; finishedMs: number | null }>();
  return results;
}

/** Open tasks of a tenant that have a hold and were made before `beforeMs`. */
export async function openTasksWithHold(
  db: D1Database,
  tenantId: string,
  beforeMs: number,
): Promise<{ id: string; holdNumber: number }[]> {
  const { results } = await db
    .prepare(
      `SELECT id, hold_number AS holdNumber FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND created_ms < ?2 AND tenant_id = ?1 AND hold_number IS NOT NULL
         AND ${hasNotEnded()}`,
    )
    .bind(tenantId, beforeMs)
    .all<{ id: string; holdNumber: number }>();
  return results;
}

/**
 * Open tasks that should have ended long before `beforeMs`: past their deadline, or past the life of their links.
 * @returns the oldest, `limit` at the most, and how many there are.
 */
export async function overdueTasks(
  db: D1Database,
  beforeMs: number,
  limit: number,
): Promise<{ ids: string[]; count: number }> {
  const { results } = await db
    .prepare(
      `SELECT id, count(*) OVER () AS count FROM tasks INDEXED BY tasks_open WHERE open = 1
         AND iif(state = 'storing', upstream_links_expire_ms, deadline_ms) < ?1
       ORDER BY created_ms LIMIT ?2`,
    )
    .bind(beforeMs, limit)
    .all<{ id: string; count: number }>();
  return { ids: results.map(({ id }) => id), count: results[0]?.count ?? 0 };
}

/** Of the newest tasks. */
const newestExamined = 1_000;

/** Tenants that make tasks, or were made, and have no row themselves. @param made Ids of those that were made. */
export async function tenantsOfNoRow(db: D1Database, made: string[]): Promise<string[]> {
  const { results } = await db
    .prepare(
      `SELECT DISTINCT tenant_id AS id FROM (
         SELECT tenant_id FROM (SELECT tenant_id FROM tasks ORDER BY id DESC LIMIT ${newestExamined})
         UNION ALL SELECT value FROM json_each(?1)) AS made
       WHERE NOT EXISTS (SELECT 1 FROM tenants WHERE tenants.id = made.tenant_id)`,
    )
    .bind(JSON.stringify(made))
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

type Pictures = Pick<Task, "id" | "images">;
const pictures = rowCodec<Pictures>("tasks", { id, images });

/** Pictures of the completed ones of a tenant's latest tasks that are older than `beforeId`. */
export async function latestPictures(
  db: D1Database,
  tenantId: string,
  beforeId: string,
  limit: number,
  skip?: SkipUnreadable,
): Promise<Pictures[]> {
  const { results } = await db
    .prepare(
      `SELECT ${pictures.columns} FROM ${latest("id, images, state, erasure")}
       WHERE state = 'completed' AND erasure = 'none' LIMIT ?3`,
    )
    .bind(tenantId, beforeId, limit)
    .all();
  return readable(results, pictures.read, skip);
}

/** What some of a tenant's tasks come to that have ended, in credits, as D1 says. */
export async function chargesOf(
  db: D1Database,
  tenantId: string,
  ids: string[],
): Promise<Map<string, number>> {
  const { results } = await db
    .prepare(
      `SELECT id, ${chargedCredits} AS credits FROM tasks
       WHERE id IN (SELECT value FROM json_each(?2)) AND tenant_id = ?1 AND ${hasEnded()} AND credits IS NOT NULL`,
    )
    .bind(tenantId, JSON.stringify(ids))
    .all<{ id: string; credits: number }>();
  return new Map(results.map(({ id, credits }) => [id, credits]));
}
