/**
 * Holds and entries of a tenant's object: what was set aside for a task, what became of it, and credits. Both
 * tables number their rows from one sequence, so that together they are the ledger, in order. Each row carries the state as
 * it is afterwards, so that a move of money is one row written, and it is never half there.
 */
import type { CreditType, LedgerLine, LedgerQuery } from "../domain/ledger-lines.ts";
import { spanOf } from "./open-holds.ts";
import type { TenantState } from "./state.ts";

export interface Hold {
  seq: number;
  taskId: string;
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
  task_id: string;
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
}

const holdColumns = `seq, task_id, key_id, token_id, at_ms, date, images, price, balance, held, replay, fingerprint, answered`;

const holdFromRow = (row: HoldRow): Hold & { answered: number } => ({
  seq: row.seq,
  taskId: row.task_id,
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
});

export type FoundHold = ReturnType<typeof holdFromRow>;

/** @param state As it is with the hold. */
export function insertHold(sql: SqlStorage, hold: Hold, state: TenantState): void {
  sql.exec(
    `INSERT INTO holds (seq, task_id, key_id, token_id, at_ms, date, images, price, balance, held, replay, fingerprint, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    hold.seq,
    hold.taskId,
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
    JSON.stringify(state),
  );
}

export function findHold(sql: SqlStorage, seq: number): FoundHold | undefined {
  const [row] = sql.exec<HoldRow>(`SELECT ${holdColumns} FROM holds WHERE seq = ?`, seq).toArray();
  return row && holdFromRow(row);
}

/** Has nothing found by a hold any more. */
export function deleteReplay(sql: SqlStorage, seq: number): void {
  sql.exec("UPDATE holds SET replay = NULL, fingerprint = NULL WHERE seq = ?", seq);
}

/** Holds that have not ended, in order, of a range of numbers. */
export function openHolds(
  sql: SqlStorage,
  state: TenantState,
  afterSeq: number,
  upToSeq: number,
): FoundHold[] {
  return spanOf(state.open, afterSeq, upToSeq).flatMap(([first, last]) =>
    sql
      .exec<HoldRow>(`SELECT ${holdColumns} FROM holds WHERE seq BETWEEN ? AND ? ORDER BY seq`, first, last)
      .toArray()
      .map(holdFromRow),
  );
}

/** Holds whose end no entry tells of, in order: the same ones, whatever the state says. Reads the whole ledger. */
export function holdsWithoutEnd(sql: SqlStorage): FoundHold[] {
  return sql
    .exec<HoldRow>(
      `SELECT ${holdColumns} FROM holds
       WHERE task_id NOT IN (SELECT task_id FROM entries WHERE type = 'settle') ORDER BY seq`,
    )
    .toArray()
    .map(holdFromRow);
}

/** Holds found by `replay`, made after `sinceMs`, newest first. */
export function findReplays(sql: SqlStorage, replay: string, sinceMs: number): FoundHold[] {
  return sql
    .exec<HoldRow>(
      `SELECT ${holdColumns} FROM holds WHERE replay = ? AND at_ms > ? ORDER BY seq DESC`,
      replay,
      sinceMs,
    )
    .toArray()
    .map(holdFromRow);
}

/** Workers' clocks differ by less: so much older than a hold's own time may be what stands before it. */
const clocksDifferMs = 60_000;
/** Holds that are looked through one by one, rather than halved again. */
const fewHolds = 200;

/** Holds without an idempotency key, of a body that was sent with a key, made after `sinceMs`, newest first. */
export function findRepeatedBodies(
  sql: SqlStorage,
  keyId: string,
  fingerprint: string,
  sinceMs: number,
): FoundHold[] {
  return sql
    .exec<HoldRow>(
      `SELECT ${holdColumns} FROM holds
       WHERE seq > ? AND replay IS NULL AND fingerprint = ? AND key_id = ? AND at_ms > ? ORDER BY seq DESC`,
      lastBefore(sql, sinceMs - clocksDifferMs),
      fingerprint,
      keyId,
      sinceMs,
    )
    .toArray()
    .map(holdFromRow);
}

/** A number up to which holds are older: found by halves, since they were numbered as they came. */
function lastBefore(sql: SqlStorage, ms: number): number {
  let older = 0;
  let younger = Number(sql.exec("SELECT coalesce(max(seq), 0) AS seq FROM holds").one().seq);
  while (younger - older > fewHolds) {
    const middle = Math.floor((older + younger) / 2);
    const [row] = sql
      .exec<{ at_ms: number }>("SELECT at_ms FROM holds WHERE seq <= ? ORDER BY seq DESC LIMIT 1", middle)
      .toArray();
    if (row && row.at_ms > ms) younger = middle;
    else older = middle;
  }
  return older;
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
  taskId: string | null;
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
  task_id: string | null;
  amount: number;
  released: number;
  reference: string | null;
  note: string | null;
  balance: number;
  held: number;
}

const entryColumns = "seq, at_ms, type, task_id, amount, released, reference, note, balance, held";

const entryFromRow = ({ at_ms: atMs, task_id: taskId, ...row }: EntryRow): Entry => ({
  ...row,
  taskId,
  atMs,
});

/** @param state As it is with the entry. */
export function insertEntry(sql: SqlStorage, entry: Entry, state: TenantState): void {
  sql.exec(
    `INSERT INTO entries (${entryColumns}, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    entry.seq,
    entry.atMs,
    entry.type,
    entry.taskId,
    entry.amount,
    entry.released,
    entry.reference,
    entry.note,
    entry.balance,
    entry.held,
    JSON.stringify(state),
  );
}

export function findCredit(sql: SqlStorage, reference: string): Entry | undefined {
  const [row] = sql
    .exec<EntryRow>(`SELECT ${entryColumns} FROM entries WHERE reference = ?`, reference)
    .toArray();
  return row && entryFromRow(row);
}

/**
 * Reads the ledger, newest first. A row may be two lines (a charge and a release), which are never torn apart:
 * up to twice `limit` lines.
 */
export function readLedger(sql: SqlStorage, query: LedgerQuery): LedgerLine[] {
  const bounds = [query.beforeSeq, query.fromMs, query.toMs, query.taskId, query.limit] as const;
  const where =
    "seq < ?1 AND at_ms >= ?2 AND at_ms < ?3 AND (?4 IS NULL OR task_id = ?4) ORDER BY seq DESC LIMIT ?5";
  const holds = sql
    .exec<HoldRow>(`SELECT ${holdColumns} FROM holds WHERE ${where}`, ...bounds)
    .toArray()
    .map(holdFromRow);
  const entries = sql
    .exec<EntryRow>(`SELECT ${entryColumns} FROM entries WHERE ${where}`, ...bounds)
    .toArray()
    .map(entryFromRow);
  const rows = [...holds.map(holdLines), ...entries.map(entryLines)];
  return rows
    .toSorted(([a], [b]) => (b?.seq ?? 0) - (a?.seq ?? 0))
    .slice(0, query.limit)
    .flat();
}

function holdLines({ seq, atMs, taskId, images, price, balance, held }: Hold): LedgerLine[] {
  return [
    { seq, atMs, type: "hold", amount: images * price, taskId, reference: null, note: null, balance, held },
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
