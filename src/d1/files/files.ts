/** Uploaded files: their rows, and which of them are to go. */
import type { StoredFile } from "../../domain/uploads.ts";
import { hasNotEnded } from "../tasks/task-row.ts";
import { fileFromRow } from "./file-row.ts";

export async function insertFile(db: D1Database, file: StoredFile): Promise<void> {
  await db
    .prepare(
      `INSERT INTO files (id, tenant_id, key_id, token_id, end_user, content_type, bytes, width, height, created_ms,
         expires_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)`,
    )
    .bind(
      file.id,
      file.tenantId,
      file.keyId,
      file.tokenId,
      file.endUser,
      file.contentType,
      file.bytes,
      file.width,
      file.height,
      file.createdMs,
      file.expiresMs,
    )
    .run();
}

/** The statement that reads those of a tenant's files that are alive; its result goes through {@link filesOf}. */
export function selectFiles(
  db: D1Database,
  tenantId: string,
  ids: readonly string[],
  nowMs: number,
): D1PreparedStatement {
  return db
    .prepare(
      `SELECT * FROM files WHERE tenant_id = ?1 AND erasure = 'none' AND expires_ms > ?3
         AND id IN (SELECT value FROM json_each(?2))`,
    )
    .bind(tenantId, JSON.stringify(ids), nowMs);
}

export function filesOf(result: D1Result | undefined): StoredFile[] {
  return (result?.results ?? []).map(fileFromRow);
}

/** Which of a tenant's files are to go. */
export type FileErasureScope =
  | { file: string }
  | { endUser: string; upToMs: number }
  /** All of them. */
  | { upToMs: number };

/** The statement that has files of a tenant erased: from now on they answer no more. */
export function eraseFiles(db: D1Database, tenantId: string, which: FileErasureScope): D1PreparedStatement {
  const [where, ...values] = condition(which);
  return db
    .prepare(`UPDATE files SET ${redacted} WHERE tenant_id = ?1 AND erasure = 'none' AND ${where}`)
    .bind(tenantId, ...values);
}

function condition(which: FileErasureScope): [string, ...(string | number)[]] {
  if ("file" in which) return ["id = ?2", which.file];
  if ("endUser" in which) return ["end_user = ?2 AND created_ms <= ?3", which.endUser, which.upToMs];
  return ["created_ms <= ?2", which.upToMs];
}

const redacted = "erasure = 'pending', end_user = NULL";

/**
 * SQL that has the files erased that a tenant's tasks name as their references; before the tasks are redacted. Not those
 * that an unfinished task still needs, nor what another end user uploaded. An input that is no JSON names none.
 * @param tasks SQL of the tasks' ids, with the tenant as its first parameter.
 */
export function eraseReferences(tasks: string): string {
  // An address of a file has its id, of a fixed length, behind this path.
  const path = "/files/";
  const length = "file-".length + 26;
  return `UPDATE files SET ${redacted} WHERE tenant_id = ?1 AND erasure = 'none' AND NOT EXISTS (
    SELECT 1 FROM tasks AS other INDEXED BY tasks_open WHERE open = 1 AND other.tenant_id = ?1
      AND ${hasNotEnded("other")} AND instr(other.input, files.id) > 0)
    AND id IN (SELECT substr(link.value, instr(link.value, '${path}') + ${path.length}, ${length})
    FROM tasks, json_each(iif(json_valid(tasks.input), tasks.input, '{}'), '$.image_urls') AS link
    WHERE tasks.id IN (${tasks}) AND instr(link.value, '${path}') > 0
      AND (files.end_user IS NULL OR files.end_user IS tasks.end_user))`;
}

export interface FileTombstoneTarget {
  id: string;
  tenantId: string;
}

/** Takes files whose bytes are about to go, of one tenant or of any, those that have waited longest. */
export async function takeFilesToTombstone(
  db: D1Database,
  nowMs: number,
  { limit, leaseUntilMs }: { limit: number; leaseUntilMs: number },
  tenantId: string | null = null,
): Promise<FileTombstoneTarget[]> {
  const { results } = await db
    .prepare(
      `UPDATE files SET due_ms = ?2 WHERE id IN (
         SELECT id FROM files WHERE erasure = 'pending' AND due_ms <= ?1 AND tenant_id = coalesce(?3, tenant_id)
         ORDER BY due_ms LIMIT ${limit})
       RETURNING id, tenant_id AS tenantId`,
    )
    .bind(nowMs, leaseUntilMs, tenantId)
    .all<FileTombstoneTarget>();
  return results;
}

/** Notes that a file's bytes are gone. The row stays until the file's end, so that a late put is recognised. */
export async function markFilesTombstoned(db: D1Database, ids: string[]): Promise<void> {
  await db
    .prepare(
      "UPDATE files SET erasure = 'done' WHERE erasure = 'pending' AND id IN (SELECT value FROM json_each(?1))",
    )
    .bind(JSON.stringify(ids))
    .run();
}

/** Ids of files that have come to their end, oldest first. */
export async function expiredFiles(db: D1Database, nowMs: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      "SELECT id FROM files INDEXED BY files_expiring WHERE expires_ms <= ?1 ORDER BY expires_ms LIMIT ?2",
    )
    .bind(nowMs, limit)
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

/** Deletes the rows of files that have come to their end and whose objects are gone. */
export async function deleteFileRows(db: D1Database, ids: string[], nowMs: number): Promise<void> {
  await db
    .prepare("DELETE FROM files WHERE expires_ms <= ?2 AND id IN (SELECT value FROM json_each(?1))")
    .bind(JSON.stringify(ids), nowMs)
    .run();
}
