/** Whether each hold that is open has a task that goes on. */
import { readEnds } from "../../d1/tasks/reconciled-tasks.ts";
import { type SkipUnreadable, StoredDataUnreadable } from "../../domain/stored.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { logUnreadable } from "../../platform/unreadable.ts";
import type { OpenHold } from "../../tenant/check-state.ts";
import type { Discrepancy } from "./discrepancy.ts";

/** Settles holds that no ender and no cron would settle. One that was settled meanwhile is no discrepancy. */
export async function checkHolds(
  invocation: Invocation,
  tenant: string,
  holds: OpenHold[],
  beforeMs: number,
  mends: boolean,
): Promise<Discrepancy[]> {
  const unreadable = new Set<string>();
  const skip: SkipUnreadable = (problem) => {
    unreadable.add(problem.place.id);
    logUnreadable(invocation, problem);
  };
  const ends = await readEnds(invocation.db, holds, skip);
  const isMissing = ({ taskId }: OpenHold) => !ends.has(taskId) && !unreadable.has(taskId);
  const lost = holds.filter(isMissing);
  const numbers = lost.map(({ holdNumber }) => holdNumber);
  const mended = new Set(
    mends && numbers.length > 0 ? await invocation.tenant(tenant).writeAgain(numbers) : [],
  );
  const leaked = holds.filter(({ taskId }) => {
    const finishedMs = ends.get(taskId)?.finishedMs ?? null;
    return finishedMs !== null && finishedMs < beforeMs;
  });
  const settled = await inParallel(
    leaked,
    async ({ holdNumber, taskId }): Promise<Discrepancy[]> => {
      const { images = 0, refused = false, hidden: deleteReplay = false } = ends.get(taskId) ?? {};
      const note = "found unsettled by the audit";
      const nowMs = invocation.now();
      const settlement = { holdNumber, taskId, images, refused, deleteReplay, note, nowMs };
      const text = `${note}${mends ? ", and settled" : ""}`;
      if (!mends) return [{ kind: "hold", tenant, subject: taskId, text }];
      try {
        return (await invocation.tenant(tenant).settle(settlement)) === "settled"
          ? [{ kind: "hold", tenant, subject: taskId, text }]
          : [];
      } catch (error) {
        if (!(error instanceof StoredDataUnreadable)) throw error;
        // The tenant's other holds are settled all the same.
        logUnreadable(invocation, error);
        const { table, field, id } = error.place;
        return [unsettled(tenant, taskId, table, field, id)];
      }
    },
    { concurrency: connections },
  );
  const lostText = (holdNumber: number) =>
    `its task was not in the database${mends ? `, and was ${mended.has(holdNumber) ? "" : "not "}written there again` : ""}`;
  return [
    ...lost.map(
      ({ holdNumber, taskId }): Discrepancy => ({
        ...{ kind: "hold", tenant, subject: taskId },
        text: lostText(holdNumber),
      }),
    ),
    ...settled.flat(),
  ];
}

export function unsettled(tenant: string, subject: string | null, ...place: string[]): Discrepancy {
  return {
    kind: "hold",
    tenant,
    subject,
    text: `cannot be settled, since ${place.join(" ")} cannot be read`,
  };
}
