/**
 * What was made and charged: sums of whole UTC days, and tasks that are in no sum yet. Task ids sort by time, so a range of
 * time is one of ids. All of it is one statement, so that nothing is counted twice or left out while cron adds up.
 */
import { idBound } from "../../domain/ids.ts";
import { longestPartMs } from "../../domain/task-part.ts";
import { dayOf, summedTo, unsummedTasks } from "../cron/sums.ts";
import { chargedCredits, chargedImages } from "../tasks/task-row.ts";

export const usageGroups = ["tenant", "key", "model", "day"] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** What is not grouped by is absent. */
export interface UsageRow extends Partial<Record<UsageGroup, string>> {
  /** Submitted, whatever became of them. */
  tasks: number;
  /** Stored. */
  images: number;
  /** Charged. */
  credits: number;
}

/** A tenant's days fit by far. */
export const maxUsageRows = 50_000;
/** Sums that are added up for one reply. */
export const maxSums = 100_000;
/** Tasks of days that the period cuts. Their sums are of the whole day, so they are counted one by one. */
export const maxCutTasks = 50_000;
/** Nothing is shown rather than a part: it would look like all. */
export class UsageTooLarge extends Error {
  readonly of: "rows" | "sums" | "cut";

  constructor(of: UsageTooLarge["of"]) {
    super(of);
    this.of = of;
  }
}

const dayMs = 86_400_000;
const startOfDay = (ms: number) => ms - (ms % dayMs);
const dateOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);

/** SQL: tasks, each as a sum of its own. @param cut 1: they are of a day that the period cuts. */
const counted = (from: string, where: string, cut = 0) =>
  `SELECT tenant_id, ${dayOf}, key_id, model, 1, ${chargedImages}, ${chargedCredits}, 0, ${cut}
   FROM ${from} WHERE ${where} AND hidden = 0`;

/**
 * Sums are of days of submission, UTC. Reads the sums of the period, {@link maxSums} at the most; tasks that are in none yet,
 * of the last hour or so; and where the period begins or ends within a day that is added up, the tasks of that day,
 * {@link maxCutTasks} at the most. Of a tenant it reads no other tenant's.
 * @param tenantId Null: all tenants.
 * @param fromMs Inclusive; `toMs`: exclusive.
 * @throws UsageTooLarge
 */
export async function readUsage(
  db: D1Database,
  tenantId: string | null,
  fromMs: number,
  toMs: number,
  groups: readonly UsageGroup[],
): Promise<UsageRow[]> {
  const [firstMs, endMs] = [startOfDay(fromMs + dayMs - 1), startOfDay(toMs)];
  const ofTenant = tenantId === null ? "" : "tenant_id = ?7 AND";
  const tasks = `tasks ${tenantId === null ? "" : "INDEXED BY tasks_of_tenant"}`;
  // Of days alone all tenants have one sum.
  const sums =
    tenantId === null && groups.every((group) => group === "day")
      ? `SELECT * FROM (SELECT '' AS tenant, day, '' AS key, '' AS model, tasks - hidden AS tasks, images, credits, 1 AS sums, 0 AS cut
           FROM daily_totals WHERE`
      : `SELECT * FROM (SELECT tenant_id AS tenant, day, key_id AS key, model, tasks, images, credits, 1 AS sums, 0 AS cut
           FROM usage_days ${tenantId === null ? "INDEXED BY usage_days_by_day" : ""} WHERE ${ofTenant}`;
  // Tasks that are archived are not counted: a part of the archive is as much as too many.
  const cut = (atMs: number, from: string, to: string) =>
    // D1 takes five parts of a compound at the most.
    `SELECT * FROM (SELECT * FROM (${counted(tasks, `${ofTenant} id > ${from} AND id <= min(${to}, ${summedTo})`, 1)}
       LIMIT ${maxCutTasks + 1})
     UNION ALL SELECT * FROM (SELECT '', '', '', '', 0, 0, 0, 0, ${maxCutTasks + 1} FROM task_parts
       WHERE ${ofTenant || `first_id > '${idBound("task", atMs - longestPartMs)}' AND`} last_id > ${from} AND first_id <= min(${to}) LIMIT 1))`;
  const parts = [
    // Where the period ends beyond the cursor, all that is in the sums is before its end.
    `${sums} day >= ?3 AND day < iif(?2 > ${summedTo}, '~', ?4) LIMIT ${maxSums + 1})`,
    // No id equals a bound, which is shorter.
    counted(tasks, `${ofTenant} id > max(?1, ${summedTo}) AND id < ?2`),
    counted(unsummedTasks, `${ofTenant} id > ?5 AND id < iif(?2 > ${summedTo}, ?2, ?6)`),
    ...(firstMs > fromMs ? [cut(fromMs, "?1", "?2, ?5")] : []),
    // Of a period within one day the first cut is all of it.
    ...(toMs > endMs && endMs >= firstMs ? [cut(endMs, "?6", `?2, iif(?2 > ${summedTo}, '', ?2)`)] : []),
  ];
  const by = groups.join(", ");
  const { results: rows } = await db
    .prepare(
      `SELECT ${by && `${by},`} coalesce(sum(tasks), 0) AS tasks, coalesce(sum(images), 0) AS images,
         coalesce(sum(credits), 0) AS credits, sum(sums) AS sums, sum(cut) AS cut
       FROM (${parts.join(" UNION ALL ")})
       ${by && `GROUP BY ${by} ORDER BY ${by}`} LIMIT ${maxUsageRows + 1}`,
    )
    .bind(
      ...[idBound("task", fromMs), idBound("task", toMs), dateOf(firstMs), dateOf(endMs)],
      ...[idBound("task", firstMs), idBound("task", endMs), ...(tenantId === null ? [] : [tenantId])],
    )
    .all<UsageRow & { sums: number; cut: number }>();
  const total = (name: "sums" | "cut") => rows.reduce((sum, row) => sum + row[name], 0);
  if (total("cut") > maxCutTasks) throw new UsageTooLarge("cut");
  if (rows.length > maxUsageRows) throw new UsageTooLarge("rows");
  if (total("sums") > maxSums) throw new UsageTooLarge("sums");
  return rows.map(({ sums: _sums, cut: _cut, ...row }) => row);
}
