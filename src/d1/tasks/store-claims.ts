/**
 * Who stores the pictures of which task: claimed from all that are to be stored, or by the poll that found them ready.
 * Either way the task is its claimer's until `due_ms`.
 */
import { readable, type SkipUnreadable } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import { taskFromRow } from "./task-row.ts";

/**
 * Claims tasks whose pictures are to be stored: of the tenants with the fewest under way, those whose links expire first.
 * Reads all that are to be stored, so that one claim of many is worth more than many of one.
 * @param which `new`: only such as were never attempted.
 */
export async function claimStores(
  db: D1Database,
  nowMs: number,
  leaseUntilMs: number,
  which: "new" | "any",
  limit: number,
  skip?: SkipUnreadable,
): Promise<Task[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET attempts = attempts + 1, due_ms = ?2
       WHERE id IN (SELECT id FROM (
           SELECT id, upstream_links_expire_ms, waits, row_number() OVER (
             PARTITION BY tenant_id ORDER BY waits, upstream_links_expire_ms, id) AS turn
           FROM (SELECT id, tenant_id, upstream_links_expire_ms,
               due_ms <= ?1 AND (?3 = 0 OR attempts = 0) AS waits
             FROM tasks INDEXED BY tasks_open WHERE open = 1 AND state = 'storing'))
         WHERE waits ORDER BY turn, upstream_links_expire_ms, id LIMIT ?4)
       RETURNING *`,
    )
    .bind(nowMs, leaseUntilMs, which === "new" ? 1 : 0, limit)
    .all();
  return readable(results, taskFromRow, skip);
}

/** Gives back what {@link claimStores} claimed until `leaseUntilMs` and no storer has begun. */
export async function giveBackStores(
  db: D1Database,
  ids: string[],
  leaseUntilMs: number,
  nowMs: number,
): Promise<void> {
  await db
    .prepare(
      `UPDATE tasks SET attempts = attempts - 1, due_ms = ?3
       WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'storing' AND due_ms = ?2`,
    )
    .bind(JSON.stringify(ids), leaseUntilMs, nowMs)
    .run();
}

/**
 * A task that was claimed until `leaseUntilMs` when it was found done: of the tenant with the fewest of them, the one whose
 * links expire first.
 * @param besides Those that are being stored.
 * @throws StoredDataUnreadable
 */
export async function selectFound(
  db: D1Database,
  leaseUntilMs: number,
  besides: string[],
): Promise<Task | undefined> {
  const { results } = await db
    .prepare(
      `SELECT *, row_number() OVER (PARTITION BY tenant_id ORDER BY upstream_links_expire_ms, id) AS turn
       FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND state = 'storing' AND attempts = 1 AND due_ms = ?1
         AND id NOT IN (SELECT value FROM json_each(?2))
       ORDER BY turn, upstream_links_expire_ms, id LIMIT 1`,
    )
    .bind(leaseUntilMs, JSON.stringify(besides))
    .all();
  return results[0] && taskFromRow(results[0]);
}

/** Gives back what was claimed until `leaseUntilMs` when it was found done, and no storer has begun. */
export async function giveBackFound(
  db: D1Database,
  leaseUntilMs: number,
  besides: string[],
  nowMs: number,
): Promise<void> {
  await db
    .prepare(
      `UPDATE tasks SET attempts = 0, due_ms = ?3
       WHERE id IN (SELECT id FROM tasks INDEXED BY tasks_open
         WHERE open = 1 AND state = 'storing' AND attempts = 1 AND due_ms = ?1
           AND id NOT IN (SELECT value FROM json_each(?2)))`,
    )
    .bind(leaseUntilMs, JSON.stringify(besides), nowMs)
    .run();
}
