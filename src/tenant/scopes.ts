/** The table `scopes`: usage counters of keys, sums of files, and the state of a tenant without open tasks and entries, by name. */
import { dateOf, type UsageCounters } from "../domain/admission.ts";
import { emptyFileCounters, type FileCounters } from "../domain/file-limits.ts";
import { type Decode, json, readStored, record, text, whole, withDefaults } from "../domain/stored.ts";
import { usageCounters } from "../domain/stored-counters.ts";

const keyCounters = json(usageCounters);
const fileCounters = json(
  record<FileCounters>(withDefaults(emptyFileCounters, { date: text, files: whole, bytes: whole })),
);

function readScope<T>(sql: SqlStorage, scope: string, decode: Decode<T>): T | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM scopes WHERE scope = ?", scope).toArray();
  return row && readStored({ table: "scopes", field: "body", id: scope }, decode, row.body);
}

const writeScope = (sql: SqlStorage, scope: string, body: object): void =>
  writeScopeText(sql, scope, JSON.stringify(body));

export function writeScopeText(sql: SqlStorage, scope: string, body: string): void {
  sql.exec("INSERT OR REPLACE INTO scopes (scope, body) VALUES (?, ?)", scope, body);
}

/** What a key with limits of its own, or an address, has used. @throws StoredDataUnreadable */
export function readKeyCounters(sql: SqlStorage, keyId: string): UsageCounters | undefined {
  return readScope(sql, keyId, keyCounters);
}

export function writeKeyCounters(sql: SqlStorage, keyId: string, counters: UsageCounters): void {
  writeScope(sql, keyId, counters);
}

const addresses = "address ";
/** The scope of a network address, of which the day's refusals are counted. @param address A name that says nothing of it. */
export const addressScope = (address: string) => `${addresses}${address}`;

/** Drops what was counted of addresses before a day. @param date UTC, as in ISO 8601. */
export function dropAddressesBefore(sql: SqlStorage, date: string): void {
  sql.exec(
    `DELETE FROM scopes WHERE scope >= ?1 AND scope < ?2 AND iif(json_valid(body), body ->> '$.day.date', '') < ?3`,
    ...[addresses, `${addresses}~`, date],
  );
}

const filesScope = (keyId: string | null) => (keyId === null ? "files" : `files ${keyId}`);

/** Files that count, of the tenant or of one key, before those that have ended are dropped. @throws StoredDataUnreadable */
export function readFileCounters(sql: SqlStorage, keyId: string | null): FileCounters {
  return readScope(sql, filesScope(keyId), fileCounters) ?? emptyFileCounters;
}

export function writeFileCounters(sql: SqlStorage, keyId: string | null, counters: FileCounters): void {
  writeScope(sql, filesScope(keyId), counters);
}

/** Counters stay so long after all that they counted is over, milliseconds: no clock is behind by more. */
const idleMs = 2 * 86_400_000;
const droppedAtOnce = 1_000;

/**
 * Drops counters of addresses and keys that are as good as none, some at a call: no task is in flight, no file is alive, and
 * its minute, day and month are over. A key that comes back, or is used again, has used nothing that counts.
 */
export function dropIdleCounters(sql: SqlStorage, nowMs: number): void {
  const date = dateOf(nowMs - idleMs);
  dropAddressesBefore(sql, date);
  sql.exec(
    `DELETE FROM scopes WHERE scope IN (SELECT scope FROM scopes
       WHERE scope GLOB '*key-*' AND iif(json_valid(body), iif(scope GLOB '${filesScope("*")}',
         body ->> '$.bytes' = 0 AND body ->> '$.date' < ?1,
         body ->> '$.open' = 0 AND body ->> '$.day.date' < ?1 AND body ->> '$.month.month' < substr(?1, 1, 7)
           AND max(body ->> '$.requests.atMs', body ->> '$.images.atMs') < ?2), 0)
       LIMIT ${droppedAtOnce})`,
    ...[date, nowMs - idleMs],
  );
}
