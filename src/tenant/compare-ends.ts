/** Comparing the ends of tasks with D1: one of the two may have been restored to an earlier time. */
import { hasSettled, latestCharged } from "./ledger.ts";

export interface EndedInDatabase {
  id: string;
  holdNumber: number;
}

export interface ComparedEnds {
  /** The latest that this object has charged. */
  charged: { taskId: string; credits: number }[];
  /** Of those that have ended in D1: tasks that this object neither holds anything for nor has settled. */
  unknown: string[];
}

/** @param beforeMs Those that were charged later are left out. @param limit Of those that were charged. */
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
    charged: latestCharged(sql, beforeMs, limit),
    unknown: ended.filter((task) => !isKnown(task)).map(({ id }) => id),
  };
}
