/**
 * Entries of a tenant's object, the codec of `entries`, and the ledger. Holds and entries number their rows from one sequence,
 * so that together they are the ledger, in order. Each row carries the state as it is afterwards, so that a move of money is
 * one row written, and it is never half there.
 */
import { priceOf } from "../domain/account.ts";
import { type CreditType, creditTypes, type LedgerLine, type LedgerQuery } from "../domain/ledger-lines.ts";
import { oneOf, orNull, rowCodec, text, whole } from "../domain/stored.ts";
import { type Hold, selectHolds } from "./holds.ts";
import { stateText, type TenantState } from "./tenant-state.ts";

const settleType = "settle";

/** A row of `entries`. `settle`: `amount` was charged and `released` was not. */
export interface Entry {
  seq: number;
  atMs: number;
  type: CreditType | typeof settleType;
  taskId: string | null;
  amount: number;
  released: number;
  reference: string | null;
  note: string | null;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
}

const entry = rowCodec<Entry>(
  "entries",
  {
    seq: ["seq", whole],
    atMs: ["at_ms", whole],
    type: ["type", oneOf([...creditTypes, settleType])],
    taskId: ["task_id", orNull(text)],
    amount: ["amount", whole],
    released: ["released", whole],
    reference: ["reference", orNull(text)],
    note: ["note", orNull(text)],
    balance: ["balance", whole],
    held: ["held", whole],
  },
  "seq",
);

/** Reads entries. @param rest What follows `FROM entries`. @throws StoredDataUnreadable */
function selectEntries(sql: SqlStorage, rest: string, ...values: SqlStorageValue[]): Entry[] {
  return sql
    .exec(`SELECT ${entry.columns} FROM entries ${rest}`, ...values)
    .toArray()
    .map(entry.read);
}

/** @param state As it is with the entry. */
export function insertEntry(sql: SqlStorage, line: Entry, state: TenantState): void {
  sql.exec(
    `INSERT INTO entries (${entry.columns}, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    line.seq,
    line.atMs,
    line.type,
    line.taskId,
    line.amount,
    line.released,
    line.reference,
    line.note,
    line.balance,
    line.held,
    stateText(state),
  );
}

export function findCredit(sql: SqlStorage, reference: string): Entry | undefined {
  return selectEntries(sql, "WHERE reference = ?", reference)[0];
}

/**
 * Reads the ledger, newest first. A row may be two lines (a charge and a release), which are never torn apart:
 * up to twice `limit` lines.
 */
export function readLedger(sql: SqlStorage, query: LedgerQuery): LedgerLine[] {
  const bounds = [query.beforeSeq, query.fromMs, query.toMs, query.taskId, query.limit] as const;
  const where =
    "WHERE seq < ?1 AND at_ms >= ?2 AND at_ms < ?3 AND (?4 IS NULL OR task_id = ?4) ORDER BY seq DESC LIMIT ?5";
  const holds = selectHolds(sql, where, ...bounds).map(holdLines);
  const rows = [...holds, ...selectEntries(sql, where, ...bounds).map(entryLines)];
  return rows
    .toSorted(([a], [b]) => (b?.seq ?? 0) - (a?.seq ?? 0))
    .slice(0, query.limit)
    .flat();
}

function holdLines({ seq, atMs, taskId, images, price, balance, held }: Hold): LedgerLine[] {
  const amount = priceOf({ images, price });
  return [{ seq, atMs, type: "hold", amount, taskId, reference: null, note: null, balance, held }];
}

function entryLines({ type, released, ...line }: Entry): LedgerLine[] {
  if (type !== settleType) return [{ ...line, type }];
  const release: LedgerLine = { ...line, type: "release", amount: released };
  const charge: LedgerLine = { ...line, type: "charge", held: line.held + released };
  // Newest first: what was charged was charged before the rest was released.
  return [...(released > 0 || line.amount === 0 ? [release] : []), ...(line.amount > 0 ? [charge] : [])];
}
