/**
 * Ids of tasks that were admitted and whose row never came. A task's row and its void exclude each other: each
 * is only written where the other is not, and D1 runs one transaction at a time.
 */

/** Voids those of the ids that have no row. @returns those that are void now. */
export async function voidMissing(db: D1Database, ids: string[], nowMs: number): Promise<string[]> {
  if (ids.length === 0) return [];
  const list = JSON.stringify(ids);
  const [, found] = await db.batch<{ id: string }>([
    db
      .prepare(
        `INSERT INTO voids (id, at_ms) SELECT value, ?2 FROM json_each(?1) AS wanted
         WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = wanted.value)
         ON CONFLICT (id) DO NOTHING`,
      )
      .bind(list, nowMs),
    db.prepare("SELECT id FROM voids WHERE id IN (SELECT value FROM json_each(?1))").bind(list),
  ]);
  return (found?.results ?? []).map(({ id }) => id);
}
