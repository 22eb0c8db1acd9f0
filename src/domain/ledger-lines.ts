/** The lines of a tenant's ledger. */

export const creditTypes = ["topup", "refund", "adjustment"] as const;
export type CreditType = (typeof creditTypes)[number];

export const lineTypes = [...creditTypes, "hold", "charge", "release"] as const;

/** Amounts are never negative but in adjustments: the type says which way they go. */
export interface LedgerLine {
  seq: number;
  atMs: number;
  type: (typeof lineTypes)[number];
  amount: number;
  taskId: string | null;
  reference: string | null;
  note: string | null;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
}

/** A row of the ledger is up to two lines; this numbers them all. */
export function lineNumber({ seq, type }: Pick<LedgerLine, "seq" | "type">): number {
  return seq * 2 + (type === "release" ? 1 : 0);
}

/** The form of a ledger's cursor; empty: from the newest line on. */
export const ledgerCursorPattern = /^\d{0,15}$/;

/** The cursor of the lines before a number. */
export function formatLedgerCursor(before: number): string {
  return String(before);
}

/** The number of the line that a cursor's page ends before; null: the page begins at the newest line. */
export function readLedgerCursor(cursor: string): number | null {
  return cursor === "" ? null : Number(cursor);
}

/** The number up to which a page's rows are read: its first row may have one line before the cursor. */
export function rowsBefore(before: number | null): number {
  return before === null ? Number.MAX_SAFE_INTEGER : Math.floor(before / 2) + 1;
}

/** Workers' clocks differ by less: a line so much older than another one's time may stand behind it. */
export const clocksDifferMs = 60_000;

export interface LedgerQuery {
  /** Inclusive, unix milliseconds. */
  fromMs: number;
  /** Exclusive. */
  toMs: number;
  taskId: string | null;
  /** Only lines before this one. */
  beforeSeq: number;
  limit: number;
}

/** A change of a tenant's credits by its operator. */
export interface Credit {
  type: CreditType;
  /** Whole credits; negative only in adjustments. */
  amount: number;
  /** Makes it idempotent: a second one of the same reference changes nothing. */
  reference: string;
  note: string | null;
}
