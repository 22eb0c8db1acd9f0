/**
 * Following a task by its record, which is what every way of telling callers is made from: whoever waits, streams
 * or polls sees the same versions.
 */

import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import type { Caller } from "../../domain/access.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import type { Deps } from "../../platform/invocation.ts";
import { enter } from "../tenants/authorize.ts";
import { refresh } from "./poll.ts";

/** No two looks are further apart. */
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
export async function* pollTask(
  deps: Deps,
  caller: Caller,
  task: Task,
  untilMs: number,
  startMs: number = deps.now(),
): AsyncGenerator<Task> {
  let current = task;
  while (!isFinished(current)) {
    const pauseMs = Math.min(paceMs(deps.now() - startMs), untilMs - deps.now());
    if (pauseMs <= 0) return;
    await deps.sleep(pauseMs);
    const entered = await enter(deps, caller, { action: "read" }, [
      selectTask(deps.db, task.tenantId, task.id),
    ]);
    const next = entered.kind === "in" ? firstTask(entered.results[0]) : undefined;
    if (!next || next.erased) return;
    if (next.state === "submitted") deps.defer("refresh", () => refresh(deps, next));
    yield next;
    current = next;
  }
}

/** Waits for a task's end, `seconds` at the most. @returns it as it is then. */
export async function waitForTask(deps: Deps, caller: Caller, task: Task, seconds: number): Promise<Task> {
  let latest = task;
  for await (const current of pollTask(deps, caller, task, deps.now() + seconds * 1000)) latest = current;
  return latest;
}
