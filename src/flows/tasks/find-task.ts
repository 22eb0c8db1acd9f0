/**
 * Finding a task of the caller's, and checking its key, in one call to D1, so that revocation holds at once. A task that
 * was submitted just now may be in its tenant's object alone, which D1 follows:
 *
 *   the reader                        the object
 *   1. D1 lacks the task
 *                                     2. writes it to D1
 *   3. asks the object: D1 has it
 *   4. reads D1 again
 *
 * Only an id that is young leads to the object: ids carry their time.
 *
 * An old one may be in the archive. D1 and the index of the archive are read as of one moment, so that one of them has it:
 *
 *   the reader                           a restore
 *   1. D1 lacks the task; finds its part
 *                                        2. has the part's rows in D1 again; the part ends, and its object is swept
 *   3. finds neither: begins again
 */
import { selectPartOf } from "../../d1/archive/task-parts.ts";
import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import type { Action, Caller, KeyRefusal } from "../../domain/access.ts";
import { idBound, taskIdPattern } from "../../domain/ids.ts";
import type { Task } from "../../domain/task.ts";
import { isTimeout, withTimeLimit } from "../../domain/time-limit.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { archivedRow, mayBeArchived } from "../archive/read-archived.ts";
import { type Authorized, authorize } from "../tenants/authorize.ts";

export type FoundTask =
  | { kind: "key_refused"; refusal: KeyRefusal }
  /** `more`: what was read along with the task; nothing of one that D1 lacks. */
  | { kind: "in"; task: Task | undefined; more: D1Result[] };

/** D1 follows within minutes once it answers; it has been out for an hour. */
const youngMs = 2 * 3_600_000;

/** How long the reader of a young task waits for D1 alone, which may take ten seconds to fail. */
const patienceMs = 1_000;

/**
 * Reads a task.
 * @param more Statements that are run along with it.
 * @throws BindingUnavailable when D1 does not answer and the object does not have the task.
 */
export async function findTask(
  invocation: Invocation,
  caller: Caller,
  id: string,
  more: D1PreparedStatement[] = [],
): Promise<FoundTask> {
  const readDatabase = () => readRow(invocation, caller, id, "read", more);
  if (!isYoung(invocation, id)) return foundOf(await readDatabase());
  const reading = readDatabase();
  // Where the object has the task, what becomes of this matters no more.
  reading.catch(() => undefined);
  const read = await withTimeLimit(patienceMs, () => reading).catch(unlessAnswer);
  if (read && !isLacking(read)) return foundOf(read);
  const young = await invocation.tenant(caller.tenantId).readYoung(caller, id, invocation.now());
  if (young.kind === "task") {
    // D1, where it is only slow, may have moved on.
    const late = read || young.isSure ? undefined : await reading.catch(unlessAnswer);
    return late && !isLacking(late) ? foundOf(late) : { kind: "in", task: young.task, more: [] };
  }
  if (young.kind === "key_refused") return young;
  return foundOf(young.kind === "in_database" && read ? await readDatabase() : await reading);
}

/** @returns undefined when D1 failed, or does not answer for now. @throws what is its answer. */
function unlessAnswer(error: unknown): undefined {
  if (!(error instanceof BindingUnavailable || isTimeout(error))) throw error;
}

/**
 * Reads the row of a task that is to be changed in D1: one that D1 lacks is written there first.
 * @throws BindingUnavailable when D1 or the object does not answer.
 */
export async function findRow(
  invocation: Invocation,
  caller: Caller,
  id: string,
  action: Action,
): Promise<Authorized> {
  const read = await readRow(invocation, caller, id, action);
  if (!isYoung(invocation, id) || !isLacking(read)) return read;
  await invocation.tenant(caller.tenantId).flush();
  return readRow(invocation, caller, id, action);
}

/** A row that D1 has no more is that of the archive. */
async function readRow(
  invocation: Invocation,
  caller: Caller,
  id: string,
  action: Action,
  more: D1PreparedStatement[] = [],
): Promise<Authorized> {
  const { db } = invocation;
  const { tenantId } = caller;
  const isOld = mayBeArchived(invocation, id);
  const parts = isOld ? [selectPartOf(db, tenantId, id)] : [];
  const statements = [selectTask(db, tenantId, id), ...more, ...parts];
  const read = await authorize(invocation, caller, { action }, statements);
  if (!isOld || read.kind === "key_refused" || !isLacking(read)) return read;
  const row = await archivedRow(invocation, id, read.results.at(-1));
  if (row === "in_database") return readRow(invocation, caller, id, action, more);
  const [task, ...rest] = read.results;
  if (!task || row?.hidden !== 0) return read;
  return { ...read, results: [{ ...task, results: [row] }, ...rest] };
}

function foundOf(read: Authorized): FoundTask {
  if (read.kind === "key_refused") return read;
  const [task, ...more] = read.results;
  return { kind: "in", task: firstTask(task), more };
}

function isYoung(invocation: Invocation, id: string): boolean {
  return taskIdPattern.test(id) && id >= idBound("task", invocation.now() - youngMs);
}

/** D1 lacks the task. */
function isLacking(read: Authorized): boolean {
  return read.kind === "in" && read.results[0]?.results.length === 0;
}
