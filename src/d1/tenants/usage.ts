/** What was made and charged, counted from the tasks themselves. Task ids sort by time, so a range of time is one of ids. */
import { idBound } from "../../domain/ids.ts";
import { chargedCredits, chargedImages } from "../tasks/task-row.ts";

export const usageGroups = ["tenant", "key", "model", "day"] as const;
export type UsageGroup = (typeof usageGroups)[number];

const columns: Record<UsageGroup, string> = {
  tenant: "tenant_id",
  key: "key_id",
  model: "model",
  day: "date(created_ms / 1000, 'unixepoch')",
};

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

/**
 * Sums are of days of submission, UTC.
 * @param tenantId Null: all tenants.
 * @param fromMs Inclusive; `toMs`: exclusive.
 * @returns one row more than {@link maxUsageRows} at the most, where there are more.
 */
export async function readUsage(
  db: D1Database,
  tenantId: string | null,
  fromMs: number,
  toMs: number,
  groups: readonly UsageGroup[],
): Promise<UsageRow[]> {
  const names = groups.map((group) => `${columns[group]} AS ${group}`);
  const ofTenant = tenantId === null ? "WHERE" : "INDEXED BY tasks_of_tenant WHERE tenant_id = ?3 AND";
  const by = groups.map((group) => columns[group]).join(", ");
  const { results } = await db
    .prepare(
      `SELECT ${[...names, ""].join(", ")} count(*) AS tasks,
         coalesce(sum(${chargedImages}), 0) AS images,
         coalesce(sum(${chargedCredits}), 0) AS credits
       FROM tasks ${ofTenant} id >= ?1 AND id < ?2 AND hidden = 0
       ${by ? `GROUP BY ${by} ORDER BY ${by}` : ""} LIMIT ${maxUsageRows + 1}`,
    )
    .bind(idBound("task", fromMs), idBound("task", toMs), ...(tenantId === null ? [] : [tenantId]))
    .all<UsageRow>();
  return results;
}
