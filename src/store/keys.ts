/** Tenants' keys: their hashes and what they may do. */
import type { KeyKind, KeyScope, StoredKey } from "../domain/keys.ts";
import type { TenantStatus } from "../domain/tenant.ts";

export interface KeyRow {
  id: string;
  kind: KeyKind;
  name: string;
  hash: string;
  scopes: string;
  created_ms: number;
  expires_ms: number | null;
  revoked_ms: number | null;
}

/** A key as the admin API lists it. */
export interface ListedKey extends StoredKey {
  name: string;
  createdMs: number;
}

export function keyFromRow(row: KeyRow): ListedKey {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    hash: row.hash,
    scopes: JSON.parse(row.scopes) as KeyScope[],
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    revokedMs: row.revoked_ms,
  };
}

/** The statement that writes a new key, provided that its tenant exists. */
export function insertKey(db: D1Database, tenantId: string, key: ListedKey): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO keys (tenant_id, id, kind, name, hash, scopes, created_ms, expires_ms)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM tenants WHERE id = ?1`,
    )
    .bind(
      tenantId,
      key.id,
      key.kind,
      key.name,
      key.hash,
      JSON.stringify(key.scopes),
      key.createdMs,
      key.expiresMs,
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

/** The statement that reads a key with its tenant's status; its result goes through {@link firstKey}. */
export function selectKey(db: D1Database, tenantId: string, id: string): D1PreparedStatement {
  return db
    .prepare(
      `SELECT keys.*, tenants.status FROM keys JOIN tenants ON tenants.id = keys.tenant_id
       WHERE keys.tenant_id = ?1 AND keys.id = ?2`,
    )
    .bind(tenantId, id);
}

export function firstKey(result: D1Result | undefined): { key: StoredKey; status: TenantStatus } | undefined {
  const row = result?.results[0] as (KeyRow & { status: TenantStatus }) | undefined;
  return row && { key: keyFromRow(row), status: row.status };
}
