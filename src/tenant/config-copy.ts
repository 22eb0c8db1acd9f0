/** The object's copy of its tenant: the codec of the tables `config` and `keys`. */
import { canonical } from "../domain/canonical.ts";
import { isAlive, type StoredKey, storedKeyFields } from "../domain/keys.ts";
import { type Decode, json, readStored, record, StoredDataUnreadable, whole } from "../domain/stored.ts";
import { type TenantConfig, tenantSettingsFields } from "../domain/tenant.ts";

export type Settings = Omit<TenantConfig, "keys">;

const settings = json(record<Settings>({ ...tenantSettingsFields, version: whole }));
const key = json(record<StoredKey>(storedKeyFields));

const readBody = <T>(decode: Decode<T>, table: string, id: string, body: string | null): T | undefined =>
  body === null ? undefined : readStored({ table, field: "body", id }, decode, body);

/** @param body Of `config`. @throws StoredDataUnreadable */
export const settingsFrom = (body: string | null) => readBody(settings, "config", "", body);

/** @param body Of `keys`. @throws StoredDataUnreadable */
export const keyFrom = (id: string, body: string | null) => readBody(key, "keys", id, body);

export function readSettings(sql: SqlStorage): Settings | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM config").toArray();
  return settingsFrom(row?.body ?? null);
}

/** Whether the object has a copy of its tenant. */
export function hasSettings(sql: SqlStorage): boolean {
  return sql.exec("SELECT 1 FROM config").toArray().length > 0;
}

/** The version of the object's copy; undefined when there is none, or none that can be read, which a push replaces. */
export function copiedVersion(sql: SqlStorage): number | undefined {
  const [row] = sql
    .exec<{ version: SqlStorageValue }>(
      "SELECT iif(json_valid(body), body ->> 'version', NULL) AS version FROM config",
    )
    .toArray();
  return typeof row?.version === "number" ? row.version : undefined;
}

/** What the object has of its tenant after it was offered a copy. */
export interface Copied {
  version: number;
  /** What it has is the copy that was offered, in version and content. */
  isTaken: boolean;
  /** It had that before. */
  isKnown: boolean;
  /** The tenant is suspended in what it has. Absent from an object of the version before. */
  isSuspended?: boolean;
}

/** Whether the copy, if it can be read, lets no caller in. */
export function isSuspended(sql: SqlStorage): boolean {
  const status = "SELECT iif(json_valid(body), body ->> 'status', NULL) AS status FROM config";
  return sql.exec<{ status: SqlStorageValue }>(status).toArray()[0]?.status === "suspended";
}

/** Whether the object's copy is this one. Keys that have come to their end make no difference: D1 leaves them out. */
export function isCopyOf(sql: SqlStorage, { keys, ...given }: TenantConfig, nowMs: number): boolean {
  const contentOf = (one: Settings, kept: StoredKey[]) =>
    canonical({
      settings: one,
      keys: Object.fromEntries(kept.filter((each) => isAlive(each, nowMs)).map((each) => [each.id, each])),
    });
  try {
    const kept = sql.exec<{ id: string; body: string }>("SELECT id, body FROM keys").toArray();
    const own = readSettings(sql);
    const ownKeys = kept.flatMap(({ id, body }) => keyFrom(id, body) ?? []);
    return own !== undefined && contentOf(own, ownKeys) === contentOf(given, keys);
  } catch (error) {
    if (error instanceof StoredDataUnreadable) return false;
    throw error;
  }
}

/** Takes a copy of the tenant, if it is newer than the one that the object has. @param compares It only says what it has. */
export function takeCopy(sql: SqlStorage, config: TenantConfig, nowMs: number, compares: boolean): Copied {
  const version = copiedVersion(sql) ?? 0;
  if (compares || version >= config.version) {
    const isKnown = version === config.version && isCopyOf(sql, config, nowMs);
    return { version, isTaken: isKnown, isKnown, isSuspended: isSuspended(sql) };
  }
  writeConfig(sql, config);
  return { version: config.version, isTaken: true, isKnown: false };
}

/** Replaces the object's copy of the tenant. */
function writeConfig(sql: SqlStorage, { keys, ...copied }: TenantConfig): void {
  sql.exec("INSERT OR REPLACE INTO config (one, body) VALUES (1, ?)", JSON.stringify(copied));
  writeKeys(sql, keys);
}

/**
 * Suspends the tenant in the copy that there is, and replaces its keys. The copy keeps its version: the next one that can be
 * read is another. Where there is no copy, nothing is let in anyway.
 * @param version Of the row that cannot be read. A copy of the same is as good; one of a higher version may be of the time
 *   before D1 was restored.
 */
export function suspendCopy(sql: SqlStorage, version: number, keys: StoredKey[]): void {
  const current = copiedVersion(sql);
  if (current === undefined || current === version) return;
  suspendSettings(sql);
  writeKeys(sql, keys);
}

/** Closes keys, or all of them, in the copy that there is, whose version stays: the next one says for good what is closed. */
export function closeCopy(sql: SqlStorage, keyIds: string[], isSuspended: boolean): void {
  for (const id of keyIds) sql.exec("DELETE FROM keys WHERE id = ?", id);
  if (isSuspended) suspendSettings(sql);
}

const suspendSettings = (sql: SqlStorage) =>
  sql.exec("UPDATE config SET body = json_set(body, '$.status', 'suspended') WHERE json_valid(body)");

/** Writes those that differ: of a hundred keys most are as they were. */
function writeKeys(sql: SqlStorage, keys: StoredKey[]): void {
  const former = new Map(
    sql
      .exec<{ id: string; body: string }>("SELECT id, body FROM keys")
      .toArray()
      .map(({ id, body }) => [id, body]),
  );
  for (const one of keys) {
    const body = JSON.stringify(one);
    if (former.get(one.id) !== body)
      sql.exec("INSERT OR REPLACE INTO keys (id, body) VALUES (?, ?)", one.id, body);
    former.delete(one.id);
  }
  for (const id of former.keys()) sql.exec("DELETE FROM keys WHERE id = ?", id);
}
