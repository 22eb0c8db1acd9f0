/** What a restored database, or a tenant's object, has brought back, of what is known to be erased or revoked. */
import { hasEnded } from "../tasks/task-row.ts";

const given = "IN (SELECT value FROM json_each(?2))";

/** Those of a tenant's tasks and keys that are there again, by ids; tasks that go on are left out until they end. */
export async function broughtBack(
  db: D1Database,
  tenantId: string,
  ids: string[],
): Promise<{ tasks: string[]; keys: string[] }> {
  const values = [tenantId, JSON.stringify(ids)];
  const [tasks, keys] = await db.batch<{ id: string }>([
    db
      .prepare(
        `SELECT id FROM tasks WHERE id ${given} AND tenant_id = ?1 AND erasure = 'none' AND ${hasEnded()}`,
      )
      .bind(...values),
    db
      .prepare(`SELECT id FROM keys WHERE tenant_id = ?1 AND id ${given} AND revoked_ms IS NULL`)
      .bind(...values),
  ]);
  const idsOf = (result: typeof tasks) => (result?.results ?? []).map(({ id }) => id);
  return { tasks: idsOf(tasks), keys: idsOf(keys) };
}

/** Those of a tenant's tasks that are erased to the end, by ids. */
export async function erasedAmong(db: D1Database, tenantId: string, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { results } = await db
    .prepare(`SELECT id FROM tasks WHERE id ${given} AND tenant_id = ?1 AND erasure = 'done'`)
    .bind(tenantId, JSON.stringify(ids))
    .all<{ id: string }>();
  return new Set(results.map(({ id }) => id));
}

/** The end users that a tenant has tasks of, but those who are being erased, each with its oldest task. Reads few rows of each. */
export async function endUsers(
  db: D1Database,
  tenantId: string,
): Promise<{ name: string; oldest: string }[]> {
  const first = (what: string, which: string) => `SELECT min(${what}) FROM tasks INDEXED BY tasks_of_end_user
    WHERE tenant_id = ?1 AND end_user ${which}`;
  const { results } = await db
    .prepare(
      `WITH RECURSIVE person (name) AS (
         ${first("end_user", "IS NOT NULL")} UNION ALL SELECT (${first("end_user", "> name")}) FROM person WHERE name IS NOT NULL)
       SELECT name, (${first("id", "= name")}) AS oldest FROM person WHERE name IS NOT NULL AND NOT EXISTS (
         SELECT 1 FROM erasure_turns WHERE tenant_id = ?1 AND end_user = name)`,
    )
    .bind(tenantId)
    .all<{ name: string; oldest: string }>();
  return results;
}
