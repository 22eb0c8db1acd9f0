/** Parts of the archive, as D1 knows them, and the codec of `task_parts`. */
import { rowCodec, text } from "../../domain/stored.ts";
import type { ArchivedRow, MadePart, TaskPart } from "../../domain/task-part.ts";

const taskPart = rowCodec<TaskPart>(
  "task_parts",
  {
    tenantId: ["tenant_id", text],
    firstId: ["first_id", text],
    lastId: ["last_id", text],
    key: ["key", text],
  },
  "last_id",
);

/** @throws StoredDataUnreadable */
export function partsFrom(result: D1Result | undefined): TaskPart[] {
  return (result?.results ?? []).map(taskPart.read);
}

/** The statement that finds the part that a task of a tenant is in, if it is archived. */
export function selectPartOf(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db
    .prepare(
      `SELECT ${taskPart.columns} FROM (SELECT * FROM task_parts WHERE tenant_id = ?1 AND last_id >= ?2 ORDER BY last_id LIMIT 1)
       WHERE first_id <= ?2`,
    )
    .bind(tenantId, id);
}

/** SQL: whether a part of a tenant's archive is where the task is. */
export const isWhereAPartIs = (tenantId: string, id: string) =>
  `ifnull(${id} >= (SELECT first_id FROM task_parts WHERE tenant_id = ${tenantId} AND last_id >= ${id} ORDER BY last_id LIMIT 1), 0)`;

/** Those of some tasks that D1 lacks, and that are where no part of the tenant's archive is. */
export async function lostOf(db: D1Database, tenantId: string, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { results } = await db
    .prepare(
      `SELECT value AS id FROM json_each(?2)
       WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = value) AND NOT ${isWhereAPartIs("?1", "value")}`,
    )
    .bind(tenantId, JSON.stringify(ids))
    .all<{ id: string }>();
  return new Set(results.map(({ id }) => id));
}

/** Parts of any tenant that may have a task. @param fromId Before the id, by the longest time that a part is of. */
export async function partsWith(
  db: D1Database,
  id: string,
  fromId: string,
  tag: string,
): Promise<TaskPart[]> {
  const found = await db
    .prepare(
      `SELECT ${taskPart.columns} FROM task_parts INDEXED BY task_parts_by_time
       WHERE first_id <= ?1 AND first_id >= ?2 AND last_id >= ?1 AND instr(id_tags, ?3) > 0`,
    )
    .bind(id, fromId, tag)
    .all();
  return partsFrom(found);
}

/** A tenant's parts with tasks before `beforeId`, newest first. @param endUserTag Null: of any end user. */
export async function listParts(
  db: D1Database,
  tenantId: string,
  beforeId: string,
  endUserTag: string | null,
  limit: number,
): Promise<TaskPart[]> {
  const found = await db
    .prepare(
      `SELECT ${taskPart.columns} FROM task_parts
       WHERE tenant_id = ?1 AND first_id < ?2 AND (?3 IS NULL OR instr(end_user_tags, ?3) > 0)
       ORDER BY last_id DESC LIMIT ?4`,
    )
    .bind(tenantId, beforeId, endUserTag, limit)
    .all();
  return partsFrom(found);
}

/** The part of a tenant with the oldest text, if that is before `beforeId`. */
export async function partWithOldText(
  db: D1Database,
  tenantId: string,
  beforeId: string,
): Promise<TaskPart | undefined> {
  const found = await db
    .prepare(
      `SELECT ${taskPart.columns} FROM task_parts INDEXED BY task_parts_with_text
       WHERE tenant_id = ?1 AND oldest_text_id < ?2 ORDER BY oldest_text_id LIMIT 1`,
    )
    .bind(tenantId, beforeId)
    .all();
  return partsFrom(found)[0];
}

/** Whether anything is archived. */
export async function isAnyArchived(db: D1Database): Promise<boolean> {
  return (await db.prepare("SELECT 1 FROM task_parts LIMIT 1").all()).results.length > 0;
}

/** Has a part be another object: the one that it was is lost. Changes nothing where the part has changed meanwhile. */
export async function replaceObject(
  db: D1Database,
  { tenantId, lastId, key }: TaskPart,
  by: string,
): Promise<void> {
  const isPart = "tenant_id = ?1 AND last_id = ?2 AND key = ?3";
  await db.batch([
    // A writer that died may have noted it.
    db
      .prepare(`DELETE FROM leftovers WHERE key = ?4 AND EXISTS (SELECT 1 FROM task_parts WHERE ${isPart})`)
      .bind(tenantId, lastId, key, by),
    db.prepare(`UPDATE task_parts SET key = ?4 WHERE ${isPart}`).bind(tenantId, lastId, key, by),
  ]);
}

const taskIds = "SELECT value ->> 'id' FROM json_each(?1)";

/** Nothing that is about to be swept becomes a part: Workers' clocks differ by less. */
const sweepMarginMs = 300_000;

/** What a part that is written replaces. */
export interface Replaced {
  /** The part as it was read; undefined: it is a new one. */
  part: TaskPart | undefined;
  /** Rows of `tasks` that go, as they were read. */
  rows: ArchivedRow[];
}

/**
 * Makes what was written the part, in the place of the rows, and of the part, that it was made of. It is all or nothing: where
 * one of those has changed meanwhile, nothing is.
 * @returns whether it is the part now.
 */
export async function putPart(
  db: D1Database,
  made: MadePart,
  { part, rows }: Replaced,
  nowMs: number,
): Promise<boolean> {
  const seen = JSON.stringify(rows.map(({ id, version, erasure }) => ({ id, version, erasure })));
  const isSame = `(SELECT count(*) FROM json_each(?1) AS seen JOIN tasks ON tasks.id = seen.value ->> 'id'
      AND tasks.version = seen.value ->> 'version' AND tasks.erasure = seen.value ->> 'erasure'
      AND tasks.open = 0) = json_array_length(?1)`;
  const isMade = "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?2 AND last_id = ?3 AND key = ?4)";
  const place = [made.tenantId, made.lastId, made.key] as const;
  const [written] = await db.batch([
    db
      .prepare(
        `INSERT INTO task_parts (tenant_id, last_id, key, first_id, tasks, oldest_text_id, id_tags, end_user_tags)
         SELECT ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ${isSame} AND EXISTS (SELECT 1 FROM leftovers WHERE key = ?4 AND due_ms > ?12)
           AND ${part ? "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?2 AND last_id = ?10 AND key = ?11)" : "?10 IS ?11"}
         ON CONFLICT (tenant_id, last_id) DO UPDATE SET key = excluded.key, first_id = excluded.first_id,
           tasks = excluded.tasks, oldest_text_id = excluded.oldest_text_id, id_tags = excluded.id_tags,
           end_user_tags = excluded.end_user_tags`,
      )
      .bind(
        ...[seen, ...place, made.firstId, made.tasks, made.oldestTextId, made.idTags, made.endUserTags],
        ...[part?.lastId ?? null, part?.key ?? null, nowMs + sweepMarginMs],
      ),
    db.prepare(`DELETE FROM tasks WHERE id IN (${taskIds}) AND ${isMade}`).bind(seen, ...place),
    db.prepare(`DELETE FROM leftovers WHERE key = ?4 AND ${isMade} AND ?1 IS NOT NULL`).bind(seen, ...place),
    ...(part
      ? [
          db
            .prepare(`INSERT OR IGNORE INTO leftovers (key, due_ms) SELECT ?1, ?5 WHERE ${isMade}`)
            .bind(part.key, ...place, nowMs),
        ]
      : []),
  ]);
  return (written?.meta.changes ?? 0) > 0;
}

/** Notes, before an object is put, that it has to go unless it becomes a part. */
export async function insertLeftover(db: D1Database, key: string, dueMs: number): Promise<void> {
  await db.prepare("INSERT INTO leftovers (key, due_ms) VALUES (?1, ?2)").bind(key, dueMs).run();
}

export async function dueLeftovers(db: D1Database, nowMs: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare("SELECT key FROM leftovers INDEXED BY leftovers_due WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2")
    .bind(nowMs, limit)
    .all<{ key: string }>();
  return results.map(({ key }) => key);
}

export async function deleteLeftovers(db: D1Database, keys: string[]): Promise<void> {
  await db
    .prepare("DELETE FROM leftovers WHERE key IN (SELECT value FROM json_each(?1))")
    .bind(JSON.stringify(keys))
    .run();
}

/** What one value may hold in D1, with room for what is around it. */
const mostRowsAtOnce = 50;

const isColumn = (name: string) => /^\w+$/.test(name);

/** Writes a part's rows to D1 again, those that it lacks, and ends the part. @returns false when the part has changed. */
export async function restorePart(
  db: D1Database,
  { tenantId, lastId, key }: TaskPart,
  rows: ArchivedRow[],
  nowMs: number,
): Promise<boolean> {
  const isPart = "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?1 AND last_id = ?2 AND key = ?3)";
  // Rows of several versions of the table have several sets of columns; what one lacks gets the table's default.
  const alike = Map.groupBy(rows, (row) => Object.keys(row).filter(isColumn).join(", "));
  const inserts = [...alike].flatMap(([columns, group]) =>
    Array.from({ length: Math.ceil(group.length / mostRowsAtOnce) }, (_, i) =>
      db
        .prepare(
          `INSERT INTO tasks (${columns}) SELECT ${columns.replace(/\w+/g, "value ->> '$&'")} FROM json_each(?4)
           WHERE ${isPart} ON CONFLICT (id) DO NOTHING`,
        )
        .bind(
          ...[tenantId, lastId, key],
          JSON.stringify(group.slice(i * mostRowsAtOnce, (i + 1) * mostRowsAtOnce)),
        ),
    ),
  );
  const ids = JSON.stringify(rows.map(({ id }) => id));
  const results = await db.batch([
    ...inserts,
    // The sums have had them since before they were a part.
    db
      .prepare(
        `DELETE FROM unsummed_tasks WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?4)) AND ${isPart}`,
      )
      .bind(tenantId, lastId, key, ids),
    db
      .prepare(`INSERT OR IGNORE INTO leftovers (key, due_ms) SELECT ?3, ?4 WHERE ${isPart}`)
      .bind(tenantId, lastId, key, nowMs),
    db
      .prepare("DELETE FROM task_parts WHERE tenant_id = ?1 AND last_id = ?2 AND key = ?3")
      .bind(tenantId, lastId, key),
  ]);
  return (results.at(-1)?.meta.changes ?? 0) > 0;
}
