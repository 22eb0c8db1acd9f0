/**
 * Closing a tenant's ledger: its old lines go to R2, in parts that are a chain, and the object keeps a checkpoint of each.
 * Rows are not deleted one by one, which would cost as much as writing them: there are two tables of entries, and the older
 * one goes as a whole once all its lines are in R2.
 *
 *   1. rotate       `entries` becomes `older_entries`, and a new table is begun
 *   2. plan         a part of `older_entries` gets its bounds and its key
 *   (dies)          the same plan is found again: what is closed changes no more, so that the same bytes go to the same key
 *   3. put, read    the part is in R2, and what is there is read back
 *   (dies)          the same; two that write at a time put the same bytes
 *   4. note         the part is written; 2 again, until all of `older_entries` is
 *   5. close        in the transaction of the last note: the parts are closed, and `older_entries` is dropped
 *
 * Until 5 lines are read of the object, from then on of R2. A line of a hold that is open, or whose end is in `entries`, has
 * its number below as well, and is written with the part: the hold itself stays.
 */

import { base32, randomBytesFor } from "../domain/ids.ts";
import type { LedgerLine } from "../domain/ledger-lines.ts";
import { type LedgerPart, makePart, type PartBefore, readPart } from "../domain/ledger-part.ts";
import { withTimeLimit } from "../domain/time-limit.ts";
import { createEntries, dropView, viewEntries } from "./entry-tables.ts";
import {
  findPlanned,
  insertPlanned,
  markClosed,
  markWritten,
  newestWritten,
  type PlannedPart,
} from "./ledger-parts.ts";
import { readLedger } from "./read-ledger.ts";

const dayMs = 86_400_000;
/** Lines so old go. */
const keptMs = 35 * dayMs;
/** Younger ones go where so many numbers follow, of which a task takes two; */
const keptNumbers = 40_000;
/** but not before no replay is found by them any more. */
const replayableMs = 25 * 3_600_000;

/** Numbers of a part: some megabytes of text. */
const partNumbers = 10_000;
/** Parts that one call writes. */
const partsAtOnce = 20;
const callLimitMs = 10_000;

/** Whether lines of this age go, which so many numbers follow. */
function hasToGo(atMs: number, follow: number, nowMs: number): boolean {
  const ageMs = nowMs - atMs;
  return ageMs >= keptMs || (ageMs >= replayableMs && follow >= keptNumbers);
}

type Entry = Record<"seq" | "atMs", number>;

/** The entry at an end of a table. */
function endOf(
  sql: SqlStorage,
  table: "entries" | "older_entries",
  order: "ASC" | "DESC",
): Entry | undefined {
  const [row] = sql
    .exec<Entry>(`SELECT seq, at_ms AS atMs FROM ${table} ORDER BY seq ${order} LIMIT 1`)
    .toArray();
  return row;
}

/**
 * Begins a new table of entries once the oldest one of the table has to go. The newest entry comes along: it has the
 * tenant's state.
 */
function rotate(sql: SqlStorage, nowMs: number): void {
  const oldest = endOf(sql, "entries", "ASC");
  const newest = endOf(sql, "entries", "DESC");
  if (!oldest || !newest || oldest.seq === newest.seq) return;
  if (endOf(sql, "older_entries", "ASC") || !hasToGo(oldest.atMs, newest.seq - oldest.seq, nowMs)) return;
  dropView(sql);
  sql.exec("DROP TABLE older_entries");
  sql.exec("ALTER TABLE entries RENAME TO older_entries");
  createEntries(sql, "entries", newest.seq);
  sql.exec("INSERT INTO entries SELECT * FROM older_entries WHERE seq = ?", newest.seq);
  sql.exec("DELETE FROM older_entries WHERE seq = ?", newest.seq);
  viewEntries(sql);
}

export interface Plan extends PlannedPart {
  before: PartBefore;
  /** In the order of their numbers. */
  lines: LedgerLine[];
}

/** @param makeKey Where the part goes, by its month. @returns the next part to be written; undefined: none is. */
export function planPart(
  sql: SqlStorage,
  nowMs: number,
  makeKey: (month: string) => string,
): Plan | undefined {
  rotate(sql, nowMs);
  const last = endOf(sql, "older_entries", "DESC");
  if (!last) return undefined;
  const newest = endOf(sql, "entries", "DESC")?.seq ?? last.seq;
  if (!hasToGo(last.atMs, newest - last.seq, nowMs)) return undefined;
  const before = newestWritten(sql);
  const planned = findPlanned(sql) ?? planNext(sql, before, last.seq, makeKey);
  return { ...planned, before, lines: linesBetween(sql, before.upToSeq, planned.upToSeq) };
}

/** A part ends with its month. */
function planNext(
  sql: SqlStorage,
  { number, upToSeq: afterSeq }: PartBefore,
  lastSeq: number,
  makeKey: (month: string) => string,
): PlannedPart {
  const first = sql
    .exec<Entry>("SELECT seq, at_ms AS atMs FROM older_entries WHERE seq > ? ORDER BY seq LIMIT 1", afterSeq)
    .one();
  const begun = new Date(first.atMs);
  const nextMonthMs = Date.UTC(begun.getUTCFullYear(), begun.getUTCMonth() + 1);
  const mostSeq = first.seq + partNumbers - 1;
  const { nextSeq } = sql
    .exec<{ nextSeq: number | null }>(
      `SELECT min(iif(hold_at_ms >= ?3, hold_seq, seq)) AS nextSeq FROM older_entries
       WHERE seq > ?1 AND seq <= ?2 AND at_ms >= ?3`,
      ...[first.seq, mostSeq, nextMonthMs],
    )
    .one();
  const upToSeq = Math.min(lastSeq, mostSeq, Math.max(first.seq, (nextSeq ?? lastSeq + 1) - 1));
  const planned = { number: number + 1, key: makeKey(begun.toISOString().slice(0, 7)), upToSeq };
  insertPlanned(sql, planned);
  return planned;
}

function linesBetween(sql: SqlStorage, afterSeq: number, upToSeq: number): LedgerLine[] {
  const all = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, taskId: null };
  const query = { ...all, beforeSeq: upToSeq + 1, limit: upToSeq - afterSeq };
  return readLedger(sql, query, afterSeq).toReversed();
}

/** Notes that a part is in R2, and drops the older entries once the last one is. */
export function keepPart(sql: SqlStorage, part: LedgerPart): void {
  if (!markWritten(sql, part) || part.upToSeq < (endOf(sql, "older_entries", "DESC")?.seq ?? 0)) return;
  sql.exec(
    `INSERT INTO closed_credits (reference, seq, type, at_ms, amount, note, balance, held)
     SELECT reference, seq, type, at_ms, amount, note, balance, held FROM older_entries WHERE reference IS NOT NULL`,
  );
  dropView(sql);
  sql.exec("DROP TABLE older_entries");
  createEntries(sql, "older_entries", part.upToSeq);
  viewEntries(sql);
  markClosed(sql);
}

interface Parts {
  storage: DurableObjectStorage;
  bucket: R2Bucket;
  /** Of the key, for who lists the bucket; empty where the platform does not say. */
  tenantId: string;
}

/** Where a part goes in R2. It cannot be guessed: a bucket may have a domain. */
function makeKey(tenantId: string, month: string): string {
  const random = crypto.getRandomValues(new Uint8Array(randomBytesFor("file")));
  return `ledger/${tenantId}/${month}/${base32(random)}.ndjson.gz`;
}

/** Closes what is due, some parts at a call. @throws when R2 does not answer, or has something else than was put. */
export async function closeBooks({ storage, bucket, tenantId }: Parts, nowMs: number): Promise<void> {
  for (let written = 0; written < partsAtOnce; written++) {
    const plan = storage.transactionSync(() =>
      planPart(storage.sql, nowMs, (month) => makeKey(tenantId, month)),
    );
    if (!plan) return;
    const { part, bytes } = await makePart(tenantId, plan.before, plan, plan.lines);
    await withTimeLimit(callLimitMs, () => bucket.put(part.key, bytes));
    const stored = await withTimeLimit(callLimitMs, async () => (await bucket.get(part.key))?.arrayBuffer());
    if (!stored) throw new Error(`part ${part.number} of the ledger is not in R2 after it was put there`);
    await readPart(part, stored);
    storage.transactionSync(() => keepPart(storage.sql, part));
  }
}
