/**
 * What is due, for cron: one read finds it all, each kind of work is then claimed by its own statement.
 * A poll is not recorded by itself: whether a task is due for one follows from its age and from when the last
 * round ran.
 */
import { firstPollMs, type PollTarget, pollSchedule } from "../../domain/poll.ts";
import { readable, rowCodec, type SkipUnreadable, whole } from "../../domain/stored.ts";
import type { Task, TaskImage } from "../../domain/task.ts";
import { coolDownUntil } from "../cron/leases.ts";
import { isBeforeStoring, taskColumns, taskFromRow } from "./task-row.ts";

export interface DuePage {
  nowMs: number;
  /** When the last round polled; at most a minute ago. */
  previousMs: number;
  limit: number;
  /** The last task of the page before. */
  after?: Pick<PollTarget, "id" | "createdMs"> | undefined;
  /** States of which enough is known. */
  except?: readonly Task["state"][];
}

/** D1 binds every number as a float, whose division would not round down. */
const integer = (parameter: number) => `CAST(?${parameter} AS INTEGER)`;

const everyMs = `CASE ${pollSchedule
  .map(({ untilAgeMs, everyMs: pause }) => `WHEN ?1 - submitted_ms < ${untilAgeMs} THEN ${pause}`)
  .join(" ")} END`;

const { id, state, createdMs, upstreamId, deadlineMs, processing, progress, estimatedSeconds } = taskColumns;
const target = rowCodec<Omit<PollTarget, "isRead">>("tasks", {
  ...{ id, state, createdMs, upstreamId, deadlineMs, processing, progress, estimatedSeconds },
  // Guarded: `json_extract` of a text that is no JSON would fail the statement for every task.
  imagesAsked: ["images_asked", whole, "iif(json_valid(input), json_extract(input, '$.n'), NULL)"],
});
const targetOf =
  (isRead: boolean) =>
  (row: unknown): PollTarget => ({ ...target.read(row), isRead });

/** The last poll of a task past its deadline waits for the end of a pause, but no longer than this. */
const lastPollWaitsMs = 120_000;

const hasNoPause = `${coolDownUntil} <= ?1`;

/** The tasks of a work item. Of one that is no JSON they are due: no consumer can read which they are. */
const enqueued = "iif(json_valid(work_items.task_ids), work_items.task_ids, '[]')";

/**
 * Reads a page of open tasks with something due, oldest first, in one pass over the open tasks. While the
 * upstream's account cools down, only storing, settling and ending what is past its deadline are due. Polls that were enqueued
 * are not due.
 */
export async function selectDue(
  db: D1Database,
  page: DuePage,
  skip?: SkipUnreadable,
): Promise<{ due: PollTarget[]; next: DuePage["after"] }> {
  const { results } = await db
    .prepare(
      `SELECT ${target.columns} FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND (created_ms, id) > (?4, ?5) AND iif(state = 'submitted',
         ?1 >= deadline_ms OR due_ms <= ?1 AND ?1 - refreshed_ms >= ${firstPollMs} AND (
           (${integer(1)} - submitted_ms) / (${everyMs}) > (${integer(2)} - submitted_ms) / (${everyMs})),
         due_ms <= ?1)
         AND (NOT ${isBeforeStoring}
           OR deadline_ms + iif(state = 'submitted', ${lastPollWaitsMs}, 0) <= ?1 OR ${hasNoPause})
         AND (state <> 'submitted' OR NOT EXISTS (SELECT 1 FROM work_items)
           OR id NOT IN (SELECT value FROM work_items, json_each(${enqueued}) WHERE until_ms > ?1))
         AND instr(?6, state) = 0
       ORDER BY created_ms, id LIMIT ?3`,
    )
    .bind(
      page.nowMs,
      page.previousMs,
      page.limit,
      page.after?.createdMs ?? 0,
      page.after?.id ?? "",
      page.except?.join() ?? "",
    )
    .all();
  const last = results.length === page.limit ? results.at(-1) : undefined;
  return {
    due: readable(results, targetOf(false), skip),
    next: last && { id: String(last.id), createdMs: Number(last.created_ms) },
  };
}

/** Reads those of `ids` that may be polled at any pace: the upstream has them, and none was polled just now. */
export async function selectPolls(
  db: D1Database,
  ids: string[],
  nowMs: number,
  skip?: SkipUnreadable,
): Promise<PollTarget[]> {
  const { results } = await db
    .prepare(
      `SELECT ${target.columns} FROM tasks
       WHERE id IN (SELECT value FROM json_each(?2)) AND state = 'submitted'
         AND (?1 >= deadline_ms OR due_ms <= ?1 AND ?1 - refreshed_ms >= ${firstPollMs})
         AND (deadline_ms + ${lastPollWaitsMs} <= ?1 OR ${hasNoPause})`,
    )
    .bind(nowMs, JSON.stringify(ids))
    .all();
  return readable(results, targetOf(false), skip);
}

/**
 * Claims one poll on behalf of readers: the first of them within `intervalMs` gets the task, the others get
 * undefined, as do all while the upstream's account cools down.
 */
export async function claimRefresh(
  db: D1Database,
  id: string,
  nowMs: number,
  intervalMs: number,
): Promise<PollTarget | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET refreshed_ms = ?2
       WHERE id = ?1 AND state = 'submitted' AND refreshed_ms <= ?2 - ?3
         AND ${coolDownUntil} <= ?2
       RETURNING ${target.columns}`,
    )
    .bind(id, nowMs, intervalMs)
    .all();
  return results[0] && targetOf(true)(results[0]);
}

/**
 * Has cron leave tasks alone until `untilMs`: a poll of one of them was answered by a pause of the whole account, and
 * the next poll is to be of another tenant's task.
 */
export async function postponePolls(db: D1Database, ids: string[], untilMs: number): Promise<void> {
  await db
    .prepare(
      `UPDATE tasks SET due_ms = ?2
       WHERE id IN (SELECT value FROM json_each(?1)) AND state = 'submitted'`,
    )
    .bind(JSON.stringify(ids), untilMs)
    .run();
}

/** What polls found, for tasks that go on. `images`: the upstream is done, these are to be stored. */
export interface PollResult
  extends Pick<Task, "id" | "processing" | "progress" | "estimatedSeconds" | "upstreamLinksExpireMs"> {
  images: TaskImage[] | null;
}

/**
 * Writes what a round of polls found, in one statement. Tasks whose pictures are ready are `storing`, due now.
 * Another poll may be recorded meanwhile: a result that takes a task no further than that is old, and not written.
 * @param leaseUntilMs The poller stores those tasks at once: they are claimed for it in the same write.
 * @returns those whose pictures are to be stored, as they are now.
 */
export async function writePolls(
  db: D1Database,
  found: PollResult[],
  nowMs: number,
  leaseUntilMs: number | null = null,
  skip?: SkipUnreadable,
): Promise<Task[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET
         state = iif(found.value ->> 'upstreamLinksExpireMs' IS NULL, state, 'storing'),
         attempts = iif(found.value ->> 'upstreamLinksExpireMs' IS NULL, attempts, ?3 IS NOT NULL),
         due_ms = iif(found.value ->> 'upstreamLinksExpireMs' IS NULL, due_ms, coalesce(?3, ?2)),
         images = coalesce(found.value ->> 'images', images),
         upstream_links_expire_ms = found.value ->> 'upstreamLinksExpireMs',
         processing = max(processing, found.value ->> 'processing'),
         progress = max(progress, found.value ->> 'progress'),
         estimated_seconds = found.value ->> 'estimatedSeconds',
         version = version + 1
       FROM json_each(?1) AS found
       WHERE tasks.id = found.value ->> 'id' AND tasks.state = 'submitted'
         AND (found.value ->> 'upstreamLinksExpireMs' IS NOT NULL OR found.value ->> 'processing' > processing
           OR found.value ->> 'progress' > progress)
       RETURNING *`,
    )
    .bind(JSON.stringify(found), nowMs, leaseUntilMs)
    .all();
  return readable(results, taskFromRow, skip).filter(({ state }) => state === "storing");
}

/**
 * Claims tasks to be sent upstream, fairly: a tenant's turn comes the sooner, the fewer of its tasks the upstream has
 * by now, so that a thousand tasks of one do not hold up the single one of another. Those past their deadline come
 * first, also while the account cools down: they are only ended. One that was `submitting` had a
 * sender that recorded no outcome.
 */
export async function claimSends(
  db: D1Database,
  nowMs: number,
  leaseUntilMs: number,
  limit: number,
  skip?: SkipUnreadable,
): Promise<Task[]> {
  const { results } = await db
    .prepare(
      `UPDATE tasks SET state = 'submitting', uncertain = uncertain OR state = 'submitting',
         attempts = attempts + 1, due_ms = ?2
       WHERE id IN (SELECT id FROM (
           SELECT id, created_ms, deadline_ms, waits, row_number() OVER (
             PARTITION BY tenant_id ORDER BY waits, created_ms, id) AS turn
           FROM (SELECT id, tenant_id, created_ms, deadline_ms, state IN ('queued', 'submitting') AND due_ms <= ?1 AS waits
             FROM tasks INDEXED BY tasks_open
             WHERE open = 1 AND ${isBeforeStoring}))
         WHERE waits AND (deadline_ms <= ?1 OR ${hasNoPause})
         ORDER BY deadline_ms > ?1, turn, created_ms, id LIMIT ?3)
       RETURNING *`,
    )
    .bind(nowMs, leaseUntilMs, limit)
    .all();
  return readable(results, taskFromRow, skip);
}

/** Of all open tasks the oldest are examined for one that is past its deadline. */
const mostExamined = 1_000;

/** How long the open task that is longest past its deadline has been so, in milliseconds; 0 when none of the oldest is. */
export async function oldestOverdueMs(db: D1Database, nowMs: number): Promise<number> {
  const { results } = await db
    .prepare(
      `SELECT min(deadline_ms) AS oldest FROM (
         SELECT deadline_ms, state FROM tasks INDEXED BY tasks_open WHERE open = 1 ORDER BY created_ms LIMIT ${mostExamined})
       WHERE ${isBeforeStoring}`,
    )
    .all<{ oldest: number | null }>();
  return Math.max(0, nowMs - (results[0]?.oldest ?? nowMs));
}
