/** What the operator sees at a glance, counted from the tasks themselves. */
import { idBound } from "../../domain/ids.ts";
import { chargedCredits, chargedImages, hasNotEnded } from "../tasks/task-row.ts";
import { selectWebhooksOff, type WebhookOff } from "../webhooks/switch-off.ts";

export interface Overview {
  tasksByState: Record<string, number>;
  /** When the oldest unfinished task was made; null: there is none. */
  oldestUnfinishedMs: number | null;
  /** UTC days with tasks. */
  days: { date: string; tasks: number; images: number; credits: number; failed: number }[];
  /** Of tasks made since `recentMs`: how many failed, by code. */
  failures: Record<string, number>;
  recentTasks: number;
  /** Of tasks that were completed: from submission to the stored picture. */
  timeToPictureMs: { p50: number | null; p95: number | null };
  /** The oldest unfinished tasks. */
  oldest: { id: string; tenant: string; state: string; attempts: number; createdMs: number }[];
  upstream: { lastAcceptedMs: number | null; coolDownUntilMs: number };
  /** The last webhooks that were switched off, and still are. */
  webhooksOff: WebhookOff[];
}

/**
 * @param fromMs Where the days begin.
 * @param recentMs Where failures and times to picture begin.
 */
export async function readOverview(db: D1Database, fromMs: number, recentMs: number): Promise<Overview> {
  const since = idBound("task", fromMs);
  const recent = idBound("task", recentMs);
  const [open, days, failures, times, leases, last, oldest, off] = await db.batch<Record<string, unknown>>([
    db.prepare(
      `SELECT state, count(*) AS count, min(created_ms) AS oldest FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND ${hasNotEnded()} GROUP BY state`,
    ),
    db
      .prepare(
        `SELECT date(created_ms / 1000, 'unixepoch') AS date, count(*) AS tasks,
           coalesce(sum(${chargedImages}), 0) AS images,
           coalesce(sum(${chargedCredits}), 0) AS credits,
           sum(state = 'failed') AS failed
         FROM tasks WHERE id >= ?1 GROUP BY 1 ORDER BY 1`,
      )
      .bind(since),
    db
      .prepare(
        `SELECT coalesce(error_code, '') AS code, count(*) AS count FROM tasks WHERE id >= ?1 GROUP BY 1`,
      )
      .bind(recent),
    db
      .prepare(
        `WITH times AS (
           SELECT finished_ms - created_ms AS ms, row_number() OVER (ORDER BY finished_ms - created_ms) AS place,
             count(*) OVER () AS total
           FROM tasks WHERE id >= ?1 AND state = 'completed')
         SELECT min(iif(place >= total * 0.5, ms, NULL)) AS p50, min(iif(place >= total * 0.95, ms, NULL)) AS p95
         FROM times`,
      )
      .bind(recent),
    db.prepare("SELECT until_ms AS until FROM leases WHERE name = 'cool_down'"),
    db.prepare("SELECT max(submitted_ms) AS last FROM tasks WHERE id >= ?1").bind(recent),
    db.prepare(
      `SELECT id, tenant_id AS tenant, state, attempts, created_ms AS createdMs FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND ${hasNotEnded()} ORDER BY created_ms LIMIT 10`,
    ),
    selectWebhooksOff(db),
  ]);
  const states = rows<{ state: string; count: number; oldest: number }>(open);
  const codes = rows<{ code: string; count: number }>(failures);
  const [time] = rows<{ p50: number | null; p95: number | null }>(times);
  return {
    tasksByState: Object.fromEntries(states.map(({ state, count }) => [state, count])),
    oldestUnfinishedMs: states.length > 0 ? Math.min(...states.map(({ oldest }) => oldest)) : null,
    days: rows<Overview["days"][number]>(days),
    failures: Object.fromEntries(
      codes.filter(({ code }) => code !== "").map(({ code, count }) => [code, count]),
    ),
    recentTasks: codes.reduce((total, { count }) => total + count, 0),
    timeToPictureMs: { p50: time?.p50 ?? null, p95: time?.p95 ?? null },
    oldest: rows<Overview["oldest"][number]>(oldest),
    upstream: {
      lastAcceptedMs: rows<{ last: number | null }>(last)[0]?.last ?? null,
      coolDownUntilMs: rows<{ until: number }>(leases)[0]?.until ?? 0,
    },
    webhooksOff: rows<WebhookOff>(off),
  };
}

function rows<Row>(result: D1Result | undefined): Row[] {
  return (result?.results ?? []) as Row[];
}
