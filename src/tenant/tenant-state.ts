/**
 * What the object keeps of its tenant as a whole, and its codec. The state is stored with the newest open task or entry of
 * the ledger, so that a move of money is one row; in `scopes` under the empty name while there is neither. An entry keeps
 * its copy for good, so the state is stored short: as a list, each value at its place.
 */
import { type Account, emptyAccount } from "../domain/account.ts";
import { emptyCounters, type UsageCounters } from "../domain/admission.ts";
import { bit, json, places, readStored, text, whole } from "../domain/stored.ts";
import { writeScopeText } from "./scopes.ts";

export interface TenantState {
  counters: UsageCounters;
  account: Account;
  /** The number of the latest open task or entry. */
  seq: number;
  /** Whether the opening balance is in the account. */
  opened: boolean;
  /** When the alarm is due, by the Workers' clock; null: none is set. */
  alarmMs: number | null;
  /** Open tasks up to here have a row in D1. */
  writtenSeq: number;
  /** Whether `balance.low` has been sent since the balance was last above the line. */
  lowBalanceNotified: boolean;
}

const newState: TenantState = {
  counters: emptyCounters,
  account: emptyAccount,
  seq: 0,
  opened: false,
  alarmMs: null,
  writtenSeq: 0,
  lowBalanceNotified: false,
};

/** Money and numbers have no default: a balance of zero would be a wrong one. */
const list = json(
  places(
    ...([whole, whole, whole, whole, bit] as const),
    ...([whole, whole, whole, whole, whole] as const),
    ...([text, whole, whole, text, whole] as const),
    ...([whole, whole, whole, bit] as const),
  ),
);

/** As it goes into the row of an open task or an entry. The order is the one of {@link list}. */
export function stateText(after: TenantState): string {
  const { account, counters } = after;
  const { requests, images, open, day, month } = counters;
  return JSON.stringify([
    ...[account.toppedUp, account.charged, account.held, after.seq, Number(after.opened)],
    ...[requests.level, requests.atMs, images.level, images.atMs, open],
    ...[day.date, day.images, day.refusals, month.month, month.images],
    // The third was the number up to which the alarm looked.
    ...[after.alarmMs ?? 0, after.writtenSeq, 0, Number(after.lowBalanceNotified)],
  ]);
}

/** @throws StoredDataUnreadable */
export function stateFrom(stored: string | null): TenantState {
  if (stored === null) return newState;
  const [toppedUp, charged, held, seq, opened, ...rest] = readStored(
    { table: "state", field: "state", id: "" },
    list,
    stored,
  );
  const [level, atMs, imageLevel, imageAtMs, open, ...counted] = rest;
  const [date, images, refusals, month, monthImages, alarmMs, writtenSeq, , lowBalanceNotified] = counted;
  return {
    account: { toppedUp, charged, held },
    counters: {
      requests: { level, atMs },
      images: { level: imageLevel, atMs: imageAtMs },
      open,
      day: { date, images, refusals },
      month: { month, images: monthImages },
    },
    ...{ seq, opened, alarmMs: alarmMs === 0 ? null : alarmMs, writtenSeq, lowBalanceNotified },
  };
}

/** SQL that finds the stored state; null for a tenant that has none yet. */
export const newestState = `coalesce(
  (SELECT state FROM (SELECT * FROM (SELECT seq, state FROM open_tasks ORDER BY seq DESC LIMIT 1)
     UNION ALL SELECT * FROM (SELECT seq, state FROM entries ORDER BY seq DESC LIMIT 1))
   ORDER BY seq DESC LIMIT 1),
  (SELECT body FROM scopes WHERE scope = ''))`;

/** @throws StoredDataUnreadable */
export function readState(sql: SqlStorage): TenantState {
  return stateFrom(sql.exec<{ state: string | null }>(`SELECT ${newestState} AS state`).one().state);
}

/** Writes a state that no new open task or entry goes with; those carry theirs. */
export function writeState(sql: SqlStorage, after: TenantState): void {
  const isIn = (table: "open_tasks" | "entries") =>
    sql.exec(`UPDATE ${table} SET state = ? WHERE seq = ?`, stateText(after), after.seq).rowsWritten > 0;
  if (!isIn("open_tasks") && !isIn("entries")) writeScopeText(sql, "", stateText(after));
}
