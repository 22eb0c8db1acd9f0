/**
 * Tasks that ended before the upstream had them: it refused them and their callers heard that, or it could not be learned
 * whether they had begun. Each releases its hold here, in one transaction, and D1 gets a record for the operator after that.
 * The same table keeps an admission from coming after its end.
 *
 *   who ends it, who sends it             what happens
 *   the caller's Worker ends it, then     cron asks before it sends: the task is not open, it is not sent
 *   its lease runs out
 *   cron took it over, then the caller's  it is not ended: the caller gets the task, which cron brings to its end, or has
 *   Worker wants to end it                brought there
 *   a replay got the task                 it ends, in its tenant's sight, and keeps its idempotency key
 *   given up, then its admission comes    the admission is refused
 */
import type { TaskFailureCode } from "../domain/failures.ts";
import { readable, readStored } from "../domain/stored.ts";
import { hasSettled } from "./ledger.ts";
import { settleHold } from "./settlement.ts";
import { keptRow, keptTask, type TaskRow } from "./task-rows.ts";

export interface EarlyEnd {
  taskId: string;
  /** The number of its hold. Null: whether it began is not known, and it ends only where nothing but its caller has it. */
  holdNumber: number | null;
  errorCode: TaskFailureCode;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

/** A call that comes later than this is no call any more. */
const keptMs = 3_600_000;

interface OpenRow extends Record<string, SqlStorageValue> {
  seq: number;
  record: string | null;
  is_shown: number;
  is_taken: number;
}

/**
 * Ends a task: nothing is charged, and there is none for its caller.
 * @returns `ended`: also when there is no such task, and never will be. `goes_on`: another one sends it, or was shown it.
 */
export function endEarly(sql: SqlStorage, end: EarlyEnd): "ended" | "goes_on" {
  const { taskId, errorCode, nowMs } = end;
  const [row] = sql
    .exec<OpenRow>(
      "SELECT seq, record, is_shown, is_taken FROM open_tasks WHERE task_id = ?1 AND (?2 IS NULL OR seq = ?2)",
      taskId,
      end.holdNumber,
    )
    .toArray();
  if (!row) {
    // Cron took it over, and it has ended since, perhaps with a charge.
    const { holdNumber } = end;
    const isOver = holdNumber !== null && hasSettled(sql, holdNumber, taskId) && !isEndedEarly(sql, taskId);
    if (isOver) return "goes_on";
    sql.exec("INSERT OR IGNORE INTO early_ends (task_id, at_ms) VALUES (?, ?)", taskId, nowMs);
    return "ended";
  }
  const isShown = row.is_shown === 1;
  if (row.is_taken === 1 || row.record === null || (isShown && end.holdNumber === null)) return "goes_on";
  const place = { table: "open_tasks", field: "record", id: String(row.seq) };
  const kept = readStored(place, keptTask, row.record);
  settleHold(sql, {
    ...{ holdNumber: row.seq, taskId, images: 0, nowMs, deleteReplay: !isShown },
    refused: errorCode === "content_policy_violation",
  });
  const outcome = { kind: "refused", errorCode, finishedMs: nowMs, hidden: !isShown } as const;
  sql.exec(
    "INSERT OR REPLACE INTO early_ends (task_id, at_ms, record) VALUES (?, ?, ?)",
    ...[taskId, nowMs, JSON.stringify({ ...kept, outcome })],
  );
  return "ended";
}

/** SQL: whether the task of the parameter has ended early. */
export const hasEndedEarly = (parameter: number) =>
  `EXISTS (SELECT 1 FROM early_ends WHERE task_id = ?${parameter})`;

export function isEndedEarly(sql: SqlStorage, taskId: string): boolean {
  return Number(sql.exec(`SELECT ${hasEndedEarly(1)} AS ended`, taskId).one().ended) === 1;
}

/** Records that D1 lacks; one that cannot be read is left out. */
export function listEarlyEnds(sql: SqlStorage, limit: number): TaskRow[] {
  const rows = sql
    .exec<{ task_id: string; record: string }>(
      "SELECT task_id, record FROM early_ends WHERE record IS NOT NULL LIMIT ?",
      limit,
    )
    .toArray();
  const read = ({ task_id: id, record }: (typeof rows)[0]) =>
    readStored({ table: "early_ends", field: "record", id }, keptRow, record);
  return readable(rows, read, () => undefined);
}

export function findEarlyEnd(sql: SqlStorage, taskId: string): TaskRow | undefined {
  return listEarlyEnds(sql, Number.MAX_SAFE_INTEGER).find(({ task }) => task.id === taskId);
}

export function markWritten(sql: SqlStorage, taskId: string): void {
  sql.exec("UPDATE early_ends SET record = NULL WHERE task_id = ?", taskId);
}

/** Forgets ends that no admission can come after any more. */
export function dropOldEarlyEnds(sql: SqlStorage, nowMs: number): void {
  sql.exec("DELETE FROM early_ends WHERE record IS NULL AND at_ms <= ?", nowMs - keptMs);
}
