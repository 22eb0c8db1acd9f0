/** The lines of a tenant's statement. */

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
