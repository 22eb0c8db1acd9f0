/**
 * A task's life as a stream: as it is at the start, then each change, until its end. The stream sends versions of the
 * record, so that a client that comes back misses no end and sees nothing twice.
 */

import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Place } from "../../platform/places.ts";
import { taskVersions } from "./wait.ts";

/** A client comes back by itself after that, which moves it off an old deployment. */
const longestMs = 120_000;

export type StreamEvent = { kind: "task"; task: Task } | { kind: "heartbeat" };

/** @param seen The version that the client has; null: none. */
export async function* streamTask(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  seen: number | null,
  place: Place,
): AsyncGenerator<StreamEvent> {
  let sent = seen;
  const changed = (current: Task): StreamEvent | undefined => {
    if (current.version === sent) return undefined;
    sent = current.version;
    return { kind: "task", task: current };
  };
  const first = changed(task);
  if (first) yield first;
  if (isFinished(task)) return;
  const untilMs = invocation.now() + longestMs;
  // At each turn, as a client that has left is noticed only when something is sent to it. Proxies close silent connections.
  for await (const current of taskVersions(invocation, caller, task, place, untilMs))
    yield changed(current) ?? { kind: "heartbeat" };
}
