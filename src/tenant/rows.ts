/** The row of an admitted task, as the tenant's object writes it to D1. */
import { insertBalanceLow } from "../store/deliveries.ts";
import { insertTask, type NewTask, type Written } from "../store/tasks.ts";
import type { AdmitDecision, AdmitRequest, BalanceLow } from "./decide.ts";

/** What is written of an admitted task, beside what the request and the decision say of it. */
export interface RowWanted {
  task: Omit<NewTask, "id" | "model" | "priceCredits" | "hold">;
  leaseUntilMs: number;
  /** Of the delivery that tells of a low balance, should there be one. */
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

/** What makes an admitted task durable, and what its admission has to tell, in one transaction. */
export function rowStatements(
  db: D1Database,
  { taskId: id, model, nowMs }: AdmitRequest,
  { hold, price, balanceLow }: AdmitDecision & { kind: "admitted" },
  { task, leaseUntilMs, lowId }: RowWanted,
): D1PreparedStatement[] {
  const insert = insertTask(db, { ...task, id, model, priceCredits: price, hold }, leaseUntilMs);
  if (!balanceLow) return [insert];
  const low = { id: lowId, tenantId: task.tenantId, taskId: id, data: toldOf(balanceLow) };
  return [insert, insertBalanceLow(db, low, nowMs)];
}

function toldOf({ balance, held, available, lowBalance }: BalanceLow) {
  return { object: "balance", balance, held, available, low_balance: lowBalance };
}

/** What D1 did for a request, which the request's own log line tells. */
export function costOf(results: D1Result[]): D1Spent {
  const cost = { rowsRead: 0, rowsWritten: 0, ms: 0 };
  for (const { meta } of results) {
    cost.rowsRead += meta.rows_read;
    cost.rowsWritten += meta.rows_written;
    cost.ms += meta.duration;
  }
  return cost;
}
