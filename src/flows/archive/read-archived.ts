/** Reading tasks that are archived, as rows: what reads rows of D1 reads them. */
import { listParts, partsFrom, partsWith, selectPartOf } from "../../d1/archive/task-parts.ts";
import { taskFromRow } from "../../d1/tasks/task-row.ts";
import { earlier, idBound, idTimeMs, taskIdPattern } from "../../domain/ids.ts";
import { type Task, type TaskStatus, taskStatus } from "../../domain/task.ts";
import {
  type ArchivedRow,
  endUserTag,
  idTag,
  longestPartMs,
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
export async function rowsOf(invocation: Invocation, part: TaskPart): Promise<ArchivedRow[] | undefined> {
  const bytes = await callBinding("storage", async () =>
    (await invocation.bucket.get(part.key))?.arrayBuffer(),
  );
  const rows = bytes && (await readTaskPart(bytes));
  if (bytes && !rows) throw missing(invocation, part, "is not what was written");
  return rows;
}

function missing(invocation: Invocation, { tenantId, key }: TaskPart, problem: string): BindingUnavailable {
  invocation.log({ event: "archive_part_lost", level: "error", tenant: tenantId, key, problem });
  return new BindingUnavailable(`storage: a part of the archive ${problem}`);
}

/** The row of a tenant's task, out of the part that it is in. @param found The result of {@link selectPartOf}. */
export async function archivedRow(
  invocation: Invocation,
  tenantId: string,
  id: string,
  found: D1Result | undefined,
): Promise<{ row: ArchivedRow; part: TaskPart } | undefined> {
  let [part] = partsFrom(found);
  for (let formerKey = ""; part && part.key !== formerKey; ) {
    const rows = await rowsOf(invocation, part);
    const row = rows?.find((one) => one.id === id);
    if (rows) return row && { row, part };
    formerKey = part.key;
    [part] = partsFrom(await selectPartOf(invocation.db, tenantId, id).all());
  }
  if (part) throw missing(invocation, part, "is not in R2");
  return undefined;
}

/** An archived task of any tenant. */
export async function findArchived(invocation: Invocation, id: string): Promise<Task | undefined> {
  if (!mayBeArchived(invocation, id)) return undefined;
  const fromId = idBound("task", (idTimeMs("task", id) ?? 0) - longestPartMs);
  for (const { tenantId } of await partsWith(invocation.db, id, fromId, idTag(id))) {
    const found = await archivedRow(
      invocation,
      tenantId,
      id,
      await selectPartOf(invocation.db, tenantId, id).all(),
    );
    if (found) return taskFromRow(found.row);
  }
  return undefined;
}

/** What is absent does not matter. */
export interface ArchiveFilter {
  status?: TaskStatus | undefined;
  model?: string | undefined;
  end_user?: string | undefined;
  request_id?: string | undefined;
  /** Unix milliseconds; after: inclusive, before: exclusive. */
  createdAfterMs?: number | undefined;
  createdBeforeMs?: number | undefined;
  /** Leaves out what was refused while the caller waited, and what is erased. */
  visible?: boolean;
}

/** Parts that one page is read of. */
const partsAPage = 3;

/**
 * Lists a tenant's archived tasks, newest first, from `fromId` on and before `beforeId`, out of a few parts.
 * @returns up to `limit`; `walkedTo`: where the next page goes on, when this one ended because enough was read.
 */
export async function listArchived(
  invocation: Invocation,
  tenantId: string,
  filter: ArchiveFilter,
  { beforeId, fromId }: { beforeId: string; fromId: string },
  limit: number,
): Promise<{ rows: Task[]; walkedTo: string | null }> {
  const { createdAfterMs: afterMs = 0, createdBeforeMs, end_user: endUser } = filter;
  const bound = createdBeforeMs === undefined ? beforeId : idBound("task", createdBeforeMs);
  const before = earlier(bound, beforeId);
  const tag = endUser === undefined ? null : await endUserTag(endUser);
  const parts = await listParts(invocation.db, tenantId, before, tag, partsAPage + 1);
  const fromTime = idBound("task", afterMs);
  const afterId = earlier(fromId, fromTime) === fromId ? fromTime : fromId;
  const asked = parts.filter(({ lastId }) => lastId >= afterId);
  const tasks: Task[] = [];
  for (const part of asked.slice(0, partsAPage)) {
    const rows = await rowsOf(invocation, part);
    if (!rows) throw missing(invocation, part, "is not in R2");
    const fitting = rows
      .filter(({ id }) => id < before && id >= afterId)
      .map(taskFromRow)
      .filter(fits(filter));
    tasks.push(...fitting.toReversed());
    if (tasks.length >= limit) return { rows: tasks.slice(0, limit), walkedTo: null };
  }
  const last = asked.length > partsAPage ? asked[partsAPage - 1] : undefined;
  return { rows: tasks, walkedTo: last?.firstId ?? null };
}

function fits({ status, model, end_user: endUser, request_id: requestId, visible }: ArchiveFilter) {
  return (task: Task): boolean =>
    (status === undefined || taskStatus(task) === status) &&
    (model === undefined || task.model === model) &&
    (endUser === undefined || task.endUser === endUser) &&
    (requestId === undefined || task.requestId === requestId) &&
    !(visible && (task.hidden || task.erased));
}
