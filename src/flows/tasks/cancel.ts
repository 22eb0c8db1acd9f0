/**
 * Calling a task off. Only one that waits in the queue can be: whoever sends it takes it out of there first, by a
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
import type { Deps } from "../../platform/invocation.ts";
import { enter } from "../tenants/authorize.ts";
import { finishNow } from "./finish.ts";

export type CancelResult =
  | { kind: "cancelled"; task: Task }
  | { kind: "not_cancellable" }
  | { kind: "not_found" }
  | { kind: "deleted" }
  | { kind: "key_refused"; refusal: KeyRefusal };

/** Cancels a task and releases its hold; one that is cancelled already stays so. */
export async function cancelTask(deps: Deps, caller: Caller, id: string): Promise<CancelResult> {
  const entered = await enter(deps, caller, { action: "cancel" }, [selectTask(deps.db, caller.tenantId, id)]);
  if (entered.kind === "key_refused") return entered;
  const before = firstTask(entered.results[0]);
  if (!before) return { kind: "not_found" };
  if (before.erased) return { kind: "deleted" };
  if (before.state === "queued") {
    await finishNow(deps, { id, from: ["queued"], state: "cancelled", images: [], errorCode: null });
  }
  const [after] = await deps.db.batch([selectTask(deps.db, caller.tenantId, id)]);
  const task = firstTask(after);
  return task?.state === "cancelled" ? { kind: "cancelled", task } : { kind: "not_cancellable" };
}
