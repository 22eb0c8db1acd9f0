/**
 * Waiting for a task by its record. All ways to wait read the same record, so callers that wait, stream or poll see the
 * same versions.
 */

import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { findTask } from "./find-task.ts";
import { refresh } from "./poll.ts";

/** The longest time between two reads. */
export const slowestPaceMs = 4_000;

/** Often at first, when most tasks end; then seldom enough for the free plan's 50 queries in two minutes. */
function paceMs(waitedMs: number): number {
  if (waitedMs < 12_000) return 1_000;
  return waitedMs < 30_000 ? 2_000 : slowestPaceMs;
}

/**
 * Reads the task again and again, until it has ended or `untilMs`, or the caller's key is no good any more. Readers
 * refresh it at their own pace.
 * @param startMs Since when the caller waits.
 */
export async function* taskVersions(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  untilMs: number,
  startMs: number = invocation.now(),
): AsyncGenerator<Task> {
  let current = task;
  while (!isFinished(current)) {
    const pauseMs = Math.min(paceMs(invocation.now() - startMs), untilMs - invocation.now());
    if (pauseMs <= 0) return;
    await invocation.sleep(pauseMs);
    const next = await readVersion(invocation, caller, current);
    if (!next || next.erased) return;
    if (next.state === "submitted") invocation.defer("refresh", () => refresh(invocation, next));
    yield next;
    current = next;
  }
}

/** Reads the task as it is now; as it was where the record cannot be read: the task goes on all the same. */
async function readVersion(invocation: Invocation, caller: Caller, known: Task): Promise<Task | undefined> {
  try {
    const found = await findTask(invocation, caller, known.id);
    return found.kind === "in" ? found.task : undefined;
  } catch (error) {
    if (!(error instanceof BindingUnavailable)) throw error;
    invocation.log({ event: "wait_read_failed", level: "error", task: known.id, problem: describe(error) });
    return known;
  }
}

/** Waits for a task's end, `seconds` at the most. @returns it as it is then. */
export async function waitForTask(
  invocation: Invocation,
  caller: Caller,
  task: Task,
  seconds: number,
): Promise<Task> {
  let latest = task;
  for await (const current of taskVersions(invocation, caller, task, invocation.now() + seconds * 1000))
    latest = current;
  return latest;
}
