/** What a restored database, or a tenant's object, has brought back, of what is known to be erased, revoked or deleted. */
import { hasEnded } from "../tasks/task-row.ts";
import { nextVersion } from "../tenants/tenant-row.ts";

/** A tenant's task or key, by its id, or `tenant`. */
export interface Noted {
  tenantId: string;
  what: string;
}

const noted = "json_each(?1) AS note";
const [tenantId, what] = ["note.value ->> 'tenantId'", "note.value ->> 'what'"];
/** SQL: keys of those that were noted, that work. */
const workingKeys = `FROM ${noted} CROSS JOIN keys ON keys.tenant_id = ${tenantId} AND keys.id = ${what} AND revoked_ms IS NULL`;

/** Those of tenants' tasks, keys and tenants that are there again; tasks that go on are left out until they end. */
export async function broughtBack(
  db: D1Database,
  notes: Noted[],
): Promise<{ tasks: Noted[]; keys: Noted[]; tenants: Noted[] }> {
  const back = (from: string) =>
    db
      .prepare(`SELECT ${tenantId} AS tenantId, ${what} AS what ${from}`)
      .bind(JSON.stringify(notes.map(({ tenantId, what }) => ({ tenantId, what }))));
  const [tasks, keys, tenants] = await db.batch<Noted>([
    back(
      `FROM ${noted} CROSS JOIN tasks ON tasks.id = ${what} AND tasks.tenant_id = ${tenantId} AND erasure = 'none' AND ${hasEnded()}`,
    ),
    back(workingKeys),
    back(
      `FROM ${noted} CROSS JOIN tenants ON tenants.id = ${tenantId} AND ${what} = 'tenant' AND deleted_ms IS NULL`,
    ),
  ]);
  return { tasks: tasks?.results ?? [], keys: keys?.results ?? [], tenants: tenants?.results ?? [] };
}

/** Revokes keys again. Their tenants' objects have to get them. */
export async function revokeAgain(db: D1Database, keys: Noted[], nowMs: number): Promise<void> {
  const values = JSON.stringify(keys);
  await db.batch([
    db
      .prepare(`UPDATE tenants SET ${nextVersion} WHERE id IN (SELECT ${tenantId} ${workingKeys})`)
      .bind(values),
    db
      .prepare(
        `UPDATE keys SET revoked_ms = ?2 WHERE (tenant_id, id) IN (SELECT ${tenantId}, ${what} ${workingKeys})`,
      )
      .bind(values, nowMs),
  ]);
}

/** Those of a tenant's tasks that are erased to the end, by ids. */
export async function erasedAmong(db: D1Database, tenantId: string, ids: string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const { results } = await db
    .prepare(
      `SELECT id FROM tasks WHERE id IN (SELECT value FROM json_each(?2)) AND tenant_id = ?1 AND erasure = 'done'`,
    )
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
