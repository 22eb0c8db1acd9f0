/** Lists of tasks, newest first: a tenant's own, and the operator's over all tenants. */
import { earlier, idBound } from "../../domain/ids.ts";
import {
  endStates,
  openStates,
  type Task,
  type TaskStatus,
  taskStatus,
  taskStatuses,
} from "../../domain/task.ts";
import { mostWalked, type Walked, walk } from "../walk.ts";
import { taskFromRow } from "./task-row.ts";

/** The states that callers see as one status. */
const statesOf = Object.fromEntries(
  taskStatuses.map((status) => {
    const ways = [...openStates, ...endStates].flatMap((state) =>
      [false, true]
        .filter((processing) => taskStatus({ state, processing }) === status)
        .map((processing) => `state = '${state}' AND processing = ${Number(processing)}`),
    );
    return [status, `(${ways.join(" OR ")})`];
  }),
) as Record<TaskStatus, string>;

/** What is absent does not matter. */
export interface TaskFilter {
  tenant?: string | undefined;
  status?: TaskStatus | undefined;
  model?: string | undefined;
  end_user?: string | undefined;
  request_id?: string | undefined;
  /** Unix milliseconds; after: inclusive, before: exclusive. */
  createdAfterMs?: number | undefined;
  createdBeforeMs?: number | undefined;
  /** Leaves out what was refused while the caller waited. */
  visible?: boolean;
}

/** Named, so that a statement that no longer fits its index fails, and reads not all tasks there are. */
function tableOf({ tenant, end_user: endUser }: TaskFilter): string {
  if (tenant === undefined) return "tasks";
  return `tasks INDEXED BY ${endUser === undefined ? "tasks_of_tenant" : "tasks_of_end_user"}`;
}

/** Of two upper bounds the one that is sought by: the other one would be walked to. */
export function boundOf({ createdBeforeMs }: TaskFilter, beforeId: string): string {
  return createdBeforeMs === undefined ? beforeId : earlier(beforeId, idBound("task", createdBeforeMs));
}

/** Reads tasks, newest first, those before `beforeId`. @param beside Statements that read of the same moment. */
export async function listTasks(
  db: D1Database,
  filter: TaskFilter,
  beforeId: string,
  limit: number,
  beside: D1PreparedStatement[] = [],
): Promise<Walked<Task> & { beside: D1Result[] }> {
  const { tenant, createdAfterMs } = filter;
  const before = boundOf(filter, beforeId);
  const sought = ["id < ?"];
  const fits: string[] = [];
  const values: (string | number)[] = [before];
  const seek = (condition: string, value: string | undefined) => {
    if (value === undefined) return;
    sought.push(condition);
    values.push(value);
  };
  seek("tenant_id = ?", tenant);
  if (tenant !== undefined) seek("end_user = ?", filter.end_user);
  // Ids sort by time, so that a range of time is one of ids.
  seek("id >= ?", createdAfterMs === undefined ? undefined : idBound("task", createdAfterMs));
  for (const name of ["model", "end_user", "request_id"] as const) {
    const value = filter[name];
    if (value === undefined || sought.includes(`${name} = ?`)) continue;
    fits.push(`${name} = ?`);
    values.push(value);
  }
  if (filter.status !== undefined) fits.push(statesOf[filter.status]);
  if (filter.visible) fits.push("hidden = 0 AND erasure = 'none'");
  const most = tenant === undefined ? mostWalked.operator : mostWalked.tenant;
  const wanted = { from: tableOf(filter), sought, fits, values, most };
  const found = await walk(db, wanted, limit, beside);
  return { ...found, rows: found.rows.map(taskFromRow) };
}
