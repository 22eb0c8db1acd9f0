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

/** The values of the JSON columns. */
export function keyTexts({ scopes, allowedOrigins, models, limits, token }: StoredKey) {
  const settings: KeySettings = { allowedOrigins, models, limits, token };
  return { scopes: JSON.stringify(scopes), settings: JSON.stringify(settings) };
}
