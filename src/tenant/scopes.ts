/** The table `scopes`: usage counters of keys, sums of files, and the state of a tenant without open tasks and entries, by name. */
import type { UsageCounters } from "../domain/admission.ts";
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
