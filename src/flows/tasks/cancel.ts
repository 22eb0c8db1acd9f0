/**
 * Cancelling a task. Only a queued one can be cancelled: its sender takes it out of the queue first, by a
 * compare-and-set of its own, so that of a sender and a canceller exactly one has it:
 *
 *   sender                              canceller
 *   1. `queued` → `submitting`
 *                                       2. from `queued`: changes nothing → not cancellable
 *
 *   or
 *                                       1. `queued` → `cancelled`
 *   2. from `queued`: changes nothing
 */

import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findRow } from "./find-task.ts";
import { finishNow } from "./finish.ts";

export type CancelResult =
  | { kind: "cancelled"; task: Task }
  | { kind: "not_cancellable" }
  | { kind: "not_found" }
  | { kind: "deleted" }
  | { kind: "key_refused"; refusal: KeyRefusal };

/** Cancels a task and releases its hold; one that is cancelled already stays so. */
export async function cancelTask(invocation: Invocation, caller: Caller, id: string): Promise<CancelResult> {
  const found = await findRow(invocation, caller, id, "cancel");
  if (found.kind === "key_refused") return found;
  const before = firstTask(found.results[0]);
  if (!before) return { kind: "not_found" };
  if (before.erased) return { kind: "deleted" };
  if (before.state === "queued") {
    await finishNow(invocation, { id, from: ["queued"], state: "cancelled", images: [], errorCode: null });
  }
  const [after] = await invocation.db.batch([selectTask(invocation.db, caller.tenantId, id)]);
  const task = firstTask(after);
  return task?.state === "cancelled" ? { kind: "cancelled", task } : { kind: "not_cancellable" };
}
