/** Deliveries that end without an attempt, and the log's bound by number. Both read as many rows as they take. */
import { rowCodec, text, whole } from "../../domain/stored.ts";
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

/** The lease of the logs: until then no tenant is noted. A row with a tenant's id behind it notes that one. */
const logs = "webhook_logs";
const noted = (id: string) => `'${logs} ' || ${id}`;

const lease = rowCodec<{ name: string; untilMs: number }>(
  "leases",
  { name: ["name", text], untilMs: ["until_ms", whole] },
  "name",
);

/**
 * The statement that finds a row where there are deliveries, and a log is noted, or the time has come to note some.
 */
export function selectLogsDue(db: D1Database, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      // SQLite would join what EXISTS asks for, and go through all.
      `SELECT 1 WHERE (SELECT 1 FROM deliveries WHERE id > '' LIMIT 1)
         AND (NOT EXISTS (SELECT 1 FROM leases WHERE name = '${logs}' AND until_ms > ?1)
           OR EXISTS (SELECT 1 FROM leases WHERE name > '${logs}' AND name < '${logs}!'))`,
    )
    .bind(nowMs);
}

/** @returns until when none is (0: not known), and up to `limit` tenants. */
export async function readNotedLogs(
  db: D1Database,
  limit: number,
): Promise<{ untilMs: number; tenants: string[] }> {
  const { results } = await db
    .prepare(
      `SELECT ${lease.columns} FROM leases WHERE name >= '${logs}' AND name < '${logs}!' ORDER BY name LIMIT ?1 + 1`,
    )
    .bind(limit)
    .all();
  const rows = new Map(results.map(lease.read).map(({ name, untilMs }) => [name, untilMs]));
  const untilMs = rows.get(logs) ?? 0;
  rows.delete(logs);
  return { untilMs, tenants: [...rows.keys()].map((name) => name.slice(logs.length + 1)) };
}

/**
 * Notes tenants whose log may have outgrown its bound: those with `share` deliveries or more since the bound of ids `since`, or
 * all that have one. Reads the deliveries since then, twice, and with `all` two rows a tenant.
 * @param untilMs No more are noted until then.
 */
export async function noteLogs(
  db: D1Database,
  { since, share, all, untilMs }: { since: string; share: number; all: boolean; untilMs: number },
): Promise<void> {
  const note = (from: string) =>
    `INSERT INTO leases (name, until_ms) ${from} ON CONFLICT (name) DO UPDATE SET until_ms = excluded.until_ms`;
  // By the key: the index of tenants would be read as a whole.
  const busy = `SELECT ${noted("tenant_id")}, 0 FROM deliveries WHERE id >= ?1 GROUP BY +tenant_id HAVING count(*) >= ?2`;
  const logged = `SELECT ${noted("id")}, 0 FROM tenants WHERE EXISTS (
    SELECT 1 FROM deliveries INDEXED BY deliveries_of_tenant WHERE tenant_id = tenants.id)`;
  await db.batch([
    db.prepare(note(busy)).bind(since, share),
    ...(all ? [db.prepare(note(logged))] : []),
    db.prepare(note(`VALUES ('${logs}', ?1)`)).bind(untilMs),
  ]);
}

/**
 * Deletes up to `limit` ended deliveries behind a tenant's newest `kept`; where that is all, its log is noted no more. Reads
 * `kept` index entries, and those behind them.
 * @returns whether there may be more.
 */
export async function cutLog(
  db: D1Database,
  tenantId: string,
  { kept, limit }: { kept: number; limit: number },
): Promise<boolean> {
  const [deleted] = await db.batch([
    db
      .prepare(
        `DELETE FROM deliveries WHERE id IN (
           SELECT id FROM deliveries INDEXED BY deliveries_of_tenant WHERE tenant_id = ?1 AND open = 0 AND id <= (
             SELECT id FROM deliveries INDEXED BY deliveries_of_tenant WHERE tenant_id = ?1
             ORDER BY id DESC LIMIT 1 OFFSET ?2)
           LIMIT ?3)`,
      )
      .bind(tenantId, kept, limit),
    db.prepare(`DELETE FROM leases WHERE name = ${noted("?1")} AND changes() < ?2`).bind(tenantId, limit),
  ]);
  return (deleted?.meta.changes ?? 0) >= limit;
}
