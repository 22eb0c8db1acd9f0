/** What of `tasks` is to go to the archive. */
import type { ArchivedRow } from "../../domain/task-part.ts";
import { summedTo } from "../cron/sums.ts";

/** The statement that finds a row when a tenant's turn has come, or objects are to be swept. @param isOn Tasks are archived. */
export function selectArchiveDue(db: D1Database, nowMs: number, isOn: boolean): D1PreparedStatement {
  return db
    .prepare(
      `SELECT * FROM (SELECT 1 FROM tenants INDEXED BY tenants_archive_due WHERE ?2 AND archive_due_ms <= ?1 LIMIT 1)
       UNION ALL SELECT * FROM (SELECT 1 FROM leftovers INDEXED BY leftovers_due WHERE due_ms <= ?1 LIMIT 1)`,
    )
    .bind(nowMs, isOn ? 1 : 0);
}

/** Tenants whose turn has come, those that have waited longest, deleted ones among them: what they made is archived too. */
export async function tenantsToArchive(db: D1Database, nowMs: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      `SELECT id FROM tenants INDEXED BY tenants_archive_due WHERE archive_due_ms <= ?1
       ORDER BY archive_due_ms LIMIT ?2`,
    )
    .bind(nowMs, limit)
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

export async function setArchiveDue(db: D1Database, tenantId: string, dueMs: number): Promise<void> {
  await db.prepare("UPDATE tenants SET archive_due_ms = ?2 WHERE id = ?1").bind(tenantId, dueMs).run();
}

/**
 * What may go to the archive: it has ended, its figures are in the sums, its pictures are there or gone, and its end user's
 * tasks are not being erased.
 */
const candidates = `SELECT * FROM tasks INDEXED BY tasks_of_tenant
  WHERE tenant_id = ?1 AND id >= ?2 AND id < min(?3, ${summedTo} || '!') AND open = 0 AND erasure <> 'pending'
    AND NOT EXISTS (SELECT 1 FROM unsummed_tasks WHERE tenant_id = ?1 AND id = tasks.id)
    AND (end_user IS NULL OR NOT EXISTS (
      SELECT 1 FROM erasure_turns WHERE tenant_id = ?1 AND end_user = tasks.end_user))
    AND id NOT IN (SELECT value FROM json_each(?4)) ORDER BY id`;

/** Texts of one part: what one call may well read and write. */
const mostBytes = 4_000_000;
const partSize = 1_000;

/** A tenant's oldest task of a range that may be archived. @param besides Ids that may not. */
export async function oldestCandidate(
  db: D1Database,
  tenantId: string,
  { fromId, beforeId }: { fromId: string; beforeId: string },
  besides: string[],
): Promise<string | undefined> {
  const { results } = await db
    .prepare(`SELECT id FROM (${candidates} LIMIT 1)`)
    .bind(tenantId, fromId, beforeId, JSON.stringify(besides))
    .all<{ id: string }>();
  return results[0]?.id;
}

/** Where a tenant's next part begins behind a task; undefined: there is none. */
export async function nextPartId(db: D1Database, tenantId: string, id: string): Promise<string | undefined> {
  const { results } = await db
    .prepare("SELECT first_id FROM task_parts WHERE tenant_id = ?1 AND last_id > ?2 ORDER BY last_id LIMIT 1")
    .bind(tenantId, id)
    .all<{ first_id: string }>();
  return results[0]?.first_id;
}

/**
 * Reads rows for one part, oldest first.
 * @returns those that one part takes, and whether it is full by them.
 */
export async function readCandidates(
  db: D1Database,
  tenantId: string,
  { fromId, beforeId, besides }: { fromId: string; beforeId: string; besides: string[] },
): Promise<{ rows: ArchivedRow[]; isFull: boolean }> {
  const { results } = await db
    .prepare(
      `SELECT * FROM (
         SELECT *, count(*) OVER () AS found, sum(length(input) + length(metadata) + length(images)) OVER (ORDER BY id) AS bytes
         FROM (${candidates} LIMIT ${partSize}))
       WHERE bytes <= ${mostBytes} OR id = ?2`,
    )
    .bind(tenantId, fromId, beforeId, JSON.stringify(besides))
    .all<ArchivedRow & { found: number; bytes: number }>();
  const rows = results.map(({ found: _found, bytes: _bytes, ...row }) => row as ArchivedRow);
  const found = results[0]?.found ?? 0;
  return { rows, isFull: found === partSize || rows.length < found };
}
