/**
 * Holds and entries of a tenant's object: what was set aside for a task, what became of it, and credits. Both
 * tables number their rows from one sequence, so that together they are the ledger, in order.
 */
import type { CreditType, LedgerLine, LedgerQuery } from "../domain/ledger.ts";

export interface Hold {
  seq: number;
  task: string;
  keyId: string;
  tokenId: string | null;
  atMs: number;
  /** The UTC day that its images are counted on. */
  date: string;
  images: number;
  /** Credits per image, as of the admission. */
  price: number;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
  /** What a repeated request is found by, and what it must be equal to. */
  replay: string | null;
  fingerprint: string | null;
}

interface HoldRow {
  [column: string]: SqlStorageValue;
  seq: number;
  task: string;
  key_id: string;
  token_id: string | null;
  at_ms: number;
  date: string;
  images: number;
  price: number;
  balance: number;
  held: number;
  replay: string | null;
  fingerprint: string | null;
  answered: number;
  settled: number;
}

const holdFromRow = (row: HoldRow): Hold & { settled: boolean; answered: number } => ({
  seq: row.seq,
  task: row.task,
  keyId: row.key_id,
  tokenId: row.token_id,
  atMs: row.at_ms,
  date: row.date,
  images: row.images,
  price: row.price,
  balance: row.balance,
  held: row.held,
  replay: row.replay,
  fingerprint: row.fingerprint,
  answered: row.answered,
  settled: row.settled === 1,
});

export type FoundHold = ReturnType<typeof holdFromRow>;

export function insertHold(sql: SqlStorage, hold: Hold): void {
  sql.exec(
    `INSERT INTO holds (seq, task, key_id, token_id, at_ms, date, images, price, balance, held, replay, fingerprint)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    hold.seq,
    hold.task,
    hold.keyId,
    hold.tokenId,
    hold.atMs,
    hold.date,
    hold.images,
    hold.price,
    hold.balance,
    hold.held,
    hold.replay,
    hold.fingerprint,
  );
}

export function findHold(sql: SqlStorage, seq: number): FoundHold | undefined {
  const [row] = sql.exec<HoldRow>("SELECT * FROM holds WHERE seq = ?", seq).toArray();
  return row && holdFromRow(row);
}

/** Marks a hold as ended; false when it was already. `forget`: nothing is to be found by it any more. */
export function closeHold(sql: SqlStorage, seq: number, forget: boolean): boolean {
  const { rowsWritten } = sql.exec(
    `UPDATE holds SET settled = 1${forget ? ", replay = NULL" : ""} WHERE seq = ? AND settled = 0`,
    seq,
  );
  return rowsWritten > 0;
}

/** Holds that have not ended, in order, of a range of numbers. */
export function openHolds(sql: SqlStorage, afterSeq: number, upToSeq: number): FoundHold[] {
  return sql
    .exec<HoldRow>(
      "SELECT * FROM holds WHERE seq > ? AND seq <= ? AND settled = 0 ORDER BY seq",
      afterSeq,
      upToSeq,
    )
    .toArray()
    .map(holdFromRow);
}

/** Holds found by `replay`, made after `sinceMs`, newest first. */
export function findReplays(sql: SqlStorage, replay: string, sinceMs: number): FoundHold[] {
  return sql
    .exec<HoldRow>("SELECT * FROM holds WHERE replay = ? AND at_ms > ? ORDER BY seq DESC", replay, sinceMs)
    .toArray()
    .map(holdFromRow);
}

/** Notes which try of a client's was last answered with this hold's task. */
export function markAnswered(sql: SqlStorage, seq: number, tries: number): void {
  sql.exec("UPDATE holds SET answered = ? WHERE seq = ?", tries, seq);
}

/** A row of `entries`. `settle`: `amount` was charged and `released` was not. */
export interface Entry {
  seq: number;
  atMs: number;
  type: CreditType | "settle";
  task: string | null;
  amount: number;
  released: number;
  reference: string | null;
  note: string | null;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
}

interface EntryRow {
  [column: string]: SqlStorageValue;
  seq: number;
  at_ms: number;
  type: Entry["type"];
  task: string | null;
  amount: number;
  released: number;
  reference: string | null;
  note: string | null;
  balance: number;
  held: number;
}

const entryFromRow = ({ at_ms: atMs, ...row }: EntryRow): Entry => ({ ...row, atMs });

export function insertEntry(sql: SqlStorage, entry: Entry): void {
  sql.exec(
    `INSERT INTO entries (seq, at_ms, type, task, amount, released, reference, note, balance, held)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    entry.seq,
    entry.atMs,
    entry.type,
    entry.task,
    entry.amount,
    entry.released,
    entry.reference,
    entry.note,
    entry.balance,
    entry.held,
  );
}

export function findCredit(sql: SqlStorage, reference: string): Entry | undefined {
  const [row] = sql.exec<EntryRow>("SELECT * FROM entries WHERE reference = ?", reference).toArray();
  return row && entryFromRow(row);
}

/**
 * Reads the ledger, newest first. A row may be two lines (a charge and a release), which are never torn apart:
 * up to twice `limit` lines.
 */
export function readLedger(sql: SqlStorage, query: LedgerQuery): LedgerLine[] {
  const bounds = [query.beforeSeq, query.fromMs, query.toMs, query.task, query.limit] as const;
  const where =
    "seq < ?1 AND at_ms >= ?2 AND at_ms < ?3 AND (?4 IS NULL OR task = ?4) ORDER BY seq DESC LIMIT ?5";
  const holds = sql
    .exec<HoldRow>(`SELECT * FROM holds WHERE ${where}`, ...bounds)
    .toArray()
    .map(holdFromRow);
  const entries = sql
    .exec<EntryRow>(`SELECT * FROM entries WHERE ${where}`, ...bounds)
    .toArray()
    .map(entryFromRow);
  const rows = [...holds.map(holdLines), ...entries.map(entryLines)];
  return rows
    .toSorted(([a], [b]) => (b?.seq ?? 0) - (a?.seq ?? 0))
    .slice(0, query.limit)
    .flat();
}

function holdLines({ seq, atMs, task, images, price, balance, held }: Hold): LedgerLine[] {
  return [
    { seq, atMs, type: "hold", amount: images * price, task, reference: null, note: null, balance, held },
  ];
}

function entryLines(entry: Entry): LedgerLine[] {
  const { type, released, ...line } = entry;
  if (type !== "settle") return [{ ...line, type }];
  const release: LedgerLine = { ...line, type: "release", amount: released };
  const charge: LedgerLine = { ...line, type: "charge", held: entry.held + released };
  // Newest first: what was charged was charged before the rest was released.
  return [...(released > 0 || entry.amount === 0 ? [release] : []), ...(entry.amount > 0 ? [charge] : [])];
}
