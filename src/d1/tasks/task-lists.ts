/** Lists of tasks, newest first: a tenant's own, and the operator's over all tenants. */
import { idBound } from "../../domain/ids.ts";
import {
  endStates,
  openStates,
  type Task,
  type TaskStatus,
  taskStatus,
  taskStatuses,
} from "../../domain/task.ts";
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

const columns = {
  tenant: "tenant_id",
  model: "model",
  end_user: "end_user",
  request_id: "request_id",
} as const;

/** Named, so that a statement that no longer fits its index fails, and reads not all tasks there are. */
function indexOf({ tenant, end_user: endUser }: TaskFilter): string {
  if (tenant === undefined) return "";
  return `INDEXED BY ${endUser === undefined ? "tasks_of_tenant" : "tasks_of_end_user"}`;
}

/** Reads tasks, newest first, those before `beforeId`. */
export async function listTasks(
  db: D1Database,
  filter: TaskFilter,
  beforeId: string,
  limit: number,
): Promise<Task[]> {
  // Only what is asked for goes into the statement: an index serves a tenant's own list, and that of an end user's.
  const where = ["id < ?"];
  const values: (string | number)[] = [beforeId];
  for (const [name, column] of Object.entries(columns)) {
    const value = filter[name as keyof typeof columns];
    if (value === undefined) continue;
    where.push(`${column} = ?`);
    values.push(value);
  }
  // Ids sort by time, so that a range of time is one of ids.
  if (filter.createdAfterMs !== undefined) {
    where.push("id >= ?");
    values.push(idBound("task", filter.createdAfterMs));
  }
  if (filter.createdBeforeMs !== undefined) {
    where.push("id < ?");
    values.push(idBound("task", filter.createdBeforeMs));
  }
  if (filter.status !== undefined) where.push(statesOf[filter.status]);
  if (filter.visible) where.push("hidden = 0 AND erasure = 'none'");
  const { results } = await db
    .prepare(`SELECT * FROM tasks ${indexOf(filter)} WHERE ${where.join(" AND ")} ORDER BY id DESC LIMIT ?`)
    .bind(...values, limit)
    .all();
  return results.map(taskFromRow);
}
