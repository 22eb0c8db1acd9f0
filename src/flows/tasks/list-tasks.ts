/**
 * Lists of tasks, newest first: those that D1 has, and a tenant's archived ones among them where they belong. What D1 has and
 * where its parts are is read as of one moment, so that a task is in one of the two:
 *
 *   the reader                              tasks that are archived          tasks that are restored
 *   1. in one transaction: rows of D1,
 *      parts of the archive
 *                                           a. rows go into a part           a. a part's tasks are rows; it ends
 *                                           b. a part is written anew        b. its object is swept
 *   2. reads the parts' objects             has their rows of 1, and, after  before b: finds them in the object;
 *                                           b, in the part too: once         after b: begins again
 */
import { selectAnyPart, selectParts } from "../../d1/archive/task-parts.ts";
import { boundOf, listTasks as listRows, type TaskFilter } from "../../d1/tasks/task-lists.ts";
import type { Walked } from "../../d1/walk.ts";
import type { Task } from "../../domain/task.ts";
import { endUserTag } from "../../domain/task-part.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { listArchived, mayBeArchived } from "../archive/read-archived.ts";

export interface ListedTasks extends Walked<Task> {
  /** Tasks of all tenants have come to those that are archived, which are listed by tenant. */
  endsAtArchive: boolean;
}

/** Reads tasks before `beforeId`, `limit` of them at the most. @throws BindingUnavailable */
export async function listTasks(
  invocation: Invocation,
  filter: TaskFilter,
  beforeId: string,
  limit: number,
): Promise<ListedTasks> {
  const { db } = invocation;
  const { tenant, end_user: endUser } = filter;
  const before = boundOf(filter, beforeId);
  const tag = endUser === undefined ? null : await endUserTag(endUser);
  const parts = tenant === undefined ? selectAnyPart(db) : selectParts(db, tenant, before, tag);
  const { beside, ...found } = await listRows(db, filter, beforeId, limit, [parts]);
  const isFull = found.rows.length >= limit;
  if (tenant === undefined) {
    const isAnyArchived = (beside[0]?.results.length ?? 0) > 0;
    return { ...found, endsAtArchive: !isFull && found.walkedTo === null && isAnyArchived };
  }
  const fromId = (isFull ? found.rows.at(-1)?.id : found.walkedTo) ?? "";
  if (fromId !== "" && !mayBeArchived(invocation, fromId)) return { ...found, endsAtArchive: false };
  const archived = await listArchived(invocation, beside[0], filter, { beforeId: before, fromId }, limit);
  if (!archived) return listTasks(invocation, filter, beforeId, limit);
  const walkedTo = archived.walkedTo ?? found.walkedTo;
  const all = new Map([...archived.rows, ...found.rows].map((task) => [task.id, task]));
  const rows = [...all.values()]
    .filter(({ id }) => id >= (archived.walkedTo ?? ""))
    .toSorted((a, b) => (a.id > b.id ? -1 : 1))
    .slice(0, limit);
  return { rows, walkedTo: rows.length === limit ? null : walkedTo, endsAtArchive: false };
}
