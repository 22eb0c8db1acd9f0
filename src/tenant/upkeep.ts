/**
 * What the alarm of a tenant's object does: for its open tasks, whose ends and rows may not have come where they belong, and
 * with what has come to its end.
 */
import { readEnds } from "../d1/tasks/reconciled-tasks.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import { alarmEveryMs } from "./decide.ts";
import { dropOldEarlyEnds } from "./early-ends.ts";
import { dropEnded } from "./file-admission.ts";
import { newestAtMs, oldOpenTasks } from "./open-tasks.ts";
import type { Outbox } from "./outbox.ts";
import { dropIdleCounters } from "./scopes.ts";
import { type Settlement, settleHold } from "./settlement.ts";
import { readState, writeState } from "./tenant-state.ts";
import { dropOldTokens } from "./token-use.ts";

/** Open tasks that one alarm sees to. */
const mostChecked = 200;

/** The alarm pauses for a tenth of the time for which the newest task has been open. */
const pauseShare = 10;

interface Parts {
  db: D1Database;
  storage: DurableObjectStorage;
  outbox: Outbox;
}

/**
 * Settles tasks that have ended in D1, writes those again that it has lost, and releases those that never had a row: of a
 * Worker of the version before that died.
 * @param afterSeq Where the last call stopped.
 * @returns where this one stopped; 0: the next one begins with the oldest task.
 * @throws when D1 is unavailable.
 */
export async function seeToOpenTasks(
  { db, storage, outbox }: Parts,
  afterSeq: number,
  nowMs: number,
): Promise<number> {
  const tasks = oldOpenTasks(storage.sql, afterSeq, nowMs - alarmEveryMs, mostChecked);
  const unreadable = new Set<string>();
  const known = await readEnds(db, tasks, ({ place }) => unreadable.add(place.id));
  const lost: number[] = [];
  for (const { seq: holdNumber, taskId, hasRecord } of tasks) {
    if (unreadable.has(taskId)) continue;
    const found = known.get(taskId);
    if (!found && hasRecord) lost.push(holdNumber);
    else if (!found) {
      const note = "no task came of it";
      release(storage, { holdNumber, taskId, images: 0, refused: false, deleteReplay: true, note, nowMs });
    } else if (found.finishedMs !== null) {
      const { images, refused, hidden: deleteReplay } = found;
      release(storage, { holdNumber, taskId, images, refused, deleteReplay, nowMs });
    }
  }
  await outbox.writeAgain(lost);
  return tasks.length < mostChecked ? 0 : (tasks.at(-1)?.seq ?? 0);
}

/** When an alarm comes, by the Workers' clock: its own may be another. */
export function alarmTime(sql: SqlStorage): number {
  return Math.max(readState(sql).alarmMs ?? 0, newestAtMs(sql));
}

/** Files whose end one call sees to. */
const filesAtOnce = 1_000;

/** Drops rows that count no more. */
export function dropOldRows(sql: SqlStorage, nowMs: number): void {
  dropOldEarlyEnds(sql, nowMs);
  dropOldTokens(sql, nowMs);
  dropEnded(sql, nowMs, filesAtOnce);
  dropIdleCounters(sql, nowMs);
}

/** Notes when the alarm is due again: while anything is open, or D1 lacks anything. Null: not at all. */
export function nextAlarm(storage: DurableObjectStorage, outbox: Outbox, nowMs: number): number | null {
  const { sql } = storage;
  return storage.transactionSync(() => {
    const state = readState(sql);
    const isOpen = state.counters.open > 0 || !outbox.isEmpty;
    // Of tasks that are open for hours the end is as good a little later; and an alarm that is late catches up soon.
    const pauseMs = outbox.isEmpty ? (nowMs - newestAtMs(sql)) / pauseShare : 0;
    const alarmMs = isOpen ? nowMs + Math.max(alarmEveryMs, Math.floor(pauseMs)) : null;
    writeState(sql, { ...state, alarmMs, writtenSeq: outbox.writtenSeq(state.seq) });
    return alarmMs;
  });
}

/** Sets the alarm where there is none that should be: the platform gave it up, or tasks are open of the version before. */
export async function rearm(storage: DurableObjectStorage, outbox: Outbox): Promise<void> {
  const newestMs = newestAtMs(storage.sql);
  if (newestMs === 0 && outbox.isEmpty) return;
  if ((await storage.getAlarm()) === null) await storage.setAlarm(newestMs + alarmEveryMs);
}

/** Settles a hold; one that what is stored keeps from it is left to reconciliation, which names it. */
function release(storage: DurableObjectStorage, settlement: Settlement): void {
  try {
    storage.transactionSync(() => settleHold(storage.sql, settlement));
  } catch (error) {
    if (!(error instanceof StoredDataUnreadable)) throw error;
  }
}
