/** Tenants' keys: their hashes and what they may do. */
import type { Gate } from "../../domain/access.ts";
import type { StoredKey } from "../../domain/keys.ts";
import { rowCodec } from "../../domain/stored.ts";
import type { Prices } from "../../domain/tenant.ts";
import { alive, keyFromRow, keyTexts, type ListedKey, mayStill } from "./key-row.ts";
import { tenantColumns } from "./tenant-row.ts";

export type { ListedKey } from "./key-row.ts";

/** The parameter with the tenant. */
const keysOfTenant = "keys INDEXED BY keys_unrevoked WHERE tenant_id = ?1";

/**
 * The statement that writes a new key, provided that its tenant exists and has room for one more.
 * @param instead The key that it replaces; then only if that one is alive and nothing has replaced it yet.
 * @param by The tenant's key that makes it; null: the operator.
 * @param isAtOnce Whether the replaced key ends at once, so that there is not one more.
 */
export function insertKey(
  db: D1Database,
  tenantId: string,
  key: ListedKey,
  instead: string | null = null,
  by: string | null = null,
  isAtOnce = false,
): D1PreparedStatement {
  const { scopes, settings } = keyTexts(key);
  return db
    .prepare(
      `INSERT INTO keys (tenant_id, id, kind, name, hash, scopes, settings, created_ms, expires_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM tenants
       WHERE id = ?1 AND deleted_ms IS NULL AND ${mayStill("?11", "?8")}
         AND (SELECT count(*) FROM ${keysOfTenant} AND ${alive("?8")}) < max_keys + (?10 IS NOT NULL) + 1e6 * ?12
         AND (?10 IS NULL OR EXISTS (
           SELECT 1 FROM keys WHERE tenant_id = ?1 AND id = ?10 AND rotated = 0 AND ${alive("?8")}))`,
    )
    .bind(
      tenantId,
      key.id,
      key.kind,
      key.name,
      key.hash,
      scopes,
      settings,
      key.createdMs,
      key.expiresMs,
      instead,
      by,
      isAtOnce ? 1 : 0,
    );
}

/** SQL: the scopes of a key. What is no JSON is none. */
const scopesOf = (key: string) =>
  `SELECT value FROM json_each(iif(json_valid(${key}.scopes), ${key}.scopes, '[]'))`;

/** SQL: a key has scope `manage`. */
const manages = `'manage' IN (${scopesOf("keys")})`;

/** SQL: a setting of a key, as JSON; null where there is none. */
const settingOf = (key: string, name: string) =>
  `iif(json_valid(${key}.settings), ${key}.settings ->> '$.${name}', NULL)`;

/** SQL: a key `other` can make whatever the row of `keys` can, for as long: it has no limits, with which none are made. */
const canReplace = `NOT EXISTS (${scopesOf("keys")} EXCEPT ${scopesOf("other")})
  AND (other.expires_ms IS NULL OR other.expires_ms >= keys.expires_ms)
  AND NOT EXISTS (SELECT 1 FROM json_each(coalesce(${settingOf("other", "limits")}, '{}')) WHERE value IS NOT NULL)
  AND coalesce(${settingOf("other", "models")}, '') IN ('', ${settingOf("keys", "models")})`;

/**
 * The statement that revokes a key from `nowMs` on; no row changes when there is none or it is revoked.
 * @param by The tenant's key that revokes it: then the last key of scope `manage` stays that no other can replace,
 *   without which a tenant could make none any more. Null: the operator.
 */
export function revokeKey(
  db: D1Database,
  tenantId: string,
  id: string,
  nowMs: number,
  by: string | null = null,
): D1PreparedStatement {
  const otherManager = `EXISTS (SELECT 1 FROM keys AS other INDEXED BY keys_unrevoked
    WHERE other.tenant_id = ?1 AND other.id <> ?2 AND other.rotated = 0 AND ${alive("?3", "other.")} AND ${canReplace})`;
  return db
    .prepare(
      `UPDATE keys SET revoked_ms = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_ms IS NULL
         AND ${mayStill("?4", "?3")} AND (?4 IS NULL OR NOT ${manages} OR ${otherManager})`,
    )
    .bind(tenantId, id, nowMs, by);
}

/** Reads a tenant's keys by id, `limit` at the most, those after `afterId`. */
export async function listKeys(
  db: D1Database,
  tenantId: string,
  afterId: string,
  limit: number,
): Promise<ListedKey[]> {
  const { results } = await db
    .prepare("SELECT * FROM keys WHERE tenant_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3")
    .bind(tenantId, afterId, limit)
    .all();
  return results.map(keyFromRow);
}

/** The statement that has a replaced key run out at `expiresMs`, if it would live longer; behind the one that writes the new key. */
export function markRotated(
  db: D1Database,
  tenantId: string,
  id: string,
  expiresMs: number,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE keys SET rotated = 1, expires_ms = min(coalesce(expires_ms, ?3), ?3)
       WHERE tenant_id = ?1 AND id = ?2 AND revoked_ms IS NULL AND rotated = 0 AND changes() > 0`,
    )
    .bind(tenantId, id, expiresMs);
}

export async function findKey(db: D1Database, tenantId: string, id: string): Promise<ListedKey | undefined> {
  const { results } = await db
    .prepare("SELECT * FROM keys WHERE tenant_id = ?1 AND id = ?2")
    .bind(tenantId, id)
    .all();
  return results[0] && keyFromRow(results[0]);
}

export async function hasKey(db: D1Database, tenantId: string, id: string): Promise<boolean> {
  const { results } = await db
    .prepare("SELECT 1 FROM keys WHERE tenant_id = ?1 AND id = ?2")
    .bind(tenantId, id)
    .all();
  return results.length > 0;
}

/** Whether another key has replaced this one. */
export async function isRotated(db: D1Database, tenantId: string, id: string): Promise<boolean> {
  const rotated = "SELECT 1 FROM keys WHERE tenant_id = ?1 AND id = ?2 AND rotated = 1";
  return (await db.prepare(rotated).bind(tenantId, id).all()).results.length > 0;
}

/** The statement that reads a key with its tenant; its result goes through {@link firstKey}. */
export function selectKey(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db
    .prepare(
      `SELECT keys.*, tenants.status, tenants.models, tenants.prices, tenants.turnstile_secret
       FROM keys JOIN tenants ON tenants.id = keys.tenant_id
       WHERE keys.tenant_id = ?1 AND keys.id = ?2`,
    )
    .bind(tenantId, id);
}

/** A key, and as much of its tenant as lets it in. */
export interface KnownKey {
  key: StoredKey;
  tenant: Gate & { prices: Prices; turnstileSecret: string | null };
}

const { status, models, prices, turnstileSecret } = tenantColumns;
const knownTenant = rowCodec<KnownKey["tenant"]>(
  "tenants",
  { status, models, prices, turnstileSecret },
  "tenant_id",
);

/** @throws StoredDataUnreadable */
export function firstKey(result: D1Result | undefined): KnownKey | undefined {
  const row = result?.results[0];
  return row === undefined ? undefined : { key: keyFromRow(row), tenant: knownTenant.read(row) };
}
