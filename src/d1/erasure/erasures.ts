/** Erasing what a tenant made: prompts, metadata, end users and pictures go, figures stay. */
import { readable, rowCodec, type SkipUnreadable } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import { dropKept } from "../archive/leftovers.ts";
import { eraseReferences } from "../files/files.ts";
import { hasEnded, taskColumns } from "../tasks/task-row.ts";
import { nextVersion } from "../tenants/tenant-row.ts";

/** The statement that deletes a tenant none of whose tasks goes on; no row changes else. */
export function deleteTenant(db: D1Database, id: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tenants SET status = 'suspended', deleted_ms = ?2, turnstile_secret = NULL, webhook_url = NULL,
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

/** Tasks by their ids, as JSON. */
interface GivenTasks {
  tasks: string;
}

const condition = (which: ErasureScope | GivenTasks): [string, ...(string | number)[]] => {
  if ("task" in which) return ["id = ?2", which.task];
  if ("tasks" in which) return ["id IN (SELECT value FROM json_each(?2))", which.tasks];
  if ("endUser" in which) return ["end_user = ?2 AND created_ms <= ?3", which.endUser, which.upToMs];
  return ["id < ?2 AND id > ?3", which.beforeId, which.afterId];
};

/**
 * Erases the text of up to `limit` tasks and marks their pictures, and the files that they name, to go. What is left of
 * them is the caller's until `leaseUntilMs`.
 * @returns their rows, oldest first, for {@link erasingTasks}.
 */
export async function redactTasks(
  db: D1Database,
  tenantId: string,
  which: ErasureScope | GivenTasks,
  { limit, leaseUntilMs }: { limit: number; leaseUntilMs: number },
): Promise<ErasingRow[]> {
  const [where, ...values] = condition(which);
  const chosen = `SELECT id FROM tasks INDEXED BY ${"endUser" in which ? "tasks_of_end_user" : "tasks_of_tenant"}
    WHERE tenant_id = ?1 AND erasure = 'none' AND ${hasEnded()} AND ${where} ORDER BY id LIMIT ${limit}`;
  const lease = `?${values.length + 2}`;
  const [, , redaction] = await db.batch<ErasingRow>([
    dropKept(db, tenantId, leaseUntilMs),
    db.prepare(eraseReferences(chosen)).bind(tenantId, ...values),
    db
      .prepare(
        `UPDATE tasks SET ${redacted}, due_ms = ${lease} WHERE id IN (${chosen}) RETURNING ${erasing.columns}`,
      )
      .bind(tenantId, ...values, leaseUntilMs),
  ]);
  return (redaction?.results ?? []).toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Takes tasks that are redacted and whose eraser has not come to the end, those that have waited longest. */
export async function takeErasing(
  db: D1Database,
  nowMs: number,
  { limit, leaseUntilMs }: { limit: number; leaseUntilMs: number },
): Promise<ErasingRow[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET due_ms = ?2 WHERE id IN (
         SELECT id FROM tasks INDEXED BY tasks_erasing WHERE erasure = 'pending' AND due_ms <= ?1
         ORDER BY due_ms LIMIT ${limit})
       RETURNING ${erasing.columns}`,
    )
    .bind(nowMs, leaseUntilMs)
    .all<ErasingRow>();
  return results;
}

/** Of a task that is to be erased: what decides on it. The text of one that goes need not be readable. */
export type ErasedTask = Pick<Task, "id" | "state" | "erased">;

const { id: taskId, tenantId, state, erased, origin, images, holdNumber } = taskColumns;
const toErase = rowCodec<ErasedTask>("tasks", { id: taskId, state, erased });

/** @throws StoredDataUnreadable */
export function taskToErase(result: D1Result | undefined): ErasedTask | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : toErase.read(row);
}

/** Of a redacted task: what is still to go of it, and the origin that it was submitted through. */
export type ErasingTask = Pick<Task, "id" | "tenantId" | "origin" | "images" | "holdNumber">;
export type ErasingRow = { id: string } & Record<string, unknown>;

const erasing = rowCodec<ErasingTask>("tasks", { id: taskId, tenantId, origin, images, holdNumber });

/** @throws StoredDataUnreadable unless it may `skip`. */
export function erasingTasks(rows: ErasingRow[], skip?: SkipUnreadable): ErasingTask[] {
  return readable(rows, erasing.read, skip);
}

/** Whether D1 has a task without its text. */
export async function isErased(db: D1Database, tenantId: string, id: string): Promise<boolean> {
  const { results } = await db
    .prepare("SELECT 1 FROM tasks WHERE id = ?1 AND tenant_id = ?2 AND erasure <> 'none'")
    .bind(id, tenantId)
    .all();
  return results.length > 0;
}

/** Notes that nothing is left of redacted tasks. */
export async function markTombstoned(db: D1Database, ids: string[]): Promise<void> {
  await db
    .prepare(
      "UPDATE tasks SET erasure = 'done' WHERE erasure = 'pending' AND id IN (SELECT value FROM json_each(?1))",
    )
    .bind(JSON.stringify(ids))
    .run();
}
