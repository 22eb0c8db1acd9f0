/** What the operator does to a task by hand. Each goes through the same doors as cron does. */

import { findTask, makeDue } from "../../d1/tasks/reconciled-tasks.ts";
import { insertAct } from "../../d1/tenants/audit-log.ts";
import { isFinished, openStates, type Task } from "../../domain/task.ts";
import type { Deps } from "../../platform/invocation.ts";
import type { Actor } from "../tenants/tenants.ts";
import { finishNow } from "./finish.ts";
import { lookNow } from "./poll.ts";

/** Looks at a task now, or makes it due now. @returns it as it is afterwards; undefined when there is none. */
export async function refreshTask(deps: Deps, by: Actor, id: string): Promise<Task | undefined> {
  const task = await findTask(deps.db, id);
  if (!task) return undefined;
  await note(deps, by, "task.refresh", task);
  if (task.state === "submitted") await lookNow(deps, task);
  else await makeDue(deps.db, id, deps.now());
  return findTask(deps.db, id);
}

/** Fails a task that goes on and releases its hold; one that has ended stays as it is. */
export async function failTask(deps: Deps, by: Actor, id: string): Promise<Task | undefined> {
  const task = await findTask(deps.db, id);
  if (!task || isFinished(task)) return task;
  await note(deps, by, "task.fail", task);
  await finishNow(deps, { id, from: openStates, state: "failed", images: [], errorCode: "unknown_error" });
  return findTask(deps.db, id);
}

async function note(deps: Deps, by: Actor, act: string, task: Task): Promise<void> {
  const what = { act, tenantId: task.tenantId, subject: task.id, details: { state: task.state } };
  await insertAct(deps.db, { ...by, ...what, id: deps.newId("act"), atMs: deps.now() }).run();
}
