/** Tenants, and the copy of a tenant that its object decides by. */
import type { Limits } from "../domain/limits.ts";
import type { TenantConfig, TenantStatus } from "../domain/tenant.ts";
import { type KeyRow, keyFromRow } from "./keys.ts";

export interface Tenant {
  id: string;
  name: string;
  status: TenantStatus;
  limits: Limits;
  createdMs: number;
}

interface TenantRow {
  id: string;
  name: string;
  status: TenantStatus;
  limits: string;
  created_ms: number;
}

const fromRow = (row: TenantRow): Tenant => ({
  id: row.id,
  name: row.name,
  status: row.status,
  limits: JSON.parse(row.limits) as Limits,
  createdMs: row.created_ms,
});

/** Writes a new tenant; false when the id is taken. */
export async function insertTenant(db: D1Database, tenant: Tenant): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO tenants (id, name, status, limits, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (id) DO NOTHING`,
    )
    .bind(tenant.id, tenant.name, tenant.status, JSON.stringify(tenant.limits), tenant.createdMs)
    .run();
  return meta.changes > 0;
}

export async function findTenant(db: D1Database, id: string): Promise<Tenant | undefined> {
  const { results } = await db.prepare("SELECT * FROM tenants WHERE id = ?1").bind(id).all<TenantRow>();
  return results[0] && fromRow(results[0]);
}

/** Reads tenants by id, `limit` at the most, those after `afterId`. */
export async function listTenants(db: D1Database, afterId: string, limit: number): Promise<Tenant[]> {
  const { results } = await db
    .prepare("SELECT * FROM tenants WHERE id > ?1 ORDER BY id LIMIT ?2")
    .bind(afterId, limit)
    .all<TenantRow>();
  return results.map(fromRow);
}

/** What may be changed of a tenant; what is absent stays as it is. */
export interface TenantChange {
  name?: string | undefined;
  status?: TenantStatus | undefined;
  limits?: Partial<Limits> | undefined;
}

/** Changes a tenant in one statement, so that of several changes at once none is lost; undefined when there is none. */
export async function updateTenant(
  db: D1Database,
  id: string,
  change: TenantChange,
): Promise<Tenant | undefined> {
  const limits = Object.entries(change.limits ?? {});
  // `json_set`, since `json_patch` takes null for "remove".
  const { results } = await db
    .prepare(
      `UPDATE tenants SET name = coalesce(?2, name), status = coalesce(?3, status),
         limits = json_set(limits${limits.map((_, index) => `, ?${2 * index + 4}, ?${2 * index + 5}`).join("")}),
         config_version = config_version + 1
       WHERE id = ?1 RETURNING *`,
    )
    .bind(
      id,
      change.name ?? null,
      change.status ?? null,
      ...limits.flatMap(([name, value]) => [`$.${name}`, value]),
    )
    .all<TenantRow>();
  return results[0] && fromRow(results[0]);
}

/** The statement that marks a tenant's copy as out of date; goes into one batch with a change of its keys. */
export function bumpConfigVersion(db: D1Database, id: string): D1PreparedStatement {
  return db.prepare("UPDATE tenants SET config_version = config_version + 1 WHERE id = ?1").bind(id);
}

/** Reads the copy for the tenant's object, of one moment: both statements are one transaction. */
export async function loadTenantConfig(
  db: D1Database,
  id: string,
  nowMs: number,
): Promise<TenantConfig | undefined> {
  const [tenants, keys] = await db.batch([
    db.prepare("SELECT config_version AS version, status, limits FROM tenants WHERE id = ?1").bind(id),
    db
      .prepare(
        `SELECT * FROM keys WHERE tenant_id = ?1
           AND (revoked_ms IS NULL OR revoked_ms > ?2) AND (expires_ms IS NULL OR expires_ms > ?2)`,
      )
      .bind(id, nowMs),
  ]);
  const row = tenants?.results[0] as { version: number; status: TenantStatus; limits: string } | undefined;
  if (!row) return undefined;
  return {
    version: row.version,
    status: row.status,
    limits: JSON.parse(row.limits) as Limits,
    keys: ((keys?.results ?? []) as KeyRow[]).map(keyFromRow),
  };
}

/** Notes that the tenant's object has the copy of this version. */
export async function markPushed(db: D1Database, id: string, version: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET pushed_version = ?2 WHERE id = ?1 AND pushed_version < ?2")
    .bind(id, version)
    .run();
}

/** Tenants whose object has not acknowledged the newest copy. */
export async function listUnpushed(db: D1Database, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      "SELECT id FROM tenants INDEXED BY tenants_unpushed WHERE pushed_version < config_version LIMIT ?1",
    )
    .bind(limit)
    .all<{ id: string }>();
  return results.map((row) => row.id);
}
