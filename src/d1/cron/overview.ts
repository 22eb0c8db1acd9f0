/**
 * What the operator sees at a glance: of what has ended the sums, of what is open or younger the tasks themselves, so many at
 * the most. Where more are in no sum, as in a rush or before the first sums, it says that it lacks them.
 */
import { idBound } from "../../domain/ids.ts";
import { endStates, openStates } from "../../domain/task.ts";
import { hasNotEnded } from "../tasks/task-row.ts";
import { selectWebhooksOff, type WebhookOff } from "../webhooks/switch-off.ts";
import {
  bucketOf,
  creditsOfAll,
  dayOf,
  imagesOfAll,
  outcomeOf,
  summedTo,
  timeToPictureOf,
  unsummedTasks,
} from "./sums.ts";

export interface Overview {
  /** Every task of its time is in it; false: some that are in no sum are not, which comes right once they are. */
  complete: boolean;
  /** Those that have not ended. */
  tasksByState: Record<string, number>;
  /** When the oldest unfinished task was made; null: there is none. */
  oldestUnfinishedMs: number | null;
  /** UTC days with tasks, of {@link mostDays} and today. */
  days: OverviewDay[];
  /** Of tasks made in the last day: how many failed, by code. */
  failures: Record<string, number>;
  recentTasks: number;
  /** Of tasks that were completed: from submission to the stored picture, within a tenth. */
  timeToPictureMs: { p50: number | null; p95: number | null };
  /** The oldest unfinished tasks. */
  oldest: { id: string; tenant: string; state: string; attempts: number; createdMs: number }[];
  /** When the upstream last took a task of the last day; null: none. */
  lastAcceptedMs: number | null;
  coolDownUntilMs: number;
  /** The last webhooks that were switched off, and still are. */
  webhooksOff: WebhookOff[];
}

interface OverviewDay {
  date: string;
  tasks: number;
  images: number;
  credits: number;
  failed: number;
}

/** Tasks of one outcome whose times to picture are about the same. */
interface Outcome {
  outcome: string;
  bucket: number;
  tasks: number;
  /** Of all of them together. */
  ms: number;
  submitted: number;
}

export const mostDays = 366;
/** Tasks in no sum that are read: the newest that are younger than all sums, and others. */
const most = { young: 10_000, late: 5_000 };

const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** What is of the last day is of 24 hours, from the start of an hour on. */
export async function readOverview(db: D1Database, nowMs: number): Promise<Overview> {
  const fromMs = Math.floor(nowMs / dayMs - mostDays) * dayMs;
  const recentMs = Math.floor(nowMs / hourMs - 24) * hourMs;
  const since = idBound("task", fromMs);
  const columns = "created_ms, state, error_code, finished_ms, images, price_credits, submitted_ms";
  const [oldest, totals, hours, unsummed, leases, off] = await db.batch<Record<string, unknown>>([
    db.prepare(
      `SELECT id, tenant_id AS tenant, state, attempts, created_ms AS createdMs FROM tasks INDEXED BY tasks_open
       WHERE open = 1 AND ${hasNotEnded()} ORDER BY created_ms LIMIT 10`,
    ),
    db
      .prepare(
        "SELECT day AS date, tasks, images, credits, failed FROM daily_totals WHERE day >= date(?1, 'unixepoch')",
      )
      .bind(fromMs / 1000),
    db
      .prepare(
        `SELECT outcome, bucket, sum(tasks) AS tasks, sum(ms) AS ms, max(submitted_ms) AS submitted
         FROM hourly_outcomes WHERE hour >= ?1 GROUP BY 1, 2`,
      )
      .bind(recentMs / hourMs),
    db
      .prepare(
        `WITH unsummed AS (
           SELECT * FROM (SELECT 1 AS isYoung, ${columns} FROM tasks WHERE id > max(?1, ${summedTo})
             ORDER BY id DESC LIMIT ${most.young})
           UNION ALL SELECT * FROM (SELECT 0, ${columns} FROM ${unsummedTasks} WHERE id > ?1 LIMIT ${most.late}))
         SELECT isYoung, ${dayOf} AS date, created_ms >= ?2 AS isRecent, ${outcomeOf} AS outcome, ${bucketOf} AS bucket,
           count(*) AS tasks, ${imagesOfAll} AS images, ${creditsOfAll} AS credits, sum(state = 'failed') AS failed,
           sum(${timeToPictureOf}) AS ms, max(coalesce(submitted_ms, 0)) AS submitted
         FROM unsummed GROUP BY 1, 2, 3, 4, 5`,
      )
      .bind(since, recentMs),
    db.prepare("SELECT until_ms AS until FROM leases WHERE name = 'cool_down'"),
    selectWebhooksOff(db),
  ]);
  const groups = rows<OverviewDay & Outcome & { isYoung: number; isRecent: number }>(unsummed);
  const oldestOpen = rows<Overview["oldest"][number]>(oldest);
  const tasksByState: Record<string, number> = {};
  const read = [0, 0];
  for (const { isYoung, outcome, tasks } of groups) {
    read[isYoung] = (read[isYoung] ?? 0) + tasks;
    if (open.includes(outcome)) tasksByState[outcome] = (tasksByState[outcome] ?? 0) + tasks;
  }
  return {
    complete: (read[0] ?? 0) < most.late && (read[1] ?? 0) < most.young,
    tasksByState,
    oldestUnfinishedMs: oldestOpen[0]?.createdMs ?? null,
    days: addDays([...rows<OverviewDay>(totals), ...groups]),
    ...outcomesOf([...rows<Outcome>(hours), ...groups.filter(({ isRecent }) => isRecent === 1)]),
    oldest: oldestOpen,
    coolDownUntilMs: rows<{ until: number }>(leases)[0]?.until ?? 0,
    webhooksOff: rows<WebhookOff>(off),
  };
}

function rows<Row>(result: D1Result | undefined): Row[] {
  return (result?.results ?? []) as Row[];
}

function addDays(parts: OverviewDay[]): OverviewDay[] {
  const days = new Map<string, OverviewDay>();
  for (const { date, tasks, images, credits, failed } of parts) {
    const day = days.get(date) ?? { date, tasks: 0, images: 0, credits: 0, failed: 0 };
    day.tasks += tasks;
    day.images += images;
    day.credits += credits;
    day.failed += failed;
    days.set(date, day);
  }
  return [...days.values()].toSorted((a, b) => (a.date < b.date ? -1 : 1));
}

const open: readonly string[] = openStates;
const states: readonly string[] = [...openStates, ...endStates];

function outcomesOf(outcomes: Outcome[]) {
  const failures: Record<string, number> = {};
  const times = new Map<number, { tasks: number; ms: number }>();
  let recentTasks = 0;
  let lastAcceptedMs = 0;
  for (const { outcome, bucket, tasks, ms, submitted } of outcomes) {
    recentTasks += tasks;
    lastAcceptedMs = Math.max(lastAcceptedMs, submitted);
    if (!states.includes(outcome)) failures[outcome] = (failures[outcome] ?? 0) + tasks;
    if (outcome !== "completed") continue;
    const known = times.get(bucket) ?? { tasks: 0, ms: 0 };
    times.set(bucket, { tasks: known.tasks + tasks, ms: known.ms + ms });
  }
  const buckets = [...times.entries()].toSorted(([a], [b]) => a - b).map(([, time]) => time);
  const completed = buckets.reduce((sum, { tasks }) => sum + tasks, 0);
  /** The mean of the bucket that so large a share of all is within; of one time it is that time. */
  const within = (share: number) => {
    let counted = 0;
    const found = buckets.find(({ tasks }) => {
      counted += tasks;
      return counted >= completed * share;
    });
    return found ? found.ms / found.tasks : null;
  };
  return {
    failures,
    recentTasks,
    lastAcceptedMs: lastAcceptedMs || null,
    timeToPictureMs: { p50: within(0.5), p95: within(0.95) },
  };
}
