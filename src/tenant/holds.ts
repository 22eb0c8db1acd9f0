/**
 * The holds of a tenant's object, one an admission, and the codec of `holds`. A hold is half of the ledger and what a replay
 * is found by; it is never deleted.
 */
import { orNull, readable, rowCodec, type SkipUnreadable, text, whole } from "../domain/stored.ts";
import { spanOf } from "./open-holds.ts";
import { stateText, type TenantState } from "./tenant-state.ts";

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
  /** What a replay is found by, and what it must be equal to. */
  replay: string | null;
  fingerprint: string | null;
}

export interface FoundHold extends Hold {
  /** Which retry was last answered with its task. */
  answered: number;
}

const hold = rowCodec<FoundHold>(
  "holds",
  {
    seq: ["seq", whole],
    taskId: ["task_id", text],
    keyId: ["key_id", text],
    tokenId: ["token_id", orNull(text)],
    atMs: ["at_ms", whole],
    date: ["date", text],
    images: ["images", whole],
    price: ["price", whole],
    balance: ["balance", whole],
    held: ["held", whole],
    replay: ["replay", orNull(text)],
    fingerprint: ["fingerprint", orNull(text)],
    answered: ["answered", whole],
  },
  "seq",
);

/** Reads holds. @param rest What follows `FROM holds`. @throws StoredDataUnreadable */
export function selectHolds(sql: SqlStorage, rest: string, ...values: SqlStorageValue[]): FoundHold[] {
  return selectReadable(sql, undefined, rest, ...values);
}

function selectReadable(
  sql: SqlStorage,
  skip: SkipUnreadable | undefined,
  rest: string,
  ...values: SqlStorageValue[]
): FoundHold[] {
  const rows = sql.exec(`SELECT ${hold.columns} FROM holds ${rest}`, ...values).toArray();
  return readable(rows, hold.read, skip);
}

/** @param state As it is with the hold. */
export function insertHold(sql: SqlStorage, held: Hold, state: TenantState): void {
  sql.exec(
    `INSERT INTO holds (seq, task_id, key_id, token_id, at_ms, date, images, price, balance, held, replay, fingerprint, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    held.seq,
    held.taskId,
    held.keyId,
    held.tokenId,
    held.atMs,
    held.date,
    held.images,
    held.price,
    held.balance,
    held.held,
    held.replay,
    held.fingerprint,
    stateText(state),
  );
}

export function findHold(sql: SqlStorage, seq: number): FoundHold | undefined {
  return selectHolds(sql, "WHERE seq = ?", seq)[0];
}

/** From now on no replay finds the hold. */
export function deleteReplay(sql: SqlStorage, seq: number): void {
  sql.exec("UPDATE holds SET replay = NULL, fingerprint = NULL WHERE seq = ?", seq);
}

/** Holds that have not ended, in order, of a range of numbers; without those that cannot be read. */
export function openHolds(
  sql: SqlStorage,
  state: TenantState,
  afterSeq: number,
  upToSeq: number,
): FoundHold[] {
  return spanOf(state.open, afterSeq, upToSeq).flatMap(([first, last]) =>
    selectReadable(sql, () => undefined, "WHERE seq BETWEEN ? AND ? ORDER BY seq", first, last),
  );
}

/** Holds without an entry of their end, in order, independent of what the state says. Reads the whole ledger. */
export function holdsWithoutEnd(sql: SqlStorage, skip: SkipUnreadable): FoundHold[] {
  return selectReadable(
    sql,
    skip,
    "WHERE task_id NOT IN (SELECT task_id FROM entries WHERE type = 'settle') ORDER BY seq",
  );
}

/** Holds found by `replay`, made after `sinceMs`, newest first. */
export function findReplays(sql: SqlStorage, replay: string, sinceMs: number): FoundHold[] {
  return selectHolds(sql, "WHERE replay = ? AND at_ms > ? ORDER BY seq DESC", replay, sinceMs);
}

/** Workers' clocks differ by less: so much older than a hold's own time may be what stands before it. */
const clocksDifferMs = 60_000;
/** Holds that are compared one by one, rather than halved again. */
const fewHolds = 200;

/** Holds without an idempotency key, of a body that was sent with a key, made after `sinceMs`, newest first. */
export function findRetriedBodies(
  sql: SqlStorage,
  keyId: string,
  fingerprint: string,
  sinceMs: number,
): FoundHold[] {
  return selectHolds(
    sql,
    "WHERE seq > ? AND replay IS NULL AND fingerprint = ? AND key_id = ? AND at_ms > ? ORDER BY seq DESC",
    lastBefore(sql, sinceMs - clocksDifferMs),
    fingerprint,
    keyId,
    sinceMs,
  );
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

/** Notes which retry was last answered with this hold's task. */
export function markAnswered(sql: SqlStorage, seq: number, retry: number): void {
  sql.exec("UPDATE holds SET answered = ? WHERE seq = ?", retry, seq);
}
