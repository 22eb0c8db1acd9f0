/** The rows of admitted tasks, as the tenant's object writes them to D1: those of many requests in a few statements. */

import {
  insertTasks,
  markSubmitted,
  type NewTask,
  type Submitted,
  type Written,
  writtenTasks,
} from "../d1/tasks/tasks.ts";
import { insertBalanceLow } from "../d1/webhooks/deliveries.ts";
import type { AdmitDecision, AdmitRequest, BalanceLow } from "./decide.ts";

/** What is written of an admitted task, beside what the request and the decision say of it. */
export interface RowWanted {
  task: Omit<NewTask, "id" | "model" | "priceCredits" | "holdNumber">;
  /** The id of the delivery of `balance.low`, should there be one. */
  lowId: string;
}

/** What D1 did for one request. */
export interface D1Spent {
  rowsRead: number;
  rowsWritten: number;
  ms: number;
}

export type BeginDecision =
  | Exclude<AdmitDecision, { kind: "admitted" }>
  /** It was admitted, and its row is perhaps not there: the hold is the alarm's to see to. */
  | { kind: "unwritten" }
  /** `written`: null when the task was given up meanwhile. */
  | (AdmitDecision & { kind: "admitted"; written: Written | null; cost: D1Spent });

/** What one request has to write. */
export type Change =
  /** A new task, and what its admission writes beside it. */
  { kind: "begin"; task: NewTask; low: Low | null } | { kind: "submitted"; task: Submitted & { id: string } };

type Low = Parameters<typeof insertBalanceLow>[1] & { atMs: number };

/** What came of a change. */
export interface Changed {
  /** The task's row afterwards; undefined when the change came too late to make one. */
  row: Written | undefined;
  cost: D1Spent;
}

/** What makes an admitted task durable. */
export function beginChange(
  { taskId: id, model, nowMs }: AdmitRequest,
  { holdNumber, price, balanceLow }: AdmitDecision & { kind: "admitted" },
  { task, lowId }: RowWanted,
): Change {
  const { tenantId } = task;
  const low = balanceLow && {
    id: lowId,
    tenantId,
    taskId: id,
    data: lowBalanceData(balanceLow),
    atMs: nowMs,
  };
  return { kind: "begin", task: { ...task, id, model, priceCredits: price, holdNumber }, low };
}

function lowBalanceData({ balance, held, available, lowBalance }: BalanceLow) {
  return { object: "balance", balance, held, available, low_balance: lowBalance };
}

/** Makes changes in one transaction, and returns the outcome of each, in order. @throws when D1 is unavailable. */
export async function commitChanges(db: D1Database, changes: Change[]): Promise<Changed[]> {
  const begun = changes.filter((change) => change.kind === "begin");
  const submitted = changes.filter((change) => change.kind === "submitted").map(({ task }) => task);
  const results = await db.batch([
    ...partsOf(begun.map(({ task }) => task)).map((tasks) => insertTasks(db, tasks)),
    ...(submitted.length > 0 ? [markSubmitted(db, submitted)] : []),
    ...begun.flatMap(({ low }) => (low ? [insertBalanceLow(db, low, low.atMs)] : [])),
  ]);
  const rows = new Map(results.flatMap(writtenTasks).map((row) => [row.id, row]));
  const cost = shareOf(results, changes.length);
  return changes.map((change) => {
    const { id } = change.task;
    const row = rows.get(id);
    // Two may say the same of one task at a time: one of them was first.
    rows.delete(id);
    return { row, cost };
  });
}

/** Of text in one statement: D1 takes 2 MB, and a character has up to three bytes. */
const mostCharacters = 600_000;

/** All of them at once, or in as many parts as large requests need. */
function partsOf(tasks: NewTask[]): NewTask[][] {
  const parts: NewTask[][] = [];
  let room = 0;
  for (const task of tasks) {
    const characters = JSON.stringify(task).length;
    if (characters > room) {
      parts.push([]);
      room = mostCharacters;
    }
    parts.at(-1)?.push(task);
    room -= characters;
  }
  return parts;
}

/** The share of D1's rows and time that each request of a call has in its log line. */
function shareOf(results: D1Result[], count: number): D1Spent {
  const cost = { rowsRead: 0, rowsWritten: 0, ms: 0 };
  for (const { meta } of results) {
    cost.rowsRead += meta.rows_read;
    cost.rowsWritten += meta.rows_written;
    cost.ms += meta.duration;
  }
  return {
    rowsRead: Math.round(cost.rowsRead / count),
    rowsWritten: Math.round(cost.rowsWritten / count),
    ms: cost.ms,
  };
}
