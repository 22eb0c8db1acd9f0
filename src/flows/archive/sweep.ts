/**
 * Deleting objects of the archive that no part is any more, or never was. D1 may have been restored to a time when an object
 * was noted and not yet the part that replaced another one, which is gone by now:
 *
 *   before                                 after D1 was restored to between 1 and 2
 *   1. notes the new object
 *   2. it is the part; the former one is   3. the note is due: the part's object is gone, so this is the part. It stays
 *      swept
 */
import { deleteLeftovers, dueLeftovers } from "../../d1/archive/leftovers.ts";
import { partsFrom, selectPartOf } from "../../d1/archive/task-parts.ts";
import { ofKey } from "../../domain/task-part.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { PartGone, readPart } from "./read-archived.ts";

const leftoversATick = 1_000;
/** Of those whose writer never came to an end: each takes some calls. */
const unfinishedATick = 30;

/** Deletes some objects that are due to go. */
export async function sweepLeftovers(invocation: Invocation): Promise<void> {
  const { replaced, unfinished } = await dueLeftovers(invocation.db, invocation.now(), leftoversATick);
  const examined = unfinished.slice(0, unfinishedATick);
  const parts = await inParallel(examined, (key) => isPartNow(invocation, key), { concurrency: connections });
  const gone = [...replaced, ...examined.filter((_, index) => !parts[index])];
  if (gone.length > 0) await invocation.bucket.delete(gone);
  const seen = [...replaced, ...examined];
  if (seen.length > 0) await deleteLeftovers(invocation.db, seen);
}

/** Whether an object is all that is left of a part: then it is the part from now on, and no leftover. */
async function isPartNow(invocation: Invocation, key: string): Promise<boolean> {
  const { tenantId, lastId } = ofKey(key);
  const [part] = partsFrom(await selectPartOf(invocation.db, tenantId, lastId).all());
  if (!part || part.lastId !== lastId) return false;
  const named = await invocation.bucket.head(part.key);
  if (named) return part.key === key;
  try {
    await readPart(invocation, part);
  } catch (error) {
    if (error instanceof PartGone) return false;
    throw error;
  }
  const [now] = partsFrom(await selectPartOf(invocation.db, tenantId, lastId).all());
  return now?.key === key;
}
