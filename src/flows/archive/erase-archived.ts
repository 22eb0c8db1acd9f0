/**
 * Erasing archived tasks: their part is written anew without their text, and the object that it was goes. Of two that write one
 * part anew, one finds it changed, and comes again.
 *
 * One task has a row in D1 as well, without its text, from the transaction on that makes the part another one; the rest of it is
 * erased as that of any task of D1. Many are erased where they are, pictures first, so that D1 gets no row of each:
 *
 *   eraser of many                          what is left where it dies
 *   1. puts the tombstones of a part's      pictures are gone, text is there; another eraser does all of it again, which
 *      pictures                             changes nothing
 *   2. writes the part anew; tasks of       those go on in D1; the others are erased
 *      which a picture failed get a row
 *      in D1
 *
 * What D1 has of an archived task is the newer, and goes into its part in the end.
 *
 * A part that fails holds up no other: the walk goes past it, and begins anew later.
 */
import { markTextless, partsFrom, partsToErase, selectPartOf } from "../../d1/archive/task-parts.ts";
import type { ErasureScope } from "../../d1/erasure/erasures.ts";
import { type ArchivedRow, endUserTag, redactedRow, type TaskPart } from "../../domain/task-part.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { type Erased, eraseRest, eraserLeaseMs, mostFailures } from "../erasure/erase-tasks.ts";
import { PartGone, type ReadPart, readPart } from "./read-archived.ts";
import { writePart } from "./write-part.ts";

/** Some of a tenant's parts, gone through. */
export interface Walk {
  /** Pictures that were erased. */
  puts: number;
  /** Parts that are as they were. */
  failures: Erased["failures"];
  /** Where the next call goes on; null: all parts have been seen. */
  next: string | null;
}

/** Parts that one call erases in: each is read and written, with a thousand tasks' pictures. */
const partsAtOnce = 2;

/** Erases many of a tenant's archived tasks, in a few parts. @param afterId Where the call before ended; empty: at the first part. */
export async function eraseArchived(
  invocation: Invocation,
  tenantId: string,
  which: Exclude<ErasureScope, { task: string }>,
  afterId: string,
): Promise<Walk> {
  const walk: Walk = { puts: 0, failures: [], next: afterId };
  const wanted = "endUser" in which ? { endUserTag: await endUserTag(which.endUser) } : which;
  const parts = await partsToErase(invocation.db, tenantId, wanted, afterId, partsAtOnce);
  for (const { part, at } of parts) {
    try {
      const puts = await eraseIn(invocation, part, isOf(which));
      // Another one has written it meanwhile: it comes again.
      if (puts === undefined) return walk;
      walk.puts += puts;
    } catch (error) {
      walk.failures.push({ tenantId, error });
    }
    walk.next = at;
  }
  return parts.length < partsAtOnce ? { ...walk, next: null } : walk;
}

function isOf(which: Exclude<ErasureScope, { task: string }>): (row: ArchivedRow) => boolean {
  if ("beforeId" in which) return ({ id }) => id < which.beforeId;
  return (row) => row.end_user === which.endUser && Number(row.created_ms) <= which.upToMs;
}

/** @returns how many pictures it erased; undefined when the part has changed meanwhile, and nothing was written. */
async function eraseIn(
  invocation: Invocation,
  part: TaskPart,
  isErased: (row: ArchivedRow) => boolean,
): Promise<number | undefined> {
  const read = await unlessGone(invocation, part);
  const gone = (read?.rows ?? []).filter((row) => row.erasure === "none" && isErased(row));
  if (!read || gone.length === 0) return 0;
  const { puts, failures, done } = await eraseRest(invocation, gone, { skip: skipUnreadable(invocation) });
  const ofAll =
    failures.length < mostFailures ? failures.find(({ taskId }) => taskId === undefined) : failures[0];
  if (ofAll) throw ofAll.error;
  const goOn = gone.filter(({ id }) => !done.has(id));
  return (await redactIn(invocation, read, gone, goOn)) ? puts : undefined;
}

/** A part of which nothing is left in R2 has no text. */
async function unlessGone(invocation: Invocation, part: TaskPart): Promise<ReadPart | undefined> {
  try {
    return await readPart(invocation, part);
  } catch (error) {
    if (!(error instanceof PartGone)) throw error;
    await markTextless(invocation.db, part);
    return undefined;
  }
}

/** @param goOn Those of them that go on in D1. @returns false when the part has changed meanwhile. */
function redactIn(
  invocation: Invocation,
  { part, rows }: ReadPart,
  gone: ArchivedRow[],
  goOn: ArchivedRow[],
): Promise<boolean> {
  const written = rows.map((row) => (gone.includes(row) ? redactedRow(row, "done") : row));
  const added = goOn.map((row) => inDatabase(row, invocation.now()));
  return writePart(invocation, part.tenantId, written, { part, rows: [], added });
}

const inDatabase = (row: ArchivedRow, nowMs: number): ArchivedRow => ({
  ...redactedRow(row, "pending"),
  due_ms: nowMs + eraserLeaseMs,
});

/** More deletions of one part's tasks at a time have the last ones refused. */
const mostTries = 20;

/**
 * Erases the text of an archived task, which is in D1 from then on.
 * @returns its row there, for `erasingTasks`; none when it was erased before; undefined when it is not archived.
 * @throws BindingUnavailable also when others change its part each time: nothing is done then.
 */
export async function redactArchived(
  invocation: Invocation,
  tenantId: string,
  id: string,
): Promise<ArchivedRow[] | undefined> {
  for (let tries = 0; tries < mostTries; tries++) {
    const [part] = partsFrom(await selectPartOf(invocation.db, tenantId, id).all());
    const read = part && (await readPart(invocation, part));
    const row = read?.rows.find((one) => one.id === id);
    if (!read || !row) return undefined;
    if (row.erasure !== "none") return [];
    if (await redactIn(invocation, read, [row], [row])) return [inDatabase(row, invocation.now())];
  }
  throw new BindingUnavailable("storage: a part of the archive is being written");
}
