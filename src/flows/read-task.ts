/** Reading a task: the key is checked and the task fetched in one call to D1, so that revocation holds at once. */
import type { Deps } from "../deps.ts";
import type { Task } from "../domain/task.ts";
import { checkKey, type KeyRefusal } from "../domain/tenant.ts";
import { firstKey, selectKey } from "../store/keys.ts";
import { firstTask, selectTask } from "../store/tasks.ts";
import { refresh } from "./look.ts";
import type { Caller } from "./submit.ts";

export type ReadResult =
  | { kind: "task"; task: Task }
  | { kind: "key_refused"; refusal: KeyRefusal }
  /** There is none of that id, or it is another tenant's: the caller cannot tell which. */
  | { kind: "not_found" };

/** Reads a task of the caller's tenant; an unfinished one is refreshed from the upstream beside the reply. */
export async function readTask(deps: Deps, caller: Caller, id: string): Promise<ReadResult> {
  const [keys, tasks] = await deps.db.batch([
    selectKey(deps.db, caller.tenantId, caller.keyId),
    selectTask(deps.db, caller.tenantId, id),
  ]);
  const known = firstKey(keys);
  const presented = { hash: caller.keyHash, scope: "images" as const };
  const refusal = checkKey(known?.key, known?.status ?? "active", presented, deps.now());
  if (refusal) return { kind: "key_refused", refusal };
  const task = firstTask(tasks);
  if (!task) return { kind: "not_found" };
  if (task.state === "submitted") deps.defer("refresh", () => refresh(deps, task));
  return { kind: "task", task };
}
