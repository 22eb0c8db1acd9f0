/** Whether each hold that is open has a task that goes on. */
import { lostOf, partsFrom, selectPartOf } from "../../d1/archive/task-parts.ts";
import { readEnds, type TaskEnd } from "../../d1/tasks/reconciled-tasks.ts";
import { taskFromRow } from "../../d1/tasks/task-row.ts";
import { chargedImages } from "../../domain/account.ts";
import { readable, type SkipUnreadable, StoredDataUnreadable } from "../../domain/stored.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { logUnreadable } from "../../platform/unreadable.ts";
import type { OpenHold } from "../../tenant/check-state.ts";
import { currentRows } from "../archive/read-archived.ts";
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
  const missing = holds.filter(isMissing).map(({ taskId }) => taskId);
  const unread = await readArchivedEnds(invocation, tenant, missing, ends, skip);
  for (const id of unread) unreadable.add(id);
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
    ...unread.map((id) => unsettled(tenant, id, "its part of the archive")),
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

/**
 * Reads how archived tasks ended that D1 lacks: their object was restored to a time before.
 * @returns those of parts that cannot be read, which the log names.
 */
async function readArchivedEnds(
  invocation: Invocation,
  tenant: string,
  ids: string[],
  ends: Map<string, TaskEnd>,
  skip: SkipUnreadable,
): Promise<string[]> {
  const lost = await lostOf(invocation.db, tenant, ids);
  const unread: string[] = [];
  for (let rest = ids.filter((id) => !lost.has(id)); rest[0] !== undefined; ) {
    const [first] = rest;
    const [part] = partsFrom(await selectPartOf(invocation.db, tenant, first).all());
    const isInPart = (id: string) => id === first || (part && id >= part.firstId && id <= part.lastId);
    const inPart = new Set(rest.filter(isInPart));
    rest = rest.filter((id) => !inPart.has(id));
    try {
      const rows = (part && (await currentRows(invocation, part))) ?? [];
      const archived = rows.filter(({ id }) => inPart.has(id));
      for (const task of readable(archived, taskFromRow, skip)) {
        const refused = task.errorCode === "content_policy_violation";
        ends.set(task.id, { ...task, images: chargedImages(task), refused });
      }
    } catch (error) {
      if (!(error instanceof BindingUnavailable)) throw error;
      unread.push(...inPart);
    }
  }
  return unread;
}
