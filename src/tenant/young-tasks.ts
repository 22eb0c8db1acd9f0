/** Tasks that D1 lacks so far, for those who read them. */
import { type Caller, checkAccess, type KeyRefusal } from "../domain/access.ts";
import type { Task } from "../domain/task.ts";
import { readAdmissionRows } from "./admission-rows.ts";
import { findEarlyEnd, isEndedEarly } from "./early-ends.ts";
import { selectOpenTasks } from "./open-tasks.ts";
import type { Outbox } from "./outbox.ts";
import { shownTask } from "./task-rows.ts";

/** `in_database`: D1 has it by now. */
export type YoungTask =
  | { kind: "task"; task: Task; isSure: boolean }
  | { kind: "in_database" | "none" }
  | { kind: "key_refused"; refusal: KeyRefusal };

/** Reads a task, for a caller whose key is checked by the object's copy as D1 would check it. */
export function readYoung(
  sql: SqlStorage,
  outbox: Outbox,
  caller: Caller,
  taskId: string,
  nowMs: number,
): YoungTask {
  const { settings, key } = readAdmissionRows(sql, caller.keyId);
  const refusal = settings ? checkAccess(caller, key, settings, { action: "read" }, nowMs) : "invalid_key";
  if (refusal) return { kind: "key_refused", refusal };
  const [open] = selectOpenTasks(sql, "WHERE task_id = ?", taskId);
  const found = findYoung(sql, outbox, taskId, open?.seq ?? null);
  if (!found) return { kind: open || isEndedEarly(sql, taskId) ? "in_database" : "none" };
  return found.task.hidden ? { kind: "none" } : { kind: "task", ...found };
}

/** A replay's decision with its task, as far as D1 may lack that. */
export function withTask<Decision extends { taskId: string; holdNumber: number | null }>(
  sql: SqlStorage,
  outbox: Outbox,
  decision: Decision,
): Decision & { task: Task | null; isSure: boolean } {
  const found = findYoung(sql, outbox, decision.taskId, decision.holdNumber);
  return { ...decision, task: found?.task ?? null, isSure: found?.isSure ?? false };
}

/** @param holdNumber Of a task that is open; null: it has ended. */
function findYoung(sql: SqlStorage, outbox: Outbox, taskId: string, holdNumber: number | null) {
  const ended = holdNumber === null ? findEarlyEnd(sql, taskId) : undefined;
  const found = holdNumber === null ? ended && { row: ended, isSure: true } : outbox.find(holdNumber);
  return found && { task: shownTask(found.row), isSure: found.isSure };
}
