/**
 * What a store has lost that was restored to an earlier time, as far as the other one remembers: ended tasks that D1 lacks,
 * or that ended there once more, otherwise, and those whose end the tenant's object does not know. Neither can be mended, and both are named until the operator has
 * given credits, or taken them, by the task's id. All entries that the object has are compared, and as many tasks of D1, slice
 * by slice from the newest on.
 */
import { lostOf } from "../../d1/archive/task-parts.ts";
import { chargesOf, tasksBefore } from "../../d1/tasks/reconciled-tasks.ts";
import { behindAllTasks } from "../../domain/ids.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Discrepancy } from "./discrepancy.ts";

/** Entries, and tasks, of a slice. */
const sliceSize = 500;
/** As many that are named are as much as a slice. */
const namedAsSlice = 10;

/** What one call or tick does at the most. */
export interface CompareRoom {
  slices: number;
}

export interface Checked {
  found: Discrepancy[];
  /** Where comparing goes on: `<number of an entry>:<id of a task>`; null: all is compared. */
  rest: string | null;
}

/** @param from The `rest` of the call before; empty: from the newest on. */
export async function checkLost(
  invocation: Invocation,
  tenant: string,
  beforeMs: number,
  room: CompareRoom,
  from = "",
): Promise<Checked> {
  const { db } = invocation;
  const found: Discrepancy[] = [];
  let [seq, id] = (from || `${Number.MAX_SAFE_INTEGER}:${behindAllTasks}`).split(":");
  while (room.slices > 0) {
    const tasks = await tasksBefore(db, tenant, id ?? "", sliceSize);
    const ended = tasks.flatMap(({ id, holdNumber, finishedMs }) =>
      holdNumber !== null && finishedMs !== null && finishedMs < beforeMs ? [{ id, holdNumber }] : [],
    );
    const ends = { ended, beforeSeq: Number(seq), beforeMs, limit: sliceSize };
    const { charged, nextSeq, unknown, closedSeq } = await invocation.tenant(tenant).compareEnds(ends);
    const ids = charged.map(({ taskId }) => taskId);
    const lost = await lostOf(db, tenant, ids);
    const charges = await chargesOf(db, tenant, ids);
    for (const { taskId, credits } of charged) {
      const said = lost.has(taskId) ? undefined : (charges.get(taskId) ?? credits);
      if (said === credits) continue;
      const now = said === undefined ? "has lost it" : `has it with ${said}`;
      const text = `was charged ${credits} credits, and the database ${now}`;
      found.push({ kind: "task", tenant, subject: taskId, text });
    }
    const text = "has ended, and its object has lost what was held for it: it was not charged";
    for (const subject of unknown) found.push({ kind: "hold", tenant, subject, text });
    room.slices -= 1 + (lost.size + unknown.length) / namedAsSlice;
    // Of tasks of closed numbers the object has nothing to compare.
    const goesOn =
      tasks.length === sliceSize && tasks.some(({ holdNumber }) => (holdNumber ?? 0) > closedSeq);
    id = goesOn ? (tasks.at(-1)?.id ?? "") : "";
    seq = String(nextSeq);
    if (id === "" && nextSeq === 0) return { found, rest: null };
  }
  return { found, rest: `${seq}:${id}` };
}
