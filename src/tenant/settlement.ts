/** The tenant's account, moved: what is credited, charged and released, each with its entry, in the caller's transaction. */
import { availableOf, balanceOf, chargeOf, credit, priceOf, settle } from "../domain/account.ts";
import { afterTask, dateOf, type Ended, emptyCounters } from "../domain/admission.ts";
import type { Credit, LedgerLine } from "../domain/ledger-lines.ts";
import { readSettings } from "./config-copy.ts";
import { findCredit, hasSettled, insertCredit, insertSettlement } from "./ledger.ts";
import { deleteOpenTask, findOpenTask, oldestOpen } from "./open-tasks.ts";
import { addressScope, dropAddressesBefore, readKeyCounters, writeKeyCounters } from "./scopes.ts";
import { readState, writeState } from "./tenant-state.ts";
import { endTokenTask } from "./token-use.ts";

/** How a task ended, for its hold. */
export interface Settlement {
  /** The number that the admission gave it. */
  holdNumber: number;
  /** The hold's own; absent from a Worker of the version before. */
  taskId?: string;
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

/** `no_hold`: the object has none of that task, as after it was restored to an earlier time; nothing was changed. */
export type SettleResult = "settled" | "settled_before" | "no_hold";

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

/** Ends a task's hold: charges what was stored, releases the rest, and takes the task out of the counters. */
export function settleHold(
  sql: SqlStorage,
  { holdNumber, taskId, images, refused, deleteReplay, note = null, nowMs }: NotedSettlement,
): SettleResult {
  const task = findOpenTask(sql, holdNumber);
  if (!task || (taskId !== undefined && taskId !== task.taskId))
    return taskId === undefined || hasSettled(sql, holdNumber, taskId) ? "settled_before" : "no_hold";
  const state = readState(sql);
  const { charged, released, unmade } = chargeOf(task, images);
  const ended = { date: task.date, unmade, refused };
  const keyCounters = readKeyCounters(sql, task.keyId);
  if (keyCounters) writeKeyCounters(sql, task.keyId, afterTask(keyCounters, ended, nowMs));
  if (task.tokenId !== null) endTokenTask(sql, task.tokenId, ended, nowMs);
  if (task.address !== null && refused) countRefusal(sql, task.address, ended, nowMs);
  const account = settle(state.account, priceOf(task), charged);
  const seq = state.seq + 1;
  const after = { ...state, seq, account, counters: afterTask(state.counters, ended, nowMs) };
  deleteOpenTask(sql, holdNumber);
  const hold = deleteReplay ? { ...task, replay: null, fingerprint: null } : task;
  const entry = {
    seq,
    atMs: nowMs,
    note,
    balance: balanceOf(account),
    held: account.held,
    hold,
    charged,
    released,
  };
  insertSettlement(sql, entry, after, oldestOpen(sql, seq));
  return "settled";
}

/** Counts what the upstream has refused of an address, for the rest of the day. */
function countRefusal(sql: SqlStorage, address: string, ended: Ended, nowMs: number): void {
  const scope = addressScope(address);
  dropAddressesBefore(sql, dateOf(nowMs));
  writeKeyCounters(sql, scope, afterTask(readKeyCounters(sql, scope) ?? emptyCounters, ended, nowMs));
}

/** Tops up, refunds or adjusts; once per `reference`. */
export function creditAccount(sql: SqlStorage, wanted: Credit, nowMs: number): CreditResult {
  const settings = readSettings(sql);
  if (!settings) return { kind: "no_tenant" };
  const earlier = findCredit(sql, wanted.reference);
  if (earlier) {
    if (earlier.type !== wanted.type || earlier.amount !== wanted.amount) return { kind: "reference_taken" };
    return { kind: "done", line: { ...earlier, taskId: null }, isReplay: true };
  }
  const state = readState(sql);
  const account = credit(state.account, wanted.amount, settings.prepaid);
  if (!account) return { kind: "balance_held", available: availableOf(state.account) };
  const seq = state.seq + 1;
  const entry = { ...wanted, seq, atMs: nowMs, balance: balanceOf(account), held: account.held };
  insertCredit(sql, entry, { ...state, seq, account });
  return { kind: "done", line: { ...entry, taskId: null }, isReplay: false };
}

/** Adjusts the balance to an amount, whatever it was. */
export function setBalance(
  sql: SqlStorage,
  balance: number,
  reference: string,
  nowMs: number,
): CreditResult | { kind: "unchanged" } {
  const { account } = readState(sql);
  // Whether or not the tenant is prepaid by now: it is about to be.
  if (balance < account.held) return { kind: "balance_held", available: availableOf(account) };
  const amount = balance - balanceOf(account);
  if (amount === 0) return { kind: "unchanged" };
  return creditAccount(sql, { type: "adjustment", amount, reference, note: null }, nowMs);
}

type NotedSettlement = Omit<Settlement, "note"> & { note?: string | null };
