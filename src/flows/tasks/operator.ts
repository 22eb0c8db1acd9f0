/**
 * The operator's reads and changes of a task, these through the same functions as cron's. One that D1 lacks is looked for in the
 * archive, then in D1 once more:
 *
 *   the reader                  a restore
 *   1. D1 lacks the task
 *                               2. its part's rows are in D1 again, and the part ends
 *   3. finds no part with it
 *   4. reads D1 again
 */

import { findOwnedTask, findTask, makeDue, type NamedTask } from "../../d1/tasks/reconciled-tasks.ts";
import { isFinished, openStates, type Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findArchived } from "../archive/read-archived.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { finishNow } from "./finish.ts";
import { pollNow } from "./poll.ts";

/** "of_many_tenants": so many have an archive that it is not found without its tenant. Undefined: there is none. */
export type AnyTask = Task | "of_many_tenants" | undefined;

/** Polls a task now, or makes it due now. @returns it as it is afterwards. */
export async function refreshTask(invocation: Invocation, by: Actor, named: NamedTask): Promise<AnyTask> {
  const { id } = named;
  const task = await findTask(invocation.db, named);
  if (!task) return findAnyTask(invocation, named);
  await note(invocation, by, "task.refresh", task);
  if (task.state === "submitted") await pollNow(invocation, task);
  else await makeDue(invocation.db, id, invocation.now());
  return findAnyTask(invocation, named);
}

/**
 * Fails a task that goes on and releases its hold; one that has ended stays as it is.
 * @throws StoredDataUnreadable when the rest of its row cannot be read, once it has ended and released its hold.
 */
export async function failTask(invocation: Invocation, by: Actor, named: NamedTask): Promise<AnyTask> {
  const { id } = named;
  const task = await findOwnedTask(invocation.db, named);
  if (!task) return findAnyTask(invocation, named);
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
  return findAnyTask(invocation, named);
}

/** Reads a task, archived ones among them. */
export async function findAnyTask(invocation: Invocation, named: NamedTask): Promise<AnyTask> {
  const inDatabase = () => findTask(invocation.db, named);
  return (
    (await inDatabase()) ?? (await findArchived(invocation, named.id, named.tenant)) ?? (await inDatabase())
  );
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
