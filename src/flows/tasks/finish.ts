/**
 * The one way to end a task: a compare-and-set on its state, in one transaction with its webhooks' outbox rows. A caller
 * that comes second, late or again changes nothing, so every caller may call it. Then the tenant's object settles the
 * task's hold, and the task is closed:
 *
 *   dies after                     what cron finds
 *   1. the end                     an ended task that is still open: it settles it, once due
 *   2. the object has settled      the same; the object does nothing the second time
 *   3. the task is closed          nothing
 */

import pMap from "p-map";
import {
  claimUnsettled,
  closeTasks,
  type EndedTask,
  type Ending,
  endedTask,
  endTask,
} from "../../d1/tasks/tasks.ts";
import { insertEnds } from "../../d1/webhooks/deliveries.ts";
import { chargedImages } from "../../domain/account.ts";
import { connections } from "../../platform/connections.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { wakeDelivery } from "../webhooks/wake-delivery.ts";

/** The ender of a task settles it within so long, or cron does. */
const settleMs = 30_000;
const tasksAtOnce = 60;

/** Ends tasks, all in one transaction, and settles them beside. */
export async function finish(invocation: Invocation, endings: Ending[]): Promise<void> {
  const ended = await end(invocation, endings);
  if (ended.length > 0) invocation.defer("settle", () => settle(invocation, ended));
}

/** Ends and settles a task before it returns: the reply says that nothing is held any more. */
export async function finishNow(invocation: Invocation, ending: Ending): Promise<void> {
  await settle(invocation, await end(invocation, [ending]));
}

/** @returns the tasks that this call ended. */
async function end(invocation: Invocation, endings: Ending[]): Promise<EndedTask[]> {
  if (endings.length === 0) return [];
  const nowMs = invocation.now();
  const dueMs = nowMs + settleMs;
  const ids = endings.map(({ id }) => id);
  const results = await invocation.db.batch([
    ...endings.map((ending) => endTask(invocation.db, ending, nowMs, dueMs)),
    insertEnds(invocation.db, ids, nowMs),
  ]);
  if (results.at(-1)?.meta.changes) wakeDelivery(invocation);
  return results.slice(0, -1).flatMap((result) => endedTask(result) ?? []);
}

/** Settles holds and closes their tasks; what fails is left to cron. */
async function settle(invocation: Invocation, tasks: EndedTask[]): Promise<void> {
  const settled = await pMap(
    tasks,
    async (task) => {
      try {
        await settleOne(invocation, task);
        return [task.id];
      } catch (error) {
        invocation.log({ event: "not_settled", level: "error", task: task.id, problem: describe(error) });
        return [];
      }
    },
    { concurrency: connections },
  );
  const ids = settled.flat();
  if (ids.length > 0) await closeTasks(invocation.db, ids);
}

async function settleOne(invocation: Invocation, task: EndedTask): Promise<void> {
  if (task.holdNumber === null) return;
  const result = await invocation.tenant(task.tenantId).settle({
    holdNumber: task.holdNumber,
    taskId: task.id,
    images: chargedImages(task),
    refused: task.errorCode === "content_policy_violation",
    deleteReplay: task.hidden,
    nowMs: invocation.now(),
  });
  // It never will be: the tenant's object was restored to a time before this task. The operator has to know.
  if (result === "other_task")
    invocation.log({ event: "hold_of_other_task", level: "error", task: task.id, hold: task.holdNumber });
}

/** Claims and settles, once, tasks that their enders did not settle; true when there may be more. */
export async function settleDue(invocation: Invocation): Promise<boolean> {
  const nowMs = invocation.now();
  const skip = skipUnreadable(invocation);
  const due = await claimUnsettled(invocation.db, nowMs, nowMs + settleMs, tasksAtOnce, skip);
  await settle(invocation, due);
  return due.length === tasksAtOnce;
}
