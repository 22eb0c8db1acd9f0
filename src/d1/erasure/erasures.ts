/** Erasing what a tenant made: prompts, metadata, end users and pictures go, figures stay. */
import { readable, rowCodec, type SkipUnreadable, text, whole } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import { eraseReferences } from "../files/files.ts";
import { hasEnded, taskColumns } from "../tasks/task-row.ts";
import { nextVersion, retentionDays } from "../tenants/tenant-row.ts";

/** The statement that deletes a tenant none of whose tasks goes on; no row changes else. */
export function deleteTenant(db: D1Database, id: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tenants SET status = 'suspended', deleted_ms = ?2, erasure_worked_ms = ?2, turnstile_secret = NULL, webhook_url = NULL,
         ${nextVersion}
       WHERE id = ?1 AND deleted_ms IS NULL AND NOT EXISTS (
         SELECT 1 FROM tasks INDEXED BY tasks_open WHERE open = 1 AND tenant_id = ?1)`,
    )
    .bind(id, nowMs);
}

/** The statement that revokes all keys of a tenant that is deleted. */
export function revokeKeysOfDeleted(db: D1Database, id: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE keys SET revoked_ms = ?2 WHERE tenant_id = ?1 AND revoked_ms IS NULL
         AND EXISTS (SELECT 1 FROM tenants WHERE id = ?1 AND deleted_ms IS NOT NULL)`,
    )
    .bind(id, nowMs);
}

/**
 * What a task keeps when it is erased: the number of images stays, since it was charged. Guarded: an input that cannot be
 * read is erased as well, and what is left of it can be read.
 */
const redacted = `erasure = 'pending', version = version + 1, metadata = '{}', end_user = NULL,
  input = json_object('prompt', '', 'n',
    iif(iif(json_valid(input), json_type(input, '$.n'), NULL) = 'integer', json_extract(input, '$.n'), 1))`;

/** Which tasks of a tenant are to be erased, of those that have ended. */
export type ErasureScope =
  | { task: string }
  | { endUser: string; upToMs: number }
  /** `afterId`: nothing before it is left to erase. */
  | { beforeId: string; afterId: string };

const condition = (which: ErasureScope): [string, ...(string | number)[]] => {
  if ("task" in which) return ["id = ?2", which.task];
  if ("endUser" in which) return ["end_user = ?2 AND created_ms <= ?3", which.endUser, which.upToMs];
  return ["id < ?2 AND id > ?3", which.beforeId, which.afterId];
};

/**
 * Erases the text of up to `limit` tasks and marks their pictures, and the files that they name, to go.
 * @returns their ids.
 */
export async function redactTasks(
  db: D1Database,
  tenantId: string,
  which: ErasureScope,
  limit: number,
): Promise<string[]> {
  const [where, ...values] = condition(which);
  const chosen = `SELECT id FROM tasks INDEXED BY ${"endUser" in which ? "tasks_of_end_user" : "tasks_of_tenant"}
    WHERE tenant_id = ?1 AND erasure = 'none' AND ${hasEnded()} AND ${where} ORDER BY id LIMIT ${limit}`;
  const [, erased] = await db.batch<{ id: string }>([
    db.prepare(eraseReferences(chosen)).bind(tenantId, ...values),
    db.prepare(`UPDATE tasks SET ${redacted} WHERE id IN (${chosen}) RETURNING id`).bind(tenantId, ...values),
  ]);
  return (erased?.results ?? []).map(({ id }) => id).toSorted((a, b) => (a < b ? -1 : 1));
}

/** Of a task that is to be erased: what decides on it. The text of one that goes need not be readable. */
export type ErasedTask = Pick<Task, "id" | "state" | "erased">;

const { id: taskId, state, erased, origin, images } = taskColumns;
const toErase = rowCodec<ErasedTask>("tasks", { id: taskId, state, erased });

/** @throws StoredDataUnreadable */
export function taskToErase(result: D1Result | undefined): ErasedTask | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : toErase.read(row);
}

/** Of a task that is being erased: its pictures, and the origin that it was submitted through. */
export type TombstoneTarget = Pick<Task, "id" | "origin" | "images">;

const target = rowCodec<TombstoneTarget>("tasks", { id: taskId, origin, images });

/** The statement that reads the pictures of tasks that are being erased, of these or of any. */
export function selectPicturesToTombstone(
  db: D1Database,
  limit: number,
  ids: string[] | null = null,
): D1PreparedStatement {
  return db
    .prepare(
      `SELECT ${target.columns} FROM tasks INDEXED BY tasks_erasing
       WHERE erasure = 'pending' AND (?1 IS NULL OR id IN (SELECT value FROM json_each(?1))) LIMIT ?2`,
    )
    .bind(ids && JSON.stringify(ids), limit);
}

export function tombstoneTargets(result: D1Result | undefined, skip?: SkipUnreadable): TombstoneTarget[] {
  return readable(result?.results ?? [], target.read, skip);
}

/** Reads the pictures of tasks that are being erased. @throws StoredDataUnreadable unless it may `skip`. */
export async function picturesToTombstone(
  db: D1Database,
  limit: number,
  ids: string[],
  skip?: SkipUnreadable,
): Promise<TombstoneTarget[]> {
  return tombstoneTargets(await selectPicturesToTombstone(db, limit, ids).all(), skip);
}

/** Notes that the pictures of tasks are gone. */
export async function markTombstoned(db: D1Database, ids: string[]): Promise<void> {
  await db
    .prepare(
      "UPDATE tasks SET erasure = 'done' WHERE erasure = 'pending' AND id IN (SELECT value FROM json_each(?1))",
    )
    .bind(JSON.stringify(ids))
    .run();
}

export interface Erasure {
  tenantId: string;
  endUser: string;
  atMs: number;
}

const erasure = rowCodec<Erasure>(
  "erasures",
  { tenantId: ["tenant_id", text], endUser: ["end_user", text], atMs: ["at_ms", whole] },
  "tenant_id",
);

/**
 * The statement that takes up those that have waited longest, and puts them behind all others: one that takes long, or
 * fails, starves none. Its result goes through {@link erasuresOf}.
 */
export function takeErasures(db: D1Database, limit: number, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE erasures SET worked_ms = ?2 WHERE (tenant_id, end_user) IN (
         SELECT tenant_id, end_user FROM erasures INDEXED BY erasures_in_turn ORDER BY worked_ms LIMIT ?1)
       RETURNING ${erasure.columns}`,
    )
    .bind(limit, nowMs);
}

/** The same of deleted tenants. */
export function takeDeleted(db: D1Database, limit: number, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tenants SET erasure_worked_ms = ?2 WHERE id IN (
         SELECT id FROM tenants INDEXED BY tenants_to_erase WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL
         ORDER BY erasure_worked_ms LIMIT ?1)
       RETURNING id, deleted_ms AS deletedMs`,
    )
    .bind(limit, nowMs);
}

export function erasuresOf(result: D1Result | undefined, skip?: SkipUnreadable): Erasure[] {
  return readable(result?.results ?? [], erasure.read, skip);
}

/** Writes down that an end user's tasks are to be erased, those that still run included. */
export async function insertErasure(db: D1Database, { tenantId, endUser, atMs }: Erasure): Promise<void> {
  await db
    .prepare(
      `INSERT INTO erasures (tenant_id, end_user, at_ms, worked_ms) VALUES (?1, ?2, ?3, ?3)
       ON CONFLICT (tenant_id, end_user) DO UPDATE SET at_ms = max(at_ms, ?3)`,
    )
    .bind(tenantId, endUser, atMs)
    .run();
}

/** Ends an erasure once none of its tasks goes on. */
export async function endErasure(db: D1Database, { tenantId, endUser, atMs }: Erasure): Promise<void> {
  await db
    .prepare(
      `DELETE FROM erasures WHERE tenant_id = ?1 AND end_user = ?2 AND at_ms = ?3 AND NOT EXISTS (
         SELECT 1 FROM tasks INDEXED BY tasks_of_end_user
         WHERE tenant_id = ?1 AND end_user = ?2 AND open = 1 AND created_ms <= ?3)`,
    )
    .bind(tenantId, endUser, atMs)
    .run();
}

/** A tenant that keeps its tasks for so long only. */
export interface Retention {
  id: string;
  days: number;
  retentionCursor: string;
}

const retention = rowCodec<Retention>("tenants", {
  id: ["id", text],
  days: ["retention_days", retentionDays],
  retentionCursor: ["retention_cursor", text],
});

export async function listRetentions(db: D1Database, skip?: SkipUnreadable): Promise<Retention[]> {
  const { results } = await db
    .prepare(
      `SELECT ${retention.columns} FROM tenants INDEXED BY tenants_with_retention
       WHERE retention_days IS NOT NULL AND deleted_ms IS NULL`,
    )
    .all();
  return readable(results, retention.read, skip);
}

export async function moveRetentionCursor(db: D1Database, tenantId: string, id: string): Promise<void> {
  await db.prepare("UPDATE tenants SET retention_cursor = ?2 WHERE id = ?1").bind(tenantId, id).run();
}

/** Notes that nothing is left of a tenant. */
export async function markErased(db: D1Database, id: string, nowMs: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET erased_ms = ?2 WHERE id = ?1 AND deleted_ms IS NOT NULL")
    .bind(id, nowMs)
    .run();
}
