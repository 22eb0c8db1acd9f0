/**
 * The tables of a tenant's object, as steps that are only ever added to, and what it keeps of its tenant. All of
 * it is synchronous: what runs between two awaits is one transaction.
 */
import { type Account, emptyAccount } from "../domain/account.ts";
import { emptyCounters, type UsageCounters } from "../domain/admission.ts";
import type { StoredKey } from "../domain/keys.ts";
import type { TenantConfig } from "../domain/tenant.ts";
import type { OpenHolds } from "./open-holds.ts";

export type Settings = Omit<TenantConfig, "keys">;

export function readSettings(sql: SqlStorage): Settings | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM config").toArray();
  return row && (JSON.parse(row.body) as Settings);
}

/** Whether the object has a copy of its tenant. */
export function hasSettings(sql: SqlStorage): boolean {
  return sql.exec("SELECT 1 FROM config").toArray().length > 0;
}

/** Replaces the object's copy of the tenant. */
export function writeConfig(sql: SqlStorage, { keys, ...settings }: TenantConfig): void {
  sql.exec("INSERT OR REPLACE INTO config (one, body) VALUES (1, ?)", JSON.stringify(settings));
  sql.exec("DELETE FROM keys");
  for (const key of keys) sql.exec("INSERT INTO keys (id, body) VALUES (?, ?)", key.id, JSON.stringify(key));
}

/** What the object keeps of its tenant as a whole. */
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
  /** Up to here the alarm will look. */
  alarmSeq: number;
  /** Holds that have not ended. */
  open: OpenHolds;
  /** That the balance is low has been told. Absent: never. */
  lowBalanceNotified?: boolean;
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
};

/** The state is in the newest hold or entry; of a tenant that has none, or none since states are there, by itself. */
const newestState = `coalesce(
  (SELECT state FROM (SELECT * FROM (SELECT seq, state FROM holds ORDER BY seq DESC LIMIT 1)
     UNION ALL SELECT * FROM (SELECT seq, state FROM entries ORDER BY seq DESC LIMIT 1))
   ORDER BY seq DESC LIMIT 1),
  (SELECT body FROM scopes WHERE scope = ''))`;

export function readState(sql: SqlStorage): TenantState {
  return stateFrom(sql.exec<{ state: string | null }>(`SELECT ${newestState} AS state`).one().state);
}

function stateFrom(text: string | null): TenantState {
  return text === null ? newState : (JSON.parse(text) as TenantState);
}

/** What every decision on a request of a key begins with. One statement: most of a small read is the call. */
export function readAdmissionRows(sql: SqlStorage, keyId: string) {
  const { config, key, state } = sql
    .exec<Record<"config" | "key" | "state", string | null>>(
      `SELECT (SELECT body FROM config) AS config, (SELECT body FROM keys WHERE id = ?) AS key, ${newestState} AS state`,
      keyId,
    )
    .one();
  return {
    settings: config === null ? undefined : (JSON.parse(config) as Settings),
    key: key === null ? undefined : (JSON.parse(key) as StoredKey),
    state: stateFrom(state),
  };
}

/** Writes a state that no new hold or entry goes with; those carry theirs. */
export function writeState(sql: SqlStorage, state: TenantState): void {
  const body = JSON.stringify(state);
  const isIn = (table: "holds" | "entries") =>
    sql.exec(`UPDATE ${table} SET state = ? WHERE seq = ?`, body, state.seq).rowsWritten > 0;
  if (!isIn("holds") && !isIn("entries")) writeScope(sql, "", state);
}

/** What a key with limits of its own has used. */
export function readKeyCounters(sql: SqlStorage, keyId: string): UsageCounters | undefined {
  return readScope<UsageCounters>(sql, keyId);
}

export function writeKeyCounters(sql: SqlStorage, keyId: string, counters: UsageCounters): void {
  writeScope(sql, keyId, counters);
}

export function readScope<T>(sql: SqlStorage, scope: string): T | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM scopes WHERE scope = ?", scope).toArray();
  return row && (JSON.parse(row.body) as T);
}

export function writeScope(sql: SqlStorage, scope: string, body: object): void {
  sql.exec("INSERT OR REPLACE INTO scopes (scope, body) VALUES (?, ?)", scope, JSON.stringify(body));
}

/** Images that a client token has used. */
export function readTokenImages(sql: SqlStorage, id: string): number {
  const [row] = sql.exec<{ images: number }>("SELECT images FROM tokens WHERE id = ?", id).toArray();
  return row?.images ?? 0;
}

/** Adds to what a token has used. Tokens that have expired a day ago are forgotten on the way. */
export function addTokenImages(
  sql: SqlStorage,
  token: { id: string; expiresMs: number },
  images: number,
  nowMs: number,
): void {
  sql.exec("DELETE FROM tokens WHERE expires_ms < ?", nowMs - 86_400_000);
  sql.exec(
    `INSERT INTO tokens (id, images, expires_ms) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET images = images + ?2`,
    token.id,
    images,
    token.expiresMs,
  );
}

/** Gives images back to a token that is still known. */
export function returnTokenImages(sql: SqlStorage, id: string, images: number): void {
  sql.exec("UPDATE tokens SET images = max(0, images - ?) WHERE id = ?", images, id);
}
