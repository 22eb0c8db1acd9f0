/** Tenants' keys: their hashes and what they may do. */
import type { Gate } from "../../domain/access.ts";
import { defaultTokenSettings, type KeyKind, type KeyScope, type StoredKey } from "../../domain/keys.ts";
import type { Model } from "../../domain/model-catalog.ts";
import type { Prices } from "../../domain/tenant.ts";

export interface KeyRow {
  id: string;
  kind: KeyKind;
  name: string;
  hash: string;
  scopes: string;
  settings: string;
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
}

/** A key as the admin API lists it. */
export interface ListedKey extends StoredKey {
  name: string;
  createdMs: number;
}

type KeySettings = Pick<StoredKey, "allowedOrigins" | "models" | "limits" | "token">;

const plainSettings: KeySettings = {
  allowedOrigins: [],
  models: null,
  limits: {},
  token: defaultTokenSettings,
};

export function keyFromRow(row: KeyRow): ListedKey {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    hash: row.hash,
    scopes: JSON.parse(row.scopes) as KeyScope[],
    ...plainSettings,
    ...(JSON.parse(row.settings) as Partial<KeySettings>),
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    revokedMs: row.revoked_ms,
  };
}

/**
 * The statement that writes a new key, provided that its tenant exists.
 * @param instead The key that it replaces; then only if nothing has replaced that one yet.
 */
export function insertKey(
  db: D1Database,
  tenantId: string,
  key: ListedKey,
  instead: string | null = null,
): D1PreparedStatement {
  const { allowedOrigins, models, limits, token } = key;
  return db
    .prepare(
      `INSERT INTO keys (tenant_id, id, kind, name, hash, scopes, settings, created_ms, expires_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM tenants WHERE id = ?1 AND deleted_ms IS NULL AND (?10 IS NULL OR EXISTS (
         SELECT 1 FROM keys WHERE tenant_id = ?1 AND id = ?10 AND rotated = 0))`,
    )
    .bind(
      tenantId,
      key.id,
      key.kind,
      key.name,
      key.hash,
      JSON.stringify(key.scopes),
      JSON.stringify({ allowedOrigins, models, limits, token } satisfies KeySettings),
      key.createdMs,
      key.expiresMs,
      instead,
    );
}

/** The statement that revokes a key from `nowMs` on; no row changes when there is none or it is revoked. */
export function revokeKey(db: D1Database, tenantId: string, id: string, nowMs: number): D1PreparedStatement {
  return db
    .prepare("UPDATE keys SET revoked_ms = ?3 WHERE tenant_id = ?1 AND id = ?2 AND revoked_ms IS NULL")
    .bind(tenantId, id, nowMs);
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
    .all<KeyRow>();
  return results.map(keyFromRow);
}

/** The statement that has a replaced key run out at `expiresMs`, if it would live longer. */
export function markRotated(
  db: D1Database,
  tenantId: string,
  id: string,
  expiresMs: number,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE keys SET rotated = 1, expires_ms = min(coalesce(expires_ms, ?3), ?3)
       WHERE tenant_id = ?1 AND id = ?2 AND revoked_ms IS NULL AND rotated = 0`,
    )
    .bind(tenantId, id, expiresMs);
}

export async function findKey(db: D1Database, tenantId: string, id: string): Promise<ListedKey | undefined> {
  const { results } = await db
    .prepare("SELECT * FROM keys WHERE tenant_id = ?1 AND id = ?2")
    .bind(tenantId, id)
    .all<KeyRow>();
  return results[0] && keyFromRow(results[0]);
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

type KnownRow = KeyRow & {
  status: Gate["status"];
  models: string | null;
  prices: string;
  turnstile_secret: string | null;
};

export function firstKey(result: D1Result | undefined): KnownKey | undefined {
  const row = result?.results[0] as KnownRow | undefined;
  if (!row) return undefined;
  const tenant = {
    status: row.status,
    models: row.models === null ? null : (JSON.parse(row.models) as Model[]),
    prices: JSON.parse(row.prices) as Prices,
    turnstileSecret: row.turnstile_secret,
  };
  return { key: keyFromRow(row), tenant };
}
