/** Reading a task. */

import { queuePosition, selectQueuePosition } from "../../d1/tasks/tasks.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findTask } from "./find-task.ts";
import { refresh } from "./poll.ts";

export type ReadResult =
  /** `position`: in the queue, while it waits there. */
  | { kind: "task"; task: Task; position: number | null }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | { kind: "deleted" }
  /** No task has that id, or it is not the caller's: the reply is the same. */
  | { kind: "not_found" };

/** Reads a task of the caller's; an unfinished one is refreshed from the upstream beside the reply. */
export async function readTask(invocation: Invocation, caller: Caller, id: string): Promise<ReadResult> {
  const found = await findTask(invocation, caller, id, [selectQueuePosition(invocation.db, id)]);
  if (found.kind === "key_refused") return found;
  const { task } = found;
  if (!task || !isTheirs(caller, task)) return { kind: "not_found" };
  if (task.erased) return { kind: "deleted" };
  if (task.state === "submitted") invocation.defer("refresh", () => refresh(invocation, task));
  return { kind: "task", task, position: queuePosition(found.more[0]) };
}

/**
 * A page's visitor reads what it made, even if it learns of other ids: a token of one end user that user's tasks, another
 * token its own, and a browser key those of the key.
 */
function isTheirs({ kind, keyId, token }: Caller, task: Task): boolean {
  if (token) return token.endUser === null ? token.id === task.tokenId : token.endUser === task.endUser;
  return kind !== "browser" || keyId === task.keyId;
}
