/**
 * Sums of tasks that have ended, by the day and hour of their submission. Each task is in exactly one place: in the sums; in
 * `unsummed_tasks`; or beyond the cursor. A reader that adds up all three in one statement is exact at every moment.
 *
 * A chunk is one transaction, in which the cursor is read, the tasks behind it are added up, and it is moved. D1 has one
 * transaction at a time, so two ticks, or ticks of two versions, take two chunks:
 *
 *   tick A                              tick B (doubled, late, or again after a lost reply)
 *   1. from c to d
 *                                       2. from d on: what A had is behind it
 *   (dies before 1: nothing is written)
 *
 * The row of a task may come late, as when D1 was out for an hour:
 *
 *   tick                                the tenant's object
 *                                       1. inserts a row before d: it is added up with the chunk
 *   2. adds up, moves the cursor to d
 *                                       3. inserts a row before d: a trigger puts it into `unsummed_tasks`
 *
 * A task that has not ended when its chunk is added up goes into `unsummed_tasks` in the same transaction. What has ended
 * there is added up and deleted in one transaction too. A task that has ended keeps its figures: erasing leaves them.
 */
import { idBound } from "../../domain/ids.ts";
import { chargedCredits, chargedImages, hasEnded, hasNotEnded } from "../tasks/task-row.ts";

/** SQL: the id of the task up to which all are in the sums, or in `unsummed_tasks`. */
export const summedTo = "coalesce((SELECT task_id FROM usage_cursor), '')";

/** SQL: tasks up to the cursor that are in no sum. Read in this order, or their join would read all tasks. */
export const unsummedTasks = "unsummed_tasks CROSS JOIN tasks USING (tenant_id, id)";

/** SQL: of a task, the UTC day of its submission. */
export const dayOf = "date(created_ms / 1000, 'unixepoch')";

/** SQL: of a task, what became of it. */
export const outcomeOf = "coalesce(error_code, state)";

const isCompleted = "state = 'completed'";
/** SQL: of a completed task, from submission to the stored picture; 0 of others. */
export const timeToPictureOf = `iif(${isCompleted}, coalesce(finished_ms - created_ms, 0), 0)`;
/** SQL: where that time falls. All times of a bucket are within a tenth of each other. */
export const bucketOf = `iif(${isCompleted}, CAST(ln(max(coalesce(finished_ms - created_ms, 0), 1)) / ln(1.1) AS INTEGER), 0)`;

/** SQL: what a group of tasks adds up to. */
export const imagesOfAll = `coalesce(sum(${chargedImages}), 0)`;
export const creditsOfAll = `coalesce(sum(${chargedCredits}), 0)`;

/** Nearly all tasks have ended by then; those that have not are written twice. */
const youngMs = 10 * 60_000;
/**
 * Tasks that are worth adding up. With a thousand equal tenants they change a thousand sums, so that at most 0.25 rows are
 * written for a task.
 */
const worthwhile = 4_000;
/** Fewer tasks wait no longer than this. */
const mostWaitMs = 70 * 60_000;
/** Tasks that are added up in one transaction, which takes D1 some 0.2 s. */
const chunkSize = 20_000;
/** For so long outcomes are kept by the hour. */
const outcomesKeptMs = 2 * 86_400_000;

/**
 * The statement that finds out whether there is anything to add up: a task that has waited for an hour, a late one that has
 * ended, or enough tasks. Reads one row where there is no task at all. Its result goes through {@link areSumsDue}.
 */
export function selectSumsDue(db: D1Database, nowMs: number): D1PreparedStatement {
  const waiting = (before: string) => `SELECT 1 FROM tasks WHERE id > ${summedTo} AND id < ${before}`;
  // CASE ends at the first that holds.
  return db
    .prepare(
      `SELECT CASE WHEN (SELECT id FROM tasks WHERE id < ?2 ORDER BY id DESC LIMIT 1) IS NULL THEN 0
         WHEN EXISTS (${waiting("?1")}) THEN 1
         WHEN EXISTS (SELECT 1 FROM ${unsummedTasks} WHERE ${hasEnded()}) THEN 1
         ELSE EXISTS (${waiting("?2")} LIMIT 1 OFFSET ${worthwhile - 1}) END AS due`,
    )
    .bind(idBound("task", nowMs - mostWaitMs), idBound("task", nowMs - youngMs));
}

export function areSumsDue(result: D1Result | undefined): boolean {
  return (result?.results as { due: number }[] | undefined)?.[0]?.due === 1;
}

/**
 * Adds up, in one transaction: late tasks that have ended, and the next chunk.
 * @returns whether there is another chunk.
 */
export async function addUp(db: D1Database, nowMs: number): Promise<boolean> {
  const isLate = `id IN (SELECT id FROM ${unsummedTasks} WHERE ${hasEnded()} ORDER BY tenant_id, id LIMIT ${chunkSize})`;
  const isNext = `id > ${summedTo} AND id <= (SELECT next_id FROM usage_cursor)`;
  const before = idBound("task", nowMs - youngMs);
  const results = await db.batch<{ more: number }>([
    // Before the chunk, which leaves more of them.
    ...addToSums(db, isLate),
    db.prepare(
      `DELETE FROM unsummed_tasks WHERE (tenant_id, id) IN (SELECT tenant_id, id FROM tasks WHERE ${isLate})`,
    ),
    db
      .prepare(
        `INSERT INTO usage_cursor (one, task_id, next_id)
         SELECT 1, '', coalesce(max(id), '') FROM (
           SELECT id FROM tasks WHERE id > ${summedTo} AND id < ?1 ORDER BY id LIMIT ${chunkSize}) WHERE true
         ON CONFLICT (one) DO UPDATE SET next_id = max(task_id, excluded.next_id)`,
      )
      .bind(before),
    ...addToSums(db, `${isNext} AND ${hasEnded()}`),
    db.prepare(
      `INSERT OR IGNORE INTO unsummed_tasks (tenant_id, id)
       SELECT tenant_id, id FROM tasks WHERE ${isNext} AND ${hasNotEnded()}`,
    ),
    db
      .prepare("DELETE FROM hourly_outcomes WHERE hour < ?1")
      .bind(Math.floor((nowMs - outcomesKeptMs) / 3_600_000)),
    db
      .prepare(
        "UPDATE usage_cursor SET task_id = next_id RETURNING EXISTS (SELECT 1 FROM tasks WHERE id > next_id AND id < ?1) AS more",
      )
      .bind(before),
  ]);
  return results.at(-1)?.results[0]?.more === 1;
}

/** The statements that add to all sums. @param which SQL: of which tasks. */
function addToSums(db: D1Database, which: string): D1PreparedStatement[] {
  const add = (...columns: string[]) =>
    `DO UPDATE SET ${columns.map((column) => `${column} = ${column} + excluded.${column}`).join(", ")}`;
  return [
    db.prepare(
      `INSERT INTO usage_days (tenant_id, day, key_id, model, tasks, images, credits)
       SELECT tenant_id, ${dayOf}, key_id, model, count(*), ${imagesOfAll}, ${creditsOfAll}
       FROM tasks WHERE ${which} AND hidden = 0 GROUP BY 1, 2, 3, 4
       ON CONFLICT (tenant_id, day, key_id, model) ${add("tasks", "images", "credits")}`,
    ),
    db.prepare(
      `INSERT INTO daily_totals (day, tasks, hidden, images, credits, failed)
       SELECT ${dayOf}, count(*), sum(hidden), ${imagesOfAll}, ${creditsOfAll}, sum(state = 'failed')
       FROM tasks WHERE ${which} GROUP BY 1
       ON CONFLICT (day) ${add("tasks", "hidden", "images", "credits", "failed")}`,
    ),
    db.prepare(
      `INSERT INTO hourly_outcomes (hour, outcome, bucket, tasks, ms, submitted_ms)
       SELECT created_ms / 3600000, ${outcomeOf}, ${bucketOf}, count(*), sum(${timeToPictureOf}),
         max(coalesce(submitted_ms, 0))
       FROM tasks WHERE ${which} GROUP BY 1, 2, 3
       ON CONFLICT (hour, outcome, bucket) ${add("tasks", "ms")}, submitted_ms = max(submitted_ms, excluded.submitted_ms)`,
    ),
  ];
}
