/** The codec of `keys`: its columns and the JSON in them. */
import { type KeySettings, keySettingsFields, type StoredKey, storedKeyFields } from "../../domain/keys.ts";
import { json, record, rowCodec, text, whole } from "../../domain/stored.ts";

/** A key as the admin API lists it. */
export interface ListedKey extends StoredKey {
  name: string;
  createdMs: number;
}

const row = rowCodec<Omit<ListedKey, keyof KeySettings> & { settings: KeySettings }>("keys", {
  id: ["id", storedKeyFields.id],
  kind: ["kind", storedKeyFields.kind],
  name: ["name", text],
  hash: ["hash", storedKeyFields.hash],
  scopes: ["scopes", json(storedKeyFields.scopes)],
  settings: ["settings", json(record<KeySettings>(keySettingsFields))],
  createdMs: ["created_ms", whole],
  expiresMs: ["expires_ms", storedKeyFields.expiresMs],
  revokedMs: ["revoked_ms", storedKeyFields.revokedMs],
});

/** @throws StoredDataUnreadable */
export function keyFromRow(stored: unknown): ListedKey {
  const { settings, ...key } = row.read(stored);
  return { ...key, ...settings };
}

/** SQL: a key is alive. @param now The parameter with the time. @param of The key's table, with a dot, where there are others. */
export const alive = (now: string, of = "") =>
  `${of}revoked_ms IS NULL AND (${of}expires_ms IS NULL OR ${of}expires_ms > ${now})`;

/**
 * SQL: who changes something may do so still: the operator, or a key of the tenant that is alive, in the very statement of
 * the change. @param by The parameter with the key's id; null: the operator. The tenant is the first parameter.
 */
export const mayStill = (by: string, now: string) => `(${by} IS NULL OR EXISTS (
  SELECT 1 FROM keys AS actor JOIN tenants AS own ON own.id = actor.tenant_id AND own.status = 'active'
  WHERE actor.tenant_id = ?1 AND actor.id = ${by} AND ${alive(now, "actor.")}))`;

/** The tenant's key that changes something, and when; null stands for the operator. */
export interface Actor {
  key: string;
  nowMs: number;
}

/** The values of {@link mayStill}. */
export const valuesOf = (by: Actor | null): [key: string | null, nowMs: number | null] =>
  by ? [by.key, by.nowMs] : [null, null];

/** The values of the JSON columns. */
export function keyTexts({ scopes, allowedOrigins, models, limits, token }: StoredKey) {
  const settings: KeySettings = { allowedOrigins, models, limits, token };
  return { scopes: JSON.stringify(scopes), settings: JSON.stringify(settings) };
}
