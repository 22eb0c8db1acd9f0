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
  | { kind: "task"; task: Task }
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
  const found = open ? outbox.find(open.seq) : findEarlyEnd(sql, taskId);
  if (!found) return { kind: open || isEndedEarly(sql, taskId) ? "in_database" : "none" };
  const task = shownTask(found);
  return task.hidden ? { kind: "none" } : { kind: "task", task };
}
