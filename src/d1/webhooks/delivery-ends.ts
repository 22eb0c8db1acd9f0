/** Deliveries that end without an attempt, and the log's bound by number. Both read as many rows as they take. */
import { deliveryLifeMs } from "../../domain/webhooks.ts";

/**
 * The statement that ends up to `limit` deliveries whose life is over, the oldest first, whichever endpoint they wait for. One
 * that is being sent is its sender's.
 */
export function endExpired(db: D1Database, nowMs: number, limit: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE deliveries SET state = 'failed', open = 0, last_problem = coalesce(last_problem, 'never attempted')
       WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_by_age
         WHERE open = 1 AND coalesce(retried_ms, created_ms) <= ?1 - ${deliveryLifeMs} AND (state <> 'sending' OR due_ms <= ?1)
         ORDER BY coalesce(retried_ms, created_ms) LIMIT ?2)`,
    )
    .bind(nowMs, limit);
}

/**
 * Deletes up to `limit` ended deliveries behind the newest `kept` of a tenant, of those tenants that had `share` or more since
 * the bound of ids `since`: of others none has outgrown its log since. Reads the deliveries since then, of each such tenant
 * `kept` index entries, and those that it deletes.
 */
export async function deleteBeyond(
  db: D1Database,
  { since, share, kept, limit }: { since: string; share: number; kept: number; limit: number },
): Promise<void> {
  await db
    .prepare(
      `DELETE FROM deliveries WHERE id IN (
         SELECT one.id FROM (
           SELECT tenant_id FROM deliveries WHERE id >= ?1 GROUP BY 1 HAVING count(*) >= ?2) AS busy
         CROSS JOIN deliveries AS one INDEXED BY deliveries_of_tenant ON one.tenant_id = busy.tenant_id AND one.id <= (
           SELECT id FROM deliveries INDEXED BY deliveries_of_tenant WHERE tenant_id = busy.tenant_id
           ORDER BY id DESC LIMIT 1 OFFSET ?3)
         WHERE one.open = 0 LIMIT ?4)`,
    )
    .bind(since, share, kept, limit)
    .run();
}
