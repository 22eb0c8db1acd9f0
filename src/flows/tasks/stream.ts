/**
 * A task's life as a stream: as it is at the start, then each change, until its end. What is sent are versions of the
 * record, so that a client that comes back misses no end and sees nothing twice.
 */

import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import type { Deps } from "../../platform/invocation.ts";
import { pollTask } from "./wait.ts";

/** Proxies close connections that are silent for long; a comment is due every fifteen seconds. */
const heartbeatMs = 10_000;
/** A client comes back by itself after that, which moves it off an old deployment. */
const longestMs = 120_000;

export type Followed = { kind: "task"; task: Task } | { kind: "heartbeat" };

/** @param seen The version that the client has; null: none. */
export async function* followTask(
  deps: Deps,
  caller: Caller,
  task: Task,
  seen: number | null,
): AsyncGenerator<Followed> {
  let sent = seen;
  let sentMs = deps.now();
  const changed = (current: Task): Followed | undefined => {
    if (current.version === sent) return undefined;
    sent = current.version;
    sentMs = deps.now();
    return { kind: "task", task: current };
  };
  const first = changed(task);
  if (first) yield first;
  if (isFinished(task)) return;
  for await (const current of pollTask(deps, caller, task, deps.now() + longestMs)) {
    const next = changed(current);
    if (next) yield next;
    else if (deps.now() - sentMs >= heartbeatMs) {
      sentMs = deps.now();
      yield { kind: "heartbeat" };
    }
  }
}
