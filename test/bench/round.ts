/**
 * A round of cron over many due tasks, in a small table and in a large one: what it reads must not grow with the table. It
 * makes as many polls as one invocation should, and enqueues the others.
 */
import type { Prepared } from "./prepare.ts";
import type { Stage } from "./stage.ts";

export interface Round {
  /** Tasks that have ended, beside those that are due. */
  finished: number;
  due: number;
  ms: number;
  rowsRead: number;
}

const step = 100_000;
const copied =
  "tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits, images, progress, processing, version, attempts";

/** Adds tasks that have ended, some of each minute. @param onStep Called with how many there are so far. */
export async function addFinished(
  { miniflare }: Stage,
  { finishedTask }: Prepared,
  count: number,
  onStep: (done: number) => void,
): Promise<void> {
  const db = await miniflare.getD1Database("DB", "gateway");
  for (let from = 0; from < count; from += step) {
    await db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT ?2 UNION ALL SELECT i + 1 FROM n WHERE i < ?3 - 1)
         INSERT INTO tasks (id, created_ms, finished_ms, deadline_ms, due_ms, open, ${copied})
         SELECT 'task-' || printf('%031d', i), i * 10, i * 10 + 30000, 0, 0, 0, ${copied} FROM n, tasks WHERE id = ?1`,
      )
      .bind(finishedTask, from, Math.min(from + step, count))
      .run();
    onStep(Math.min(from + step, count));
  }
}

/** Runs one round over so many due tasks, which are gone afterwards. */
export async function measureRound(
  stage: Stage,
  { runningTask }: Prepared,
  due: number,
  finished: number,
): Promise<Round> {
  const db = await stage.miniflare.getD1Database("DB", "gateway");
  await db.prepare("UPDATE tasks SET open = 0 WHERE open = 1").run();
  // There is no consumer here: what a round before has enqueued stays.
  await db.prepare("DELETE FROM work_items").run();
  const nowMs = Date.now();
  await db
    .prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
       INSERT INTO tasks (id, created_ms, submitted_ms, deadline_ms, due_ms, open, upstream_id, ${copied})
       SELECT 'task-due-' || i, ?3 - 10000, ?3 - 10000, ?3 + 3600000, 0, 1, 'task-unified-' || i, ${copied}
       FROM n, tasks WHERE id = ?1`,
    )
    .bind(runningTask, due, nowMs)
    .run();
  const heard = stage.listen("round");
  heard.length = 0;
  const worker = await stage.miniflare.getWorker("gateway");
  await worker.scheduled({ cron: "* * * * *" });
  await db.prepare("DELETE FROM tasks WHERE id LIKE 'task-due-%'").run();
  const [round] = heard;
  if (round?.due !== due) throw new Error(`a round of ${due} was logged as ${JSON.stringify(heard)}`);
  return { finished, due, ms: Number(round.ms), rowsRead: Number(round.rows_read) };
}
