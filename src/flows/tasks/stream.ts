/**
 * A task's life as a stream: as it is at the start, then each change, until its end. The stream sends versions of the
 * record, so that a client that comes back misses no end and sees nothing twice.
 */

import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Watch } from "../../platform/watches.ts";
import { taskVersions } from "./wait.ts";

/** Proxies close connections that are silent for long; a comment is due every fifteen seconds. */
const heartbeatMs = 10_000;
/** A client comes back by itself after that, which moves it off an old deployment. */
export const longestStreamMs = 120_000;

export type StreamEvent = { kind: "task"; task: Task } | { kind: "heartbeat" };

/** @param seen The version that the client has; null: none. */
export async function* streamTask(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  seen: number | null,
  watch: Watch,
): AsyncGenerator<StreamEvent> {
  let sent = seen;
  let sentMs = invocation.now();
  const changed = (current: Task): StreamEvent | undefined => {
    if (current.version === sent) return undefined;
    sent = current.version;
    sentMs = invocation.now();
    return { kind: "task", task: current };
  };
  const first = changed(task);
  if (first) yield first;
  if (isFinished(task)) return;
  const untilMs = invocation.now() + longestStreamMs;
  for await (const current of taskVersions(invocation, caller, task, watch, untilMs)) {
    const next = changed(current);
    if (next) yield next;
    else if (invocation.now() - sentMs >= heartbeatMs) {
      sentMs = invocation.now();
      yield { kind: "heartbeat" };
    }
  }
}
