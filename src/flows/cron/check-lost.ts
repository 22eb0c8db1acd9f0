/**
 * What a store has lost that was restored to an earlier time, as far as the other one remembers: ended tasks that D1 lacks,
 * and those whose end the tenant's object does not know. The newest of each; neither can be mended, and both are named.
 */
import { archivedOf } from "../../d1/archive/task-parts.ts";
import { latestEnded, readEnds } from "../../d1/tasks/reconciled-tasks.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { logUnreadable } from "../../platform/unreadable.ts";
import type { Discrepancy } from "./discrepancy.ts";

const tasksCompared = 100;

export async function checkLost(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
): Promise<Discrepancy[]> {
  const ended = await latestEnded(invocation.db, tenant, beforeMs, tasksCompared);
  const { charged, unknown } = await invocation.tenant(tenant).compareEnds(ended, beforeMs, tasksCompared);
  const unreadable = new Set<string>();
  const known = await readEnds(invocation.db, charged, (problem) => {
    unreadable.add(problem.place.id);
    logUnreadable(invocation, problem);
  });
  const missing = charged.filter(({ taskId }) => !known.has(taskId) && !unreadable.has(taskId));
  const ids = missing.map(({ taskId }) => taskId);
  const archived = await archivedOf(invocation.db, tenant, ids);
  const lost = missing.filter(({ taskId }) => !archived.has(taskId));
  return [
    ...lost.map(
      ({ taskId, credits }): Discrepancy => ({
        ...{ kind: "task", tenant, subject: taskId },
        text: `was charged ${credits} credits, and the database has lost it`,
      }),
    ),
    ...unknown.map(
      (taskId): Discrepancy => ({
        ...{ kind: "hold", tenant, subject: taskId },
        text: "has ended, and its object has lost what was held for it: it was not charged",
      }),
    ),
  ];
}
