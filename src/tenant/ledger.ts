/**
 * The entries of a tenant's ledger, and their codec. Open tasks and entries are numbered from one sequence. An entry is a
 * credit, or the end of a task: what was held, at its own number and time, and what was charged and released. So a settled
 * task is one row, and its three lines come at two places of the ledger (`read-ledger.ts`). Entries are in two tables, the
 * younger `entries` and `older_entries`, which are read as `ledger_entries`; what is older still is in R2 (`closing.ts`).
 */
import { type CreditType, creditTypes } from "../domain/ledger-lines.ts";
import { type Columns, oneOf, orNull, rowCodec, text, whole } from "../domain/stored.ts";
import { closedSeq } from "./ledger-parts.ts";
import type { OpenTask } from "./open-tasks.ts";
import { stateText, type TenantState } from "./tenant-state.ts";

export const settleType = "settle";

export const entryTables = ["entries", "older_entries"] as const;

interface EntryBase {
  seq: number;
  atMs: number;
  note: string | null;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
}

export interface CreditEntry extends EntryBase {
  type: CreditType;
  amount: number;
  reference: string;
}

/** The hold that a task's end has settled, as its lines and replays need it. */
export type SettledHold = Pick<
  OpenTask,
  | "seq"
  | "taskId"
  | "keyId"
  | "atMs"
  | "images"
  | "price"
  | "balance"
  | "held"
  | "replay"
  | "fingerprint"
  | "answered"
>;

export interface Settlement extends EntryBase {
  hold: SettledHold;
  charged: number;
  released: number;
}

const base = {
  seq: ["seq", whole],
  atMs: ["at_ms", whole],
  note: ["note", orNull(text)],
  balance: ["balance", whole],
  held: ["held", whole],
} as const satisfies Columns<EntryBase>;

export const creditEntry = rowCodec<CreditEntry>(
  "entries",
  { ...base, type: ["type", oneOf(creditTypes)], amount: ["amount", whole], reference: ["reference", text] },
  "seq",
);

export const settlement = rowCodec<Omit<Settlement, "hold">>(
  "entries",
  { ...base, charged: ["amount", whole], released: ["released", whole] },
  "seq",
);

export const settledHold = rowCodec<SettledHold>(
  "entries",
  {
    seq: ["hold_seq", whole],
    taskId: ["task_id", text],
    keyId: ["key_id", text],
    atMs: ["hold_at_ms", whole],
    images: ["images", whole],
    price: ["price", whole],
    balance: ["hold_balance", whole],
    held: ["hold_held", whole],
    replay: ["replay", orNull(text)],
    fingerprint: ["fingerprint", orNull(text)],
    answered: ["answered", whole],
  },
  "hold_seq",
);

/** @param state As it is with the entry. */
export function insertCredit(sql: SqlStorage, entry: CreditEntry, state: TenantState): void {
  const { seq, type, atMs, amount, reference, note, balance, held } = entry;
  sql.exec(
    `INSERT INTO entries (seq, type, at_ms, amount, reference, note, balance, held, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[seq, type, atMs, amount, reference, note, balance, held, stateText(state)],
  );
}

/** @param oldest The number of the oldest task that is still open, or the entry's own. */
export function insertSettlement(
  sql: SqlStorage,
  { seq, atMs, note, balance, held, hold, charged, released }: Settlement,
  state: TenantState,
  oldest: number,
): void {
  sql.exec(
    `INSERT INTO entries (seq, type, at_ms, amount, released, note, balance, held, oldest_open, state, ${settledHold.columns})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[seq, settleType, atMs, charged, released, note, balance, held, oldest, stateText(state)],
    ...[hold.seq, hold.taskId, hold.keyId, hold.atMs, hold.images, hold.price, hold.balance, hold.held],
    ...[hold.replay, hold.fingerprint, hold.answered],
  );
}

export function findCredit(sql: SqlStorage, reference: string): CreditEntry | undefined {
  const [row] = sql
    .exec(
      `SELECT ${creditEntry.columns} FROM ledger_entries WHERE reference = ?1
       UNION ALL SELECT ${creditEntry.columns} FROM closed_credits WHERE reference = ?1`,
      reference,
    )
    .toArray();
  return row && creditEntry.read(row);
}

/** Reads settled holds. @param rest What follows `FROM ledger_entries`. @throws StoredDataUnreadable */
export function selectSettledHolds(
  sql: SqlStorage,
  rest: string,
  ...values: SqlStorageValue[]
): SettledHold[] {
  return sql
    .exec(`SELECT ${settledHold.columns} FROM ledger_entries ${rest}`, ...values)
    .toArray()
    .map(settledHold.read);
}

/**
 * Whether an entry ends the hold of a task, of which none is open. It was written after the hold, mostly soon. Of a number
 * that is closed all holds but the open ones have ended.
 */
export function hasSettled(sql: SqlStorage, holdSeq: number, taskId: string): boolean {
  if (holdSeq <= closedSeq(sql)) return true;
  const found = sql.exec(
    "SELECT 1 FROM ledger_entries WHERE seq > ?1 AND hold_seq = ?1 AND task_id = ?2 LIMIT 1",
    holdSeq,
    taskId,
  );
  return found.toArray().length > 0;
}

/** Entries before a number, newest first: of the end of a task, which, and what was charged. */
export function entriesBefore(sql: SqlStorage, beforeSeq: number, limit: number) {
  return sql
    .exec<{ seq: number; taskId: string | null; credits: number; atMs: number }>(
      `SELECT seq, task_id AS taskId, amount AS credits, at_ms AS atMs FROM ledger_entries
       WHERE seq < ? ORDER BY seq DESC LIMIT ?`,
      beforeSeq,
      limit,
    )
    .toArray();
}

/** Entries after a number, in order, each with the hold that it has ended. */
export function settledAfter(sql: SqlStorage, afterSeq: number, limit: number) {
  return sql
    .exec<{ seq: number; hold: number; taskId: string }>(
      "SELECT seq, hold_seq AS hold, task_id AS taskId FROM ledger_entries WHERE seq > ? ORDER BY seq LIMIT ?",
      afterSeq,
      limit,
    )
    .toArray();
}

/** Entries that are compared one by one, rather than halved again. */
const fewEntries = 200;

/**
 * Where a time is in the ledger, found by halves, since entries are numbered as they come.
 * @returns numbers: up to `older` entries are older, from `younger` on none is.
 */
export function numbersAt(sql: SqlStorage, ms: number): { older: number; younger: number } {
  const newest = newestEntry(sql);
  let older = closedSeq(sql);
  let younger = newest + 1;
  while (younger - older > fewEntries) {
    const middle = Math.floor((older + younger) / 2);
    const [row] = sql
      // What it is ordered by is selected: else SQLite sorts all of a view's rows.
      .exec<Record<"seq" | "at_ms", number>>(
        "SELECT seq, at_ms FROM ledger_entries WHERE seq <= ? ORDER BY seq DESC LIMIT 1",
        middle,
      )
      .toArray();
    if (row && row.at_ms > ms) younger = middle;
    else older = middle;
  }
  // Open tasks may have higher numbers than the newest entry.
  return { older, younger: younger > newest ? Number.MAX_SAFE_INTEGER : younger };
}

function newestEntry(sql: SqlStorage): number {
  const [row] = sql
    .exec<{ seq: number }>("SELECT seq FROM ledger_entries ORDER BY seq DESC LIMIT 1")
    .toArray();
  return row?.seq ?? 0;
}
