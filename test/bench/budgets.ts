/** What each operation may cost at the most, held against what it was measured to cost. */
import { type Bill, billOf } from "./bill.ts";
import type { Life } from "./life.ts";

export interface Budget {
  what: string;
  measured: number;
  most: number;
}

/** Dollars of a million tasks. */
export const mostDollars = 17;

/** Every budget, kept or broken. */
export function budgetsOf(life: Life, bill: Bill = billOf(life)): Budget[] {
  const { submit, readRunning, readFinished, image, forged, limited, whole, idleRound, busyRound } = life;
  const stored = (counts: Life["forged"]) =>
    counts.d1Calls + counts.objectCalls + counts.r2Writes + counts.r2Reads;
  return [
    { what: "submit: sequential hops", measured: submit.hops, most: 2 },
    { what: "submit: calls to D1 before the reply", measured: submit.d1CallsBeforeReply, most: 0 },
    { what: "read a running task: sequential hops", measured: readRunning.hops, most: 1 },
    { what: "read a finished task: sequential hops", measured: readFinished.hops, most: 1 },
    { what: "read a finished task: D1 rows written", measured: readFinished.d1RowsWritten, most: 0 },
    { what: "serve a picture: sequential hops", measured: image.hops, most: 1 },
    { what: "serve a picture: calls to R2", measured: image.r2Reads, most: 1 },
    { what: "refuse a forged key: sequential hops", measured: forged.hops, most: 0 },
    { what: "refuse a forged key: calls to storage", measured: stored(forged), most: 0 },
    { what: "refuse by limit: sequential hops", measured: limited.hops, most: 1 },
    {
      what: "refuse by limit: rows written",
      measured: limited.d1RowsWritten + limited.objectRowsWritten,
      most: 0,
    },
    { what: "a task's life: D1 rows written", measured: whole.d1RowsWritten, most: 6 },
    {
      what: "a task's life: rows written by its tenant's object",
      measured: whole.objectRowsWritten,
      most: 3,
    },
    { what: "a task's life: calls to its tenant's object", measured: whole.objectCalls, most: 3 },
    { what: "a task's life: R2 writes for its one picture", measured: whole.r2Writes, most: 1 },
    { what: "an idle round: D1 calls", measured: idleRound.d1Calls, most: 1 },
    { what: "an idle round: D1 rows read", measured: idleRound.d1RowsRead, most: 1 },
    { what: "an idle round: rows written", measured: idleRound.d1RowsWritten, most: 0 },
    { what: "an idle round: log lines", measured: idleRound.logLines, most: 0 },
    {
      what: "a round: D1 rows read for each task due",
      measured: busyRound.d1RowsRead / life.dueTasks,
      most: 3,
    },
    { what: "a million tasks: dollars", measured: bill.dollars, most: mostDollars },
  ];
}

/** The budgets that are broken; none, when all is well. */
export function brokenBudgets(life: Life): Budget[] {
  return budgetsOf(life).filter(({ measured, most }) => !(measured <= most));
}
