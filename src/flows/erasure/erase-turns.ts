/**
 * A turn of erasing: some hundred tasks of a person, of a tenant with `retention_days` or of a deleted tenant; then the turn
 * goes behind all others. One that fails comes again when its lease has run out, and holds up no other.
 *
 * A deleted tenant is over once its object has no open task: its keys have stopped there, so none comes after that. The
 * cursor moves only from then on, since what its last submission wrote may stand before it:
 *
 *   turn                                    the tenant's last submission
 *   1. the object: a task is open
 *   2. erases what has ended; waits         ends
 *   3. the object: none is open. It keeps the ledger alone
 *   4. erases from the cursor on, which has not moved before 3
 *   5. nothing is left: the tombstone
 */
import {
  type ErasureTurn,
  endTenant,
  endTurn,
  putBehind,
  type TurnOwner,
  takeTurn,
  waitForNext,
  waitUntil,
} from "../../d1/erasure/erasure-turns.ts";
import { type ErasureScope, redactTasks } from "../../d1/erasure/erasures.ts";
import { eraseFiles, type FileErasureScope } from "../../d1/files/files.ts";
import { behindAllTasks, idBound, idTimeMs } from "../../domain/ids.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { eraseArchived } from "../archive/erase-archived.ts";
import { tombstoneFilesOf } from "./erase-files.ts";
import { type Erased, eraseRest, eraserLeaseMs } from "./erase-tasks.ts";
import { logNotErased } from "./not-erased.ts";

type Turn = ErasureTurn & TurnOwner;

/** Tasks of one turn. */
const tasksAtOnce = 250;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** A task lives for a day and a few hours at the most, so nothing that old still runs. */
const longestMs = 2 * dayMs;

/** What of a turn's tasks and files is to go; undefined: nothing, as its tenant has come to keep its tasks this moment. */
interface Scope {
  tasks: ErasureScope;
  files: FileErasureScope;
}

/**
 * Does the turn that has waited longest, or a person's.
 * @returns how many pictures it erased; undefined when no turn is due.
 */
export async function eraseNext(
  invocation: Invocation,
  of?: { tenantId: string; endUser: string },
): Promise<number | undefined> {
  const nowMs = invocation.now();
  const skip = skipUnreadable(invocation);
  const taken = await takeTurn(invocation.db, nowMs, nowMs + eraserLeaseMs, skip, of);
  if (!taken?.turn) return taken && 0;
  try {
    const { puts, failures } = await doTurn(invocation, taken.turn);
    for (const { tenantId, error } of failures) logNotErased(invocation, tenantId, error);
    return puts;
  } catch (error) {
    logNotErased(invocation, taken.turn.tenantId, error);
    return 0;
  }
}

async function doTurn(invocation: Invocation, turn: Turn): Promise<Erased> {
  const { db } = invocation;
  const nowMs = invocation.now();
  const scope = scopeOf(turn, nowMs);
  if (!scope) return { puts: 0, failures: [] };
  const isDeleted = turn.endUser === "" && turn.deletedMs !== null;
  const over = isDeleted ? await isOver(invocation, turn.tenantId) : { isOver: true, failures: [] };
  await eraseFiles(db, turn.tenantId, scope.files).run();
  const redaction = { limit: tasksAtOnce, leaseUntilMs: turn.leaseUntilMs };
  const rows = await redactTasks(db, turn.tenantId, scope.tasks, redaction);
  const isFull = rows.length === tasksAtOnce;
  const goOn = async () => {
    if (!isFull || over.failures.length > 0) return;
    const last = rows.at(-1)?.id ?? "";
    await putBehind(db, turn, nowMs, over.isOver ? (isDeleted ? last : pastId(last, nowMs)) : turn.cursor);
  };
  const erased = await eraseRest(invocation, rows, { skip: skipUnreadable(invocation), goOn });
  await tombstoneFilesOf(invocation, turn.tenantId);
  const failures = [...over.failures, ...erased.failures];
  if (isFull || failures.length > 0) return { puts: erased.puts, failures };
  const archived = await eraseArchived(
    invocation,
    turn.tenantId,
    isDeleted ? scope.tasks : wholeDays(scope.tasks),
  );
  if (archived.goesOn) await putBehind(db, turn, nowMs, turn.cursor);
  else await conclude(invocation, turn, over.isOver);
  return { puts: erased.puts + archived.puts, failures };
}

/** The part of the archive that an age divides is written anew once a day, and not at each turn. */
function wholeDays(which: ErasureScope): ErasureScope {
  if (!("beforeId" in which)) return which;
  const beforeMs = idTimeMs("task", which.beforeId) ?? 0;
  return { ...which, beforeId: idBound("task", beforeMs - (beforeMs % dayMs)) };
}

function scopeOf({ tenantId: _, endUser, atMs, cursor, ...owner }: Turn, nowMs: number): Scope | undefined {
  if (endUser !== "") {
    const ofUser = { endUser, upToMs: atMs };
    return { tasks: ofUser, files: ofUser };
  }
  if (owner.deletedMs !== null)
    return { tasks: { beforeId: behindAllTasks, afterId: cursor }, files: { upToMs: nowMs } };
  if (owner.retentionDays === null) return undefined;
  const upToMs = nowMs - owner.retentionDays * dayMs;
  const beforeId = idBound("task", upToMs);
  // A cursor that age has not reached is no cursor of these days: it would hide what is left before it.
  return { tasks: { beforeId, afterId: cursor < beforeId ? cursor : "" }, files: { upToMs } };
}

/** Whether a deleted tenant's last task is over; then its object keeps its ledger alone. */
async function isOver(invocation: Invocation, tenantId: string) {
  const object = invocation.tenant(tenantId);
  try {
    await object.flush();
    return { isOver: await object.erase(null), failures: [] };
  } catch (error) {
    return { isOver: false, failures: [{ tenantId, error }] };
  }
}

/** An id that no task stands before that still runs. */
function pastId(id: string, nowMs: number): string {
  const bound = idBound("task", nowMs - longestMs);
  return id < bound ? id : bound;
}

/** Nothing that has ended is left to erase for now. */
async function conclude(invocation: Invocation, turn: Turn, isTenantOver: boolean): Promise<void> {
  const { db } = invocation;
  const nowMs = invocation.now();
  const againMs = nowMs + minuteMs;
  if (turn.endUser !== "") return endTurn(db, turn, againMs);
  if (turn.deletedMs !== null)
    return isTenantOver
      ? endTenant(db, turn, nowMs, againMs)
      : void (await waitUntil(db, turn, againMs).run());
  const daysMs = (turn.retentionDays ?? 0) * dayMs;
  const cursor = pastId(idBound("task", nowMs - daysMs), nowMs);
  return waitForNext(db, turn, { nowMs, daysMs, earliestMs: nowMs + hourMs, cursor });
}
