/** Reading tasks that are archived, as rows: what reads rows of D1 reads them. */
import {
  listedParts,
  partsFrom,
  partsWith,
  replaceObject,
  selectPartOf,
} from "../../d1/archive/task-parts.ts";
import type { TaskFilter } from "../../d1/tasks/task-lists.ts";
import { taskFromRow } from "../../d1/tasks/task-row.ts";
import { earlier, idBound, taskIdPattern } from "../../domain/ids.ts";
import { type Task, taskStatus } from "../../domain/task.ts";
import {
  type ArchivedRow,
  idTag,
  keyPrefix,
  partOf,
  readTaskPart,
  type TaskPart,
} from "../../domain/task-part.ts";
import { BindingUnavailable, callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";

const dayMs = 86_400_000;

/** No task is archived on the day that it was made. */
export function mayBeArchived(invocation: Invocation, id: string): boolean {
  return taskIdPattern.test(id) && id < idBound("task", invocation.now() - dayMs);
}

/** @returns undefined when the object is gone, as when the part was written anew meanwhile. @throws BindingUnavailable */
async function rowsOf(invocation: Invocation, part: TaskPart): Promise<ArchivedRow[] | undefined> {
  const bytes = await callBinding("storage", async () =>
    (await invocation.bucket.get(part.key))?.arrayBuffer(),
  );
  const rows = bytes && (await readTaskPart(bytes));
  if (bytes && !rows) throw lost(invocation, part, "is not what was written");
  return rows;
}

/** No version of a part is in R2. */
export class PartGone extends BindingUnavailable {
  override name = "PartGone";
}

function lost(
  invocation: Invocation,
  { tenantId, key }: TaskPart,
  problem: string,
  Kind = BindingUnavailable,
): BindingUnavailable {
  invocation.log({ event: "archive_part_lost", level: "error", tenant: tenantId, key, problem });
  return new Kind(`storage: a part of the archive ${problem}`);
}

/** A part with its rows. */
export interface ReadPart {
  part: TaskPart;
  rows: ArchivedRow[];
}

/**
 * A part, as it is by now:
 *
 *   the reader                      what else
 *   1. finds the part in D1
 *                                   2. it is written anew, and the object that it was is swept
 *   3. finds no object; reads D1    (or D1 was restored to a time before 2: it names the former object for good)
 *      again
 *   4. another object: reads that   4. the same: the newest version that is in R2 is the part
 *
 * @returns undefined when it is none any more: its tasks are in D1
 * @throws PartGone when there is no version of it; BindingUnavailable when the bucket does not answer, or it is no part
 */
export async function readPart(invocation: Invocation, found: TaskPart): Promise<ReadPart | undefined> {
  const { db } = invocation;
  let part: TaskPart | undefined = found;
  for (let formerKey = ""; part && part.key !== formerKey; ) {
    const rows = await rowsOf(invocation, part);
    if (rows) return { part, rows };
    formerKey = part.key;
    [part] = partsFrom(await selectPartOf(db, part.tenantId, part.lastId).all());
  }
  if (!part) return undefined;
  const key = await newestVersion(invocation, part);
  const rows = key === undefined ? undefined : await rowsOf(invocation, { ...part, key });
  if (key === undefined || !rows) throw lost(invocation, part, "is not in R2", PartGone);
  await replaceObject(db, part, await partOf(part.tenantId, key, rows));
  return { part: { ...part, key }, rows };
}

/** Rows of a part, as {@link readPart} finds it. */
export async function currentRows(
  invocation: Invocation,
  found: TaskPart,
): Promise<ArchivedRow[] | undefined> {
  return (await readPart(invocation, found))?.rows;
}

async function newestVersion(invocation: Invocation, part: TaskPart): Promise<string | undefined> {
  const prefix = keyPrefix(part.tenantId, part.lastId);
  const { objects } = await invocation.bucket.list({ prefix });
  return objects.toSorted((a, b) => b.uploaded.getTime() - a.uploaded.getTime())[0]?.key;
}

/**
 * The row of a task, out of the part that it is in; "in_database" when the part has ended meanwhile.
 * @param found The result of {@link selectPartOf}.
 */
export async function archivedRow(
  invocation: Invocation,
  id: string,
  found: D1Result | undefined,
): Promise<ArchivedRow | "in_database" | undefined> {
  const [part] = partsFrom(found);
  const rows = part && (await currentRows(invocation, part));
  return part && !rows ? "in_database" : rows?.find((one) => one.id === id);
}

/**
 * An archived task.
 * @param tenant Undefined: of any tenant.
 * @returns "of_many_tenants" when it was not found, and not all tenants' archives were searched.
 */
export async function findArchived(
  invocation: Invocation,
  id: string,
  tenant: string | undefined,
): Promise<Task | "of_many_tenants" | undefined> {
  if (!mayBeArchived(invocation, id)) return undefined;
  const { db } = invocation;
  const { parts, isCut } =
    tenant === undefined
      ? await partsWith(db, id, idTag(id))
      : { parts: partsFrom(await selectPartOf(db, tenant, id).all()), isCut: false };
  for (const part of parts) {
    const row = (await currentRows(invocation, part))?.find((one) => one.id === id);
    if (row) return taskFromRow(row);
  }
  return isCut ? "of_many_tenants" : undefined;
}

/** Parts that one page is read of. */
const partsAPage = 3;

/**
 * Lists a tenant's archived tasks, newest first, from `fromId` on and before `beforeId`, out of a few parts.
 * @param found The result of `selectParts`.
 * @returns up to `limit`; `walkedTo`: where the next page goes on, when this one ended because enough was read; undefined when
 *   a part has ended meanwhile.
 */
export async function listArchived(
  invocation: Invocation,
  found: D1Result | undefined,
  filter: TaskFilter,
  { beforeId, fromId }: { beforeId: string; fromId: string },
  limit: number,
): Promise<{ rows: Task[]; walkedTo: string | null } | undefined> {
  const { parts, endId } = listedParts(found, filter.end_user !== undefined);
  const fromTime = idBound("task", filter.createdAfterMs ?? 0);
  const afterId = earlier(fromId, fromTime) === fromId ? fromTime : fromId;
  const asked = parts.filter(({ lastId }) => lastId >= afterId);
  const tasks: Task[] = [];
  for (const part of asked.slice(0, partsAPage)) {
    const rows = await currentRows(invocation, part);
    if (!rows) return undefined;
    const fitting = rows
      .filter(({ id }) => id < beforeId && id >= afterId)
      .map(taskFromRow)
      .filter(fits(filter));
    tasks.push(...fitting.toReversed());
    if (tasks.length >= limit) return { rows: tasks.slice(0, limit), walkedTo: null };
  }
  const walkedTo = asked[partsAPage] ? (asked[partsAPage - 1]?.firstId ?? "") : endId;
  return { rows: tasks, walkedTo: walkedTo > afterId ? walkedTo : null };
}

function fits({ status, model, end_user: endUser, request_id: requestId, visible }: TaskFilter) {
  return (task: Task): boolean =>
    (status === undefined || taskStatus(task) === status) &&
    (model === undefined || task.model === model) &&
    (endUser === undefined || task.endUser === endUser) &&
    (requestId === undefined || task.requestId === requestId) &&
    !(visible && (task.hidden || task.erased));
}
