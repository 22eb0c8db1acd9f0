/** Changes of a task by the operator, through the same functions as cron's. */

import { findOwnedTask, findTask, makeDue } from "../../d1/tasks/reconciled-tasks.ts";
import { isFinished, openStates, type Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findArchived } from "../archive/read-archived.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { finishNow } from "./finish.ts";
import { pollNow } from "./poll.ts";

/** Polls a task now, or makes it due now. @returns it as it is afterwards; undefined when there is none. */
export async function refreshTask(invocation: Invocation, by: Actor, id: string): Promise<Task | undefined> {
  const task = await findTask(invocation.db, id);
  if (!task) return findArchived(invocation, id);
  await note(invocation, by, "task.refresh", task);
  if (task.state === "submitted") await pollNow(invocation, task);
  else await makeDue(invocation.db, id, invocation.now());
  return findTask(invocation.db, id);
}

/**
 * Fails a task that goes on and releases its hold; one that has ended stays as it is.
 * @throws StoredDataUnreadable when the rest of its row cannot be read, once it has ended and released its hold.
 */
export async function failTask(invocation: Invocation, by: Actor, id: string): Promise<Task | undefined> {
  const task = await findOwnedTask(invocation.db, id);
  if (!task) return findArchived(invocation, id);
  if (!isFinished(task)) {
    await note(invocation, by, "task.fail", task);
    await finishNow(invocation, {
      id,
      from: openStates,
      state: "failed",
      images: [],
      errorCode: "unknown_error",
    });
  }
  return findTask(invocation.db, id);
}

/** Reads a task of any tenant, archived ones among them. */
export async function findAnyTask(invocation: Invocation, id: string): Promise<Task | undefined> {
  return (await findTask(invocation.db, id)) ?? findArchived(invocation, id);
}

/** Whether a task's hold is charged or released; null where its tenant's object does not answer. */
export async function isSettled(invocation: Invocation, task: Task): Promise<boolean | null> {
  if (!isFinished(task)) return false;
  if (task.holdNumber === null) return true;
  try {
    return await invocation.tenant(task.tenantId).isSettled(task.holdNumber, task.id);
  } catch (error) {
    if (error instanceof BindingUnavailable) return null;
    throw error;
  }
}

async function note(
  invocation: Invocation,
  by: Actor,
  action: string,
  task: Pick<Task, "id" | "tenantId" | "state">,
): Promise<void> {
  const what = { action, tenantId: task.tenantId, subject: task.id, details: { state: task.state } };
  await auditEntry(invocation, by, what).run();
}
