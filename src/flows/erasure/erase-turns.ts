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
  beginAgain,
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
import { behindAllTasks, idBound } from "../../domain/ids.ts";
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
/** After so long a turn of which some parts of the archive failed begins anew. */
const failedAgainMs = 10 * minuteMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
/** A task lives for a day and a few hours at the most, so nothing that old still runs. */
const longestMs = 2 * dayMs;

/** What of a turn's tasks and files is to go; undefined: nothing, as its tenant has come to keep its tasks this moment. */
interface Scope {
  tasks: Exclude<ErasureScope, { task: string }>;
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

type Done = Pick<Erased, "puts" | "failures">;

async function doTurn(invocation: Invocation, turn: Turn): Promise<Done> {
  const { db } = invocation;
  const nowMs = invocation.now();
  const scope = scopeOf(turn, nowMs);
  if (!scope) return { puts: 0, failures: [] };
  const isDeleted = turn.endUser === "" && turn.deletedMs !== null;
  const over = isDeleted ? await isOver(invocation, turn.tenantId) : { isOver: true, failures: [] };
  await eraseFiles(db, turn.tenantId, scope.files).run();
  const done: Done = { puts: 0, failures: [...over.failures] };
  if (turn.at.in === "database") {
    const { isFull, puts, failures } = await eraseInDatabase(invocation, turn, scope.tasks, over);
    done.puts += puts;
    done.failures.push(...failures);
    if (isFull || done.failures.length > 0) return done;
  }
  const { at } = turn;
  const from = at.in === "archive" ? at : { afterId: "", hasFailed: false };
  const walk =
    at.in === "database" && at.isLast
      ? { puts: 0, failures: [], next: null }
      : await eraseArchived(invocation, turn.tenantId, scope.tasks, from.afterId);
  const hasFailed = from.hasFailed || walk.failures.length > 0;
  if (walk.next === null) await conclude(invocation, turn, { isTenantOver: over.isOver, hasFailed });
  else await putBehind(db, turn, nowMs, { in: "archive", afterId: walk.next, hasFailed });
  return { puts: done.puts + walk.puts, failures: [...done.failures, ...walk.failures] };
}

/** Erases some of what D1 has. @returns `isFull`: there may be more. */
async function eraseInDatabase(
  invocation: Invocation,
  turn: Turn,
  which: Scope["tasks"],
  over: { isOver: boolean; failures: Erased["failures"] },
): Promise<Done & { isFull: boolean }> {
  const { db } = invocation;
  const nowMs = invocation.now();
  const redaction = { limit: tasksAtOnce, leaseUntilMs: turn.leaseUntilMs };
  const rows = await redactTasks(db, turn.tenantId, which, redaction);
  const isFull = rows.length === tasksAtOnce;
  const goOn = async () => {
    if (!isFull || over.failures.length > 0) return;
    const last = rows.at(-1)?.id ?? "";
    const isDeleted = turn.endUser === "" && turn.deletedMs !== null;
    const afterId = over.isOver ? (isDeleted ? last : pastId(last, nowMs)) : "";
    await putBehind(db, turn, nowMs, { in: "database", afterId, isLast: false });
  };
  const erased = await eraseRest(invocation, rows, { skip: skipUnreadable(invocation), goOn });
  await tombstoneFilesOf(invocation, turn.tenantId);
  return { ...erased, isFull };
}

function scopeOf({ endUser, atMs, at, ...owner }: Turn, nowMs: number): Scope | undefined {
  const cursor = at.in === "database" ? at.afterId : "";
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

/** Nothing that has ended is left to erase for now, but for what failed. */
async function conclude(
  invocation: Invocation,
  turn: Turn,
  { isTenantOver, hasFailed }: { isTenantOver: boolean; hasFailed: boolean },
): Promise<void> {
  const { db } = invocation;
  const nowMs = invocation.now();
  const againMs = nowMs + (hasFailed ? failedAgainMs : minuteMs);
  if (turn.endUser !== "")
    return hasFailed ? void (await beginAgain(db, turn, againMs).run()) : endTurn(db, turn, againMs);
  if (turn.deletedMs !== null) {
    if (isTenantOver) return endTenant(db, turn, nowMs, againMs);
    const at = { in: "database", afterId: "", isLast: !hasFailed } as const;
    return void (await waitUntil(db, turn, againMs, at).run());
  }
  const daysMs = (turn.retentionDays ?? 0) * dayMs;
  const afterId = pastId(idBound("task", nowMs - daysMs), nowMs);
  return waitForNext(db, turn, { nowMs, daysMs, earliestMs: nowMs + hourMs, afterId });
}
