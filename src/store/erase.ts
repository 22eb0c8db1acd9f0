/** Erasing what a tenant made: prompts, metadata, end users and pictures go, figures stay. */
import type { TaskImage } from "../domain/task.ts";

/** The statement that deletes a tenant none of whose tasks goes on; no row changes else. */
export function deleteTenant(db: D1Database, id: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE tenants SET status = 'suspended', deleted_ms = ?2, turnstile_secret = NULL,
         config_version = config_version + 1
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

/** Deleted tenants of which something may be left. */
export async function listToErase(
  db: D1Database,
  limit: number,
): Promise<{ id: string; deletedMs: number }[]> {
  const { results } = await db
    .prepare(
      `SELECT id, deleted_ms AS deletedMs FROM tenants INDEXED BY tenants_to_erase
       WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL LIMIT ?1`,
    )
    .bind(limit)
    .all<{ id: string; deletedMs: number }>();
  return results;
}

/** Ended tasks of a tenant that are not erased. */
export async function tasksToErase(
  db: D1Database,
  tenantId: string,
  limit: number,
): Promise<{ id: string; images: TaskImage[] }[]> {
  const { results } = await db
    .prepare(
      `SELECT id, images FROM tasks INDEXED BY tasks_of_tenant
       WHERE tenant_id = ?1 AND erased = 0 AND open = 0 LIMIT ?2`,
    )
    .bind(tenantId, limit)
    .all<{ id: string; images: string }>();
  return results.map(({ id, images }) => ({ id, images: JSON.parse(images) as TaskImage[] }));
}

/** Erases what is written of tasks whose pictures are gone. The number of images stays: it was charged. */
export async function eraseTasks(db: D1Database, ids: string[]): Promise<void> {
  await db
    .prepare(
      `UPDATE tasks SET erased = 1, version = version + 1, metadata = '{}', end_user = NULL,
         input = json_object('prompt', '', 'n', json_extract(input, '$.n'))
       WHERE id IN (SELECT value FROM json_each(?1)) AND open = 0`,
    )
    .bind(JSON.stringify(ids))
    .run();
}

/** Notes that nothing is left of a tenant. */
export async function markErased(db: D1Database, id: string, nowMs: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET erased_ms = ?2 WHERE id = ?1 AND deleted_ms IS NOT NULL")
    .bind(id, nowMs)
    .run();
}
