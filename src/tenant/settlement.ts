/** The tenant's account, moved: what is credited, charged and released, each with its entry, in the caller's transaction. */
import { availableOf, balanceOf, chargeOf, credit, priceOf, settle } from "../domain/account.ts";
import { afterTask } from "../domain/admission.ts";
import type { Credit, LedgerLine } from "../domain/ledger-lines.ts";
import { readSettings } from "./config-copy.ts";
import { deleteReplay, findHold } from "./holds.ts";
import { findCredit, insertEntry } from "./ledger.ts";
import { withoutHold } from "./open-holds.ts";
import { readKeyCounters, writeKeyCounters } from "./scopes.ts";
import { readState, type TenantState, writeState } from "./tenant-state.ts";
import { returnTokenImages } from "./token-images.ts";

/** How a task ended, for its hold. */
export interface Settlement {
  /** The number that the admission gave it. */
  holdNumber: number;
  /** Images that were stored; each is charged at the price of the admission. */
  images: number;
  /** The upstream refused the content. */
  refused: boolean;
  /** The caller got a refusal and there is no task: its idempotency key is free again. */
  deleteReplay: boolean;
  /** Why, when it did not go the usual way. */
  note?: string;
  nowMs: number;
}

export type CreditResult =
  | { kind: "done"; line: LedgerLine; isReplay: boolean }
  /** The account would have less than it holds. */
  | { kind: "balance_held"; available: number }
  /** The reference was used for something else. */
  | { kind: "reference_taken" }
  | { kind: "no_tenant" };

/** Puts the credits that the tenant starts with into its account, once. */
export function openAccount(sql: SqlStorage, openingBalance: number, nowMs: number): void {
  const state = readState(sql);
  if (state.opened) return;
  writeState(sql, { ...state, opened: true });
  if (openingBalance > 0) {
    creditAccount(
      sql,
      { type: "topup", amount: openingBalance, reference: "gateway: opening balance", note: null },
      nowMs,
    );
  }
}

/**
 * Ends a hold: charges what was stored, releases the rest, and takes the task out of the counters.
 * @returns false when it was settled before, or there never was one.
 */
export function settleHold(
  sql: SqlStorage,
  { holdNumber: seq, images, refused, deleteReplay: isReplayDeleted, note = null, nowMs }: NotedSettlement,
): boolean {
  const state = readState(sql);
  const open = withoutHold(state.open, seq);
  const hold = open && findHold(sql, seq);
  if (!hold) return false;
  if (isReplayDeleted) deleteReplay(sql, seq);
  const { charged, released, unmade } = chargeOf(hold, images);
  const ended = { date: hold.date, unmade, refused };
  const keyCounters = readKeyCounters(sql, hold.keyId);
  if (keyCounters) writeKeyCounters(sql, hold.keyId, afterTask(keyCounters, ended, nowMs));
  if (hold.tokenId !== null && unmade > 0) returnTokenImages(sql, hold.tokenId, unmade);
  const account = settle(state.account, priceOf(hold), charged);
  const entry = { type: "settle" as const, taskId: hold.taskId, amount: charged, released };
  const after = { ...state, open, account, counters: afterTask(state.counters, ended, nowMs) };
  appendEntry(sql, after, { ...entry, reference: null, note }, nowMs);
  return true;
}

/** Tops up, refunds or adjusts; once per `reference`. */
export function creditAccount(sql: SqlStorage, wanted: Credit, nowMs: number): CreditResult {
  const settings = readSettings(sql);
  if (!settings) return { kind: "no_tenant" };
  const earlier = findCredit(sql, wanted.reference);
  if (earlier) {
    if (earlier.type !== wanted.type || earlier.amount !== wanted.amount) return { kind: "reference_taken" };
    return { kind: "done", line: { ...earlier, type: wanted.type }, isReplay: true };
  }
  const state = readState(sql);
  const account = credit(state.account, wanted.amount, settings.prepaid);
  if (!account) return { kind: "balance_held", available: availableOf(state.account) };
  const entry = { ...wanted, taskId: null, released: 0 };
  const { type: _type, ...line } = appendEntry(sql, { ...state, account }, entry, nowMs);
  return { kind: "done", line: { ...line, type: wanted.type }, isReplay: false };
}

/** Writes an entry with the state that it leads to, numbered from one sequence. */
function appendEntry(sql: SqlStorage, state: TenantState, entry: NewEntry, nowMs: number) {
  const seq = state.seq + 1;
  const { account } = state;
  const written = { ...entry, seq, atMs: nowMs, balance: balanceOf(account), held: account.held };
  insertEntry(sql, written, { ...state, seq });
  return written;
}

type NotedSettlement = Omit<Settlement, "note"> & { note?: string | null };
type NewEntry = Omit<Parameters<typeof insertEntry>[1], "seq" | "atMs" | "balance" | "held">;
