/**
 * Following a task by its record, which is what every way of telling callers is made from: whoever waits, streams
 * or polls sees the same versions.
 */
import type { Deps } from "../deps.ts";
import { isFinished, type Task } from "../domain/task.ts";
import { firstTask, selectTask } from "../store/tasks.ts";
import { refresh } from "./look.ts";

/** Often at first, when most tasks end; then seldom enough for the free plan's 50 queries in a minute's wait. */
const paceMs = (waitedMs: number) => (waitedMs < 15_000 ? 1_000 : 2_000);

/** Yields the task whenever it has changed, until it has ended or `untilMs`. Readers refresh it at their own pace. */
export async function* watchTask(deps: Deps, task: Task, untilMs: number): AsyncGenerator<Task> {
  const startMs = deps.now();
  let current = task;
  while (!isFinished(current)) {
    const pauseMs = Math.min(paceMs(deps.now() - startMs), untilMs - deps.now());
    if (pauseMs <= 0) return;
    await deps.sleep(pauseMs);
    const [row] = await deps.db.batch([selectTask(deps.db, task.tenantId, task.id)]);
    const next = firstTask(row);
    if (!next || next.erased) return;
    if (next.state === "submitted") deps.defer("refresh", () => refresh(deps, next));
    if (next.version !== current.version) yield next;
    current = next;
  }
}

/** Waits for a task's end, `seconds` at the most. @returns it as it is then. */
export async function waitForTask(deps: Deps, task: Task, seconds: number): Promise<Task> {
  let latest = task;
  for await (const changed of watchTask(deps, task, deps.now() + seconds * 1000)) latest = changed;
  return latest;
}
