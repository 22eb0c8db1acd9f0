/** Comparing the ends of tasks with D1: one of the two may have been restored to an earlier time. */
import { hasSettled, latestSettled } from "./ledger.ts";

export interface EndedInDatabase {
  id: string;
  holdNumber: number;
}

export interface ComparedEnds {
  /** The latest that this object has settled. */
  settled: { taskId: string; charged: number }[];
  /** Of those that have ended in D1: tasks that this object neither holds anything for nor has settled. */
  unknown: string[];
}

/** @param beforeMs Those that were settled later are left out. @param limit Of those that were settled. */
export function compareEnds(
  sql: SqlStorage,
  ended: EndedInDatabase[],
  beforeMs: number,
  limit: number,
): ComparedEnds {
  // Not read: a hold that cannot be is there all the same.
  const isHeld = ({ id, holdNumber }: EndedInDatabase) =>
    sql.exec("SELECT 1 FROM open_tasks WHERE seq = ? AND task_id = ?", holdNumber, id).toArray().length > 0;
  const isKnown = (task: EndedInDatabase) => hasSettled(sql, task.holdNumber, task.id) || isHeld(task);
  return {
    settled: latestSettled(sql, beforeMs, limit),
    unknown: ended.filter((task) => !isKnown(task)).map(({ id }) => id),
  };
}
