/** Comparing the ends of tasks with D1: one of the two may have been restored to an earlier time. */
import { entriesBefore, findCredit, settledAfter } from "./ledger.ts";
import { closedSeq } from "./ledger-parts.ts";

interface EndedInDatabase {
  id: string;
  holdNumber: number;
}

/** Ends that are to be compared: of tasks in D1, and of entries of the ledger, newest first. */
export interface EndsToCompare {
  ended: EndedInDatabase[];
  beforeSeq: number;
  /** What was charged later is left out. */
  beforeMs: number;
  limit: number;
}

export interface ComparedEnds {
  /** What this object has charged, but for what its operator has given back by the task's id. */
  charged: { taskId: string; credits: number }[];
  /** The entries before this number come next; 0: there are none. */
  nextSeq: number;
  /**
   * Of those that have ended in D1: tasks that this object neither holds anything for nor has settled, but for those that its
   * operator has charged by the task's id.
   */
  unknown: string[];
  /** Up to this number nothing is known of the ends of tasks here. */
  closedSeq: number;
}

/** Where cron's comparing goes on, a text of its own. @param next It is there from now on. */
export function comparePlace(kv: SyncKvStorage, next?: string): string {
  if (next !== undefined) kv.put("compared", next);
  return String(kv.get("compared") ?? "");
}

export function compareEnds(
  sql: SqlStorage,
  { ended, beforeSeq, beforeMs, limit }: EndsToCompare,
): ComparedEnds {
  const entries = entriesBefore(sql, beforeSeq, limit);
  const closed = closedSeq(sql);
  // Not read: a hold that cannot be is there all the same.
  const isHeld = ({ id, holdNumber }: EndedInDatabase) =>
    sql.exec("SELECT 1 FROM open_tasks WHERE seq = ? AND task_id = ?", holdNumber, id).toArray().length > 0;
  const unknown = new Map(
    ended
      .filter((task) => task.holdNumber > closed && !isHeld(task))
      .map((task) => [task.id, task.holdNumber]),
  );
  // Those that are known end soon behind the first of them.
  for (let seq = Math.min(...unknown.values()); unknown.size > 0; ) {
    const settled = settledAfter(sql, seq, limit);
    for (const { hold, taskId } of settled) if (unknown.get(taskId) === hold) unknown.delete(taskId);
    if (settled.length < limit) break;
    seq = settled.at(-1)?.seq ?? seq;
  }
  const isMadeUpFor = (taskId: string) => findCredit(sql, taskId) !== undefined;
  return {
    charged: entries.filter(
      ({ credits, taskId, atMs }) =>
        taskId !== null && credits > 0 && atMs < beforeMs && !isMadeUpFor(taskId),
    ) as ComparedEnds["charged"],
    nextSeq: entries.length < limit ? 0 : (entries.at(-1)?.seq ?? 0),
    unknown: [...unknown.keys()].filter((id) => !isMadeUpFor(id)),
    closedSeq: closed,
  };
}
