/**
 * Work items between the tick that enqueues them and the consumer that does them, and the codec of `work_items`. A message
 * may come twice, late or never, so it only names a row: the row says whether there is anything left to do.
 */
import { json, list, rowCodec, text } from "../../domain/stored.ts";

export interface WorkItem {
  name: string;
  /** Ids of the tasks to poll. */
  taskIds: string[];
}

const row = rowCodec<WorkItem>(
  "work_items",
  { name: ["name", text], taskIds: ["task_ids", json(list(text))] },
  "name",
);

/** A work item that is the caller's until `untilMs`. */
export interface ClaimedWorkItem extends WorkItem {
  untilMs: number;
}

/** Writes the work items that have no row yet, and deletes lapsed ones. @returns the names of those written. */
export async function insertWorkItems(
  db: D1Database,
  workItems: WorkItem[],
  nowMs: number,
  untilMs: number,
): Promise<Set<string>> {
  const [, inserted] = await db.batch<{ name: string }>([
    db.prepare("DELETE FROM work_items WHERE until_ms <= ?1").bind(nowMs),
    db
      .prepare(
        `INSERT OR IGNORE INTO work_items (name, task_ids, until_ms)
         SELECT value ->> 'name', value -> 'taskIds', ?2 FROM json_each(?1) RETURNING name`,
      )
      .bind(JSON.stringify(workItems), untilMs),
  ]);
  return new Set(inserted?.results.map(({ name }) => name));
}

/** Takes a work item, once: undefined when it is done, being done or lost. */
export async function claimWorkItem(
  db: D1Database,
  name: string,
  nowMs: number,
  untilMs: number,
): Promise<ClaimedWorkItem | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE work_items SET claimed = 1, until_ms = ?3
       WHERE name = ?1 AND claimed = 0 AND until_ms > ?2 RETURNING ${row.columns}`,
    )
    .bind(name, nowMs, untilMs)
    .all();
  return results[0] && { ...row.read(results[0]), untilMs };
}

/** Deletes a work item, if it is still the one that was claimed: its name may belong to another one by now. */
export async function deleteWorkItem(db: D1Database, { name, untilMs }: ClaimedWorkItem): Promise<void> {
  await db
    .prepare("DELETE FROM work_items WHERE name = ?1 AND until_ms = ?2 AND claimed = 1")
    .bind(name, untilMs)
    .run();
}

/** Takes back what no consumer has begun. @returns the names of those taken back. */
export async function withdrawWorkItems(db: D1Database, names: string[]): Promise<Set<string>> {
  const { results } = await db
    .prepare(
      "DELETE FROM work_items WHERE name IN (SELECT value FROM json_each(?1)) AND claimed = 0 RETURNING name",
    )
    .bind(JSON.stringify(names))
    .all<{ name: string }>();
  return new Set(results.map(({ name }) => name));
}
