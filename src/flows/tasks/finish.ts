/**
 * The one way to end a task: a compare-and-set on its state, in one transaction with its webhooks' outbox rows. A caller
 * that comes second, late or again changes nothing, so every caller may call it. Then the tenant's object settles the
 * task's hold:
 *
 *   dies after                     what is found
 *   1. the end                     the object's alarm, which comes every minute while a task is open there, asks D1 for the
 *                                  ends of its tasks, and settles this one
 *   2. the object has settled      nothing is left to do
 */

import { closeEnded, type EndedTask, type Ending, endedTask, endTask } from "../../d1/tasks/tasks.ts";
import { insertEnds } from "../../d1/webhooks/deliveries.ts";
import { chargedImages } from "../../domain/account.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { wakeDelivery } from "../webhooks/wake-delivery.ts";

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
  const ids = endings.map(({ id }) => id);
  const results = await invocation.db.batch([
    ...endings.map((ending) => endTask(invocation.db, ending, nowMs)),
    insertEnds(invocation.db, ids, nowMs),
  ]);
  if (results.at(-1)?.meta.changes) wakeDelivery(invocation);
  return results.slice(0, -1).flatMap((result) => endedTask(result) ?? []);
}

/** Settles holds; what fails is left to the tenant's object. */
async function settle(invocation: Invocation, tasks: EndedTask[]): Promise<void> {
  await inParallel(
    tasks,
    async (task) => {
      try {
        await settleOne(invocation, task);
      } catch (error) {
        invocation.log({ event: "not_settled", level: "error", task: task.id, problem: describe(error) });
      }
    },
    { concurrency: connections },
  );
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
  if (result === "no_hold")
    invocation.log({ event: "hold_of_other_task", level: "error", task: task.id, hold: task.holdNumber });
}

/** Closes what the version before has ended and not settled: the objects settle it. */
export async function settleFormer(invocation: Invocation): Promise<void> {
  for (const tenant of await closeEnded(invocation.db))
    await invocation.tenant(tenant).catchUp(invocation.now());
}
