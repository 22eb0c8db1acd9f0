/**
 * Erasing archived tasks: their part is written anew without their text, and the object that it was goes. What else there is of
 * them goes first (`erase-tasks.ts`): an eraser that dies in between leaves tasks whose pictures are gone, and is followed by
 * another one, which does all of it again. Of two that write one part anew, one finds it changed and comes again.
 */
import { listParts, partsFrom, partWithOldText, selectPartOf } from "../../d1/archive/task-parts.ts";
import type { ErasureScope } from "../../d1/erasure/erasures.ts";
import { behindAllTasks } from "../../domain/ids.ts";
import { type ArchivedRow, endUserTag, redactedRow, type TaskPart } from "../../domain/task-part.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { eraseRest } from "../erasure/erase-tasks.ts";
import { rowsOf } from "./read-archived.ts";
import { writePart } from "./write-part.ts";

export interface ErasedArchived {
  /** Pictures that were erased. */
  puts: number;
  /** There may be more. */
  goesOn: boolean;
}

/** Parts that one call erases in: each is read and written, with a thousand tasks' pictures. */
const partsAtOnce = 2;

/** Erases what is archived of a tenant, a few parts of it. @throws what the bucket or the tenant's object fails with. */
export async function eraseArchived(
  invocation: Invocation,
  tenantId: string,
  which: ErasureScope,
): Promise<ErasedArchived> {
  const erased: ErasedArchived = { puts: 0, goesOn: true };
  const tag = "endUser" in which ? await endUserTag(which.endUser) : null;
  let beforeId = behindAllTasks;
  for (let done = 0; done < partsAtOnce; done++) {
    const part = await nextPart(invocation, tenantId, which, tag, beforeId);
    if (!part) return { ...erased, goesOn: false };
    const puts = await eraseIn(invocation, part, isOf(which));
    // A part that another one has written meanwhile comes again.
    if (puts !== undefined) beforeId = part.firstId;
    erased.puts += puts ?? 0;
  }
  return erased;
}

async function nextPart(
  invocation: Invocation,
  tenantId: string,
  which: ErasureScope,
  tag: string | null,
  beforeId: string,
): Promise<TaskPart | undefined> {
  const { db } = invocation;
  if ("beforeId" in which) return partWithOldText(db, tenantId, which.beforeId);
  if ("endUser" in which) return (await listParts(db, tenantId, beforeId, tag, 1))[0];
  // One that is erased already is in no part with its text.
  return beforeId === behindAllTasks
    ? partsFrom(await selectPartOf(db, tenantId, which.task).all())[0]
    : undefined;
}

function isOf(which: ErasureScope): (row: ArchivedRow) => boolean {
  if ("task" in which) return ({ id }) => id === which.task;
  if ("beforeId" in which) return ({ id }) => id < which.beforeId;
  return (row) => row.end_user === which.endUser && Number(row.created_ms) <= which.upToMs;
}

/** @returns how many pictures it erased; undefined when the part has changed meanwhile, and nothing was written. */
async function eraseIn(
  invocation: Invocation,
  part: TaskPart,
  isErased: (row: ArchivedRow) => boolean,
): Promise<number | undefined> {
  const rows = await rowsOf(invocation, part);
  if (!rows) return undefined;
  const gone = rows.filter((row) => row.erasure === "none" && isErased(row));
  if (gone.length === 0) return 0;
  const { puts, failures } = await eraseRest(invocation, gone, { skip: skipUnreadable(invocation) });
  if (failures[0]) throw failures[0].error;
  const ids = new Set(gone.map(({ id }) => id));
  const left = rows.map((row) => (ids.has(row.id) ? redactedRow(row) : row));
  return (await writePart(invocation, part.tenantId, left, { part, rows: [] })) ? puts : undefined;
}
