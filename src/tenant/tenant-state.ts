/**
 * What the object keeps of its tenant as a whole, and its codec. The state is stored with the newest hold or entry, so that a
 * move of money is one row; in `scopes` under the empty name while there is neither.
 */
import { type Account, emptyAccount } from "../domain/account.ts";
import { emptyCounters, type UsageCounters } from "../domain/admission.ts";
import { json, orNull, readStored, record, whole, withDefault, yesOrNo } from "../domain/stored.ts";
import { usageCounters } from "../domain/stored-counters.ts";
import { type OpenHolds, openHoldRanges } from "./open-holds.ts";
import { writeScope } from "./scopes.ts";

export interface TenantState {
  counters: UsageCounters;
  account: Account;
  /** The number of the latest hold or entry. */
  seq: number;
  /** Whether the opening balance is in the account. */
  opened: boolean;
  /** When the alarm is due, by the Workers' clock; null: none is set. */
  alarmMs: number | null;
  /** Holds up to here have a row in D1, or were released for want of one. */
  confirmedSeq: number;
  /** The highest hold that the alarm will check. */
  alarmSeq: number;
  /** Holds that have not ended. */
  open: OpenHolds;
  /** Whether `balance.low` has been sent since the balance was last above the line. */
  lowBalanceNotified: boolean;
}

const newState: TenantState = {
  counters: emptyCounters,
  account: emptyAccount,
  seq: 0,
  opened: false,
  alarmMs: null,
  confirmedSeq: 0,
  alarmSeq: 0,
  open: [],
  lowBalanceNotified: false,
};

/** Money and numbers have no default: a balance of zero would be a wrong one. */
const state = json(
  record<TenantState>({
    counters: withDefault(usageCounters, emptyCounters),
    account: record<Account>({ toppedUp: whole, charged: whole, held: whole }),
    seq: whole,
    opened: yesOrNo,
    alarmMs: withDefault(orNull(whole), null),
    confirmedSeq: withDefault(whole, 0),
    alarmSeq: withDefault(whole, 0),
    open: openHoldRanges,
    lowBalanceNotified: withDefault(yesOrNo, false),
  }),
);

/** SQL that finds the stored state; null for a tenant that has none yet. */
export const newestState = `coalesce(
  (SELECT state FROM (SELECT * FROM (SELECT seq, state FROM holds ORDER BY seq DESC LIMIT 1)
     UNION ALL SELECT * FROM (SELECT seq, state FROM entries ORDER BY seq DESC LIMIT 1))
   ORDER BY seq DESC LIMIT 1),
  (SELECT body FROM scopes WHERE scope = ''))`;

/** @throws StoredDataUnreadable */
export function stateFrom(stored: string | null): TenantState {
  return stored === null ? newState : readStored({ table: "state", field: "state", id: "" }, state, stored);
}

/** As it goes into the row of a hold or an entry. */
export function stateText(after: TenantState): string {
  return JSON.stringify(after);
}

/** @throws StoredDataUnreadable */
export function readState(sql: SqlStorage): TenantState {
  return stateFrom(sql.exec<{ state: string | null }>(`SELECT ${newestState} AS state`).one().state);
}

/** Writes a state that no new hold or entry goes with; those carry theirs. */
export function writeState(sql: SqlStorage, after: TenantState): void {
  const isIn = (table: "holds" | "entries") =>
    sql.exec(`UPDATE ${table} SET state = ? WHERE seq = ?`, stateText(after), after.seq).rowsWritten > 0;
  if (!isIn("holds") && !isIn("entries")) writeScope(sql, "", after);
}
