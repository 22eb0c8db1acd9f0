/** Objects of the archive that have to go, each from a time on, and the table of them. */

/** Longer than any writer takes from its note to its part. */
export const writerMs = 3_600_000;

/** Notes, before an object is put, that it has to go unless it becomes a part. */
export async function insertLeftover(db: D1Database, key: string, dueMs: number): Promise<void> {
  await db.prepare("INSERT INTO leftovers (key, due_ms) VALUES (?1, ?2)").bind(key, dueMs).run();
}

/** When an object is due that another one has replaced as a part: at once. */
export const replacedMs = 0;

/** Objects that are due to go, up to `limit`: those that were replaced, and those whose writer never came to an end. */
export async function dueLeftovers(
  db: D1Database,
  nowMs: number,
  limit: number,
): Promise<{ replaced: string[]; unfinished: string[] }> {
  const { results } = await db
    .prepare(
      "SELECT key, due_ms FROM leftovers INDEXED BY leftovers_due WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2",
    )
    .bind(nowMs, limit)
    .all<{ key: string; due_ms: number }>();
  const keysOf = (some: typeof results) => some.map(({ key }) => key);
  const { replaced = [], unfinished = [] } = Object.groupBy(results, ({ due_ms: dueMs }) =>
    dueMs === replacedMs ? "replaced" : "unfinished",
  );
  return { replaced: keysOf(replaced), unfinished: keysOf(unfinished) };
}

export async function deleteLeftovers(db: D1Database, keys: string[]): Promise<void> {
  await db
    .prepare("DELETE FROM leftovers WHERE key IN (SELECT value FROM json_each(?1))")
    .bind(JSON.stringify(keys))
    .run();
}

/**
 * The statement that has objects go now that are kept for a while, since D1 may be restored to before their tasks went back to
 * it: some of the tenant's text is to be nowhere.
 * @param nowMs Or a little later. Objects of writers at work stay.
 */
export function dropKept(db: D1Database, tenantId: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare(`UPDATE leftovers SET due_ms = ${replacedMs} WHERE key > ?1 AND key < ?2 AND due_ms > ?3`)
    .bind(`archive/${tenantId}/`, `archive/${tenantId}0`, nowMs + 2 * writerMs);
}

/** Those of some keys of a tenant that are neither a part nor due to go. */
export async function unknownKeys(db: D1Database, tenantId: string, keys: string[]): Promise<string[]> {
  if (keys.length === 0) return [];
  const { results } = await db
    .prepare(
      `SELECT value AS key FROM json_each(?2)
       WHERE value NOT IN (SELECT key FROM task_parts WHERE tenant_id = ?1)
         AND value NOT IN (SELECT key FROM leftovers WHERE key IN (SELECT value FROM json_each(?2)))`,
    )
    .bind(tenantId, JSON.stringify(keys))
    .all<{ key: string }>();
  return results.map(({ key }) => key);
}

/** Has objects go. */
export async function dropObjects(db: D1Database, keys: string[]): Promise<void> {
  await db
    .prepare(
      `INSERT OR IGNORE INTO leftovers (key, due_ms) SELECT value, ${replacedMs} FROM json_each(?1) WHERE true`,
    )
    .bind(JSON.stringify(keys))
    .run();
}
