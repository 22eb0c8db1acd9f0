/** Lists of tasks, newest first: those that D1 has, and a tenant's archived ones among them where they belong. */
import { isAnyArchived } from "../../d1/archive/task-parts.ts";
import { listTasks as listRows, type TaskFilter } from "../../d1/tasks/task-lists.ts";
import type { Walked } from "../../d1/walk.ts";
import type { Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { listArchived, mayBeArchived } from "../archive/read-archived.ts";

/**
 * Reads tasks before `beforeId`, `limit` of them at the most. A task that is archived in between is in D1 for a reader that
 * was there before, and in its part for one that was not.
 */
export async function listTasks(
  invocation: Invocation,
  filter: TaskFilter,
  beforeId: string,
  limit: number,
): Promise<Walked<Task>> {
  const found = await listRows(invocation.db, filter, beforeId, limit);
  const { tenant } = filter;
  const isFull = found.rows.length >= limit;
  const fromId = (isFull ? found.rows.at(-1)?.id : found.walkedTo) ?? "";
  if (tenant === undefined || (fromId !== "" && !mayBeArchived(invocation, fromId))) return found;
  const archived = await listArchived(invocation, tenant, filter, { beforeId, fromId }, limit);
  const walkedTo = archived.walkedTo ?? found.walkedTo;
  const rows = [...found.rows, ...archived.rows]
    .filter(({ id }) => id >= (archived.walkedTo ?? ""))
    .toSorted((a, b) => (a.id > b.id ? -1 : 1))
    .slice(0, limit);
  return { rows, walkedTo: rows.length === limit ? null : walkedTo };
}

/** Whether tasks of all tenants have come to those that are archived, which are listed by tenant. */
export async function endsAtArchive(
  invocation: Invocation,
  { tenant }: TaskFilter,
  { rows, walkedTo }: Walked<Task>,
  limit: number,
): Promise<boolean> {
  const isLast = tenant === undefined && rows.length < limit && walkedTo === null;
  return isLast && isAnyArchived(invocation.db);
}
