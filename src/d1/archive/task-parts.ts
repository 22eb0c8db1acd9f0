/** Parts of the archive, as D1 knows them, and the codec of `task_parts`. */
import { rowCodec, text } from "../../domain/stored.ts";
import type { MadePart, TaskPart } from "../../domain/task-part.ts";

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

/** Those of some tasks that are where a part of the tenant's archive is. */
export async function archivedOf(db: D1Database, tenantId: string, ids: string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const { results } = await db
    .prepare(`SELECT value AS id FROM json_each(?2) WHERE ${isWhereAPartIs("?1", "value")}`)
    .bind(tenantId, JSON.stringify(ids))
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

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

/** Tenants whose parts are searched for a task of any tenant. */
const tenantsSearched = 1_000;

/** Parts of any tenant that may have a task, one of each at the most. `isCut`: there are more tenants than are searched. */
export async function partsWith(
  db: D1Database,
  id: string,
  tag: string,
): Promise<{ parts: TaskPart[]; isCut: boolean }> {
  const { results } = await db
    .prepare(
      `WITH RECURSIVE held (tenant, n) AS (SELECT '', 0 UNION ALL
         SELECT (SELECT min(tenant_id) FROM task_parts WHERE tenant_id > tenant), n + 1 FROM held
         WHERE tenant IS NOT NULL LIMIT ${tenantsSearched + 2})
       SELECT ${taskPart.columns}, n FROM held LEFT JOIN task_parts ON tenant_id = tenant AND first_id <= ?1
         AND last_id = (SELECT min(last_id) FROM task_parts WHERE tenant_id = tenant AND last_id >= ?1)
       WHERE iif(n > ${tenantsSearched}, tenant IS NOT NULL, instr(id_tags, ?2) > 0)`,
    )
    .bind(id, tag)
    .all<{ n: number }>();
  const found = results.filter(({ n }) => n <= tenantsSearched);
  return { parts: found.map(taskPart.read), isCut: found.length < results.length };
}

/** Parts that are examined for one page of a list: three are read, and one more says that it goes on; of an end user more. */
const partsExamined = (isOfUser: boolean) => (isOfUser ? 25 : 4);

/**
 * The statement that finds parts with tasks of a tenant before `beforeId`, newest first, for {@link listedParts}.
 * @param endUserTag Null: of any end user.
 */
export function selectParts(
  db: D1Database,
  tenantId: string,
  beforeId: string,
  endUserTag: string | null,
): D1PreparedStatement {
  // Parts do not overlap: those behind the one that `beforeId` lies in, or before, are all younger.
  return db
    .prepare(
      `SELECT ${taskPart.columns}, ?3 IS NULL OR instr(end_user_tags, ?3) > 0 AS fits FROM task_parts
       WHERE tenant_id = ?1 AND first_id < ?2 AND last_id <= coalesce(
         (SELECT min(last_id) FROM task_parts WHERE tenant_id = ?1 AND last_id >= ?2), ?2)
       ORDER BY last_id DESC LIMIT ${partsExamined(endUserTag !== null)}`,
    )
    .bind(tenantId, beforeId, endUserTag);
}

/** `endId`: the oldest task of those that were examined, where there may be more behind them. */
export function listedParts(result: D1Result | undefined, isOfUser: boolean) {
  const rows = (result?.results ?? []) as { fits: number; first_id: string }[];
  const parts = rows.filter(({ fits }) => fits).map(taskPart.read);
  return { parts, endId: rows[partsExamined(isOfUser) - 1]?.first_id ?? "" };
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

/** Which of a tenant's parts have what is to be erased: those with text that is so old, or with an end user of that tag. */
export type PartsToErase = { beforeId: string } | { endUserTag: string };

/**
 * A tenant's next parts with something to erase, in an order that goes on behind each.
 * @param afterId Where the part before stands.
 */
export async function partsToErase(
  db: D1Database,
  tenantId: string,
  which: PartsToErase,
  afterId: string,
  limit: number,
): Promise<{ part: TaskPart; at: string }[]> {
  const byAge = "beforeId" in which;
  const column = byAge ? "oldest_text_id" : "last_id";
  const found = await db
    .prepare(
      `SELECT ${taskPart.columns}, ${column} AS at FROM task_parts ${byAge ? "INDEXED BY task_parts_with_text" : ""}
       WHERE tenant_id = ?1 AND ${column} > ?2 AND ${byAge ? "oldest_text_id < ?3" : "instr(end_user_tags, ?3) > 0"}
       ORDER BY ${column} LIMIT ?4`,
    )
    .bind(tenantId, afterId, byAge ? which.beforeId : which.endUserTag, limit)
    .all<{ at: string }>();
  return found.results.map((row) => ({ part: taskPart.read(row), at: row.at }));
}

/** Notes of a part that nothing is left of in R2 that it has no text. */
export async function markTextless(db: D1Database, { tenantId, lastId, key }: TaskPart): Promise<void> {
  await db
    .prepare(
      `UPDATE task_parts SET oldest_text_id = NULL, end_user_tags = '' WHERE tenant_id = ?1 AND last_id = ?2 AND key = ?3`,
    )
    .bind(tenantId, lastId, key)
    .run();
}

/** The statement that finds something where anything is archived. */
export function selectAnyPart(db: D1Database): D1PreparedStatement {
  return db.prepare("SELECT 1 FROM task_parts LIMIT 1");
}

/** Has a part be another object: the one that it was is lost. Changes nothing where the part has changed meanwhile. */
export async function replaceObject(
  db: D1Database,
  { tenantId, lastId, key }: TaskPart,
  by: MadePart,
): Promise<void> {
  const isPart = "tenant_id = ?1 AND last_id = ?2 AND key = ?3";
  const place = [tenantId, lastId, key] as const;
  await db.batch([
    // A writer that died may have noted it.
    db
      .prepare(`DELETE FROM leftovers WHERE key = ?4 AND EXISTS (SELECT 1 FROM task_parts WHERE ${isPart})`)
      .bind(...place, by.key),
    db
      .prepare(
        `UPDATE task_parts SET key = ?4, tasks = ?5, oldest_text_id = ?6, id_tags = ?7, end_user_tags = ?8 WHERE ${isPart}`,
      )
      .bind(...place, by.key, by.tasks, by.oldestTextId, by.idTags, by.endUserTags),
  ]);
}
