/** Tenants, and the copy of a tenant that its object decides by. */
import type { Limits } from "../../domain/admission.ts";
import type { StoredKey } from "../../domain/keys.ts";
import type { Model } from "../../domain/model-catalog.ts";
import { readable, type SkipUnreadable } from "../../domain/stored.ts";
import type { Prices, TenantConfig, TenantStatus } from "../../domain/tenant.ts";
import { afterWebhook } from "../webhooks/switch-off.ts";
import { type Actor, keyFromRow, mayStill, valuesOf } from "./key-row.ts";

export type { Tenant, TenantWebhook } from "./tenant-row.ts";

import {
  acknowledged,
  copiedTenant,
  copiedVersion,
  location,
  nextVersion,
  type Tenant,
  type TenantWebhook,
  tenantFromRow,
  tenantSelection,
} from "./tenant-row.ts";

/** Writes a new tenant; false when the id is taken. */
export async function insertTenant(db: D1Database, tenant: Tenant, webhookSecret: string): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO tenants (id, name, status, limits, prices, models, prepaid, opening_balance, low_balance,
         turnstile_secret, retention_days, created_ms, webhook_url, webhook_events, webhook_secret, location_hint, max_keys,
         webhook_notify_url)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) ON CONFLICT (id) DO NOTHING`,
    )
    .bind(
      tenant.id,
      tenant.name,
      tenant.status,
      JSON.stringify(tenant.limits),
      JSON.stringify(tenant.prices),
      tenant.models && JSON.stringify(tenant.models),
      tenant.prepaid ? 1 : 0,
      tenant.openingBalance,
      tenant.lowBalance,
      tenant.turnstileSecret,
      tenant.retentionDays,
      tenant.createdMs,
      tenant.webhook.url,
      tenant.webhook.events && JSON.stringify(tenant.webhook.events),
      webhookSecret,
      tenant.locationHint,
      tenant.maxKeys,
      tenant.webhook.notifyUrl,
    )
    .run();
  return meta.changes > 0;
}

export async function findTenant(db: D1Database, id: string): Promise<Tenant | undefined> {
  const { results } = await db.prepare(`SELECT ${tenantSelection} FROM tenants WHERE id = ?1`).bind(id).all();
  return results[0] && tenantFromRow(results[0]);
}

/** Whether there is a tenant that is not deleted, readable or not. */
export async function hasTenant(db: D1Database, id: string): Promise<boolean> {
  const found = db.prepare("SELECT 1 FROM tenants WHERE id = ?1 AND deleted_ms IS NULL").bind(id);
  return (await found.all()).results.length > 0;
}

/** Reads tenants that are not deleted by id, `limit` at the most, those after `afterId`. */
export async function listTenants(db: D1Database, afterId: string, limit: number): Promise<Tenant[]> {
  const { results } = await db
    .prepare(
      `SELECT ${tenantSelection} FROM tenants WHERE id > ?1 AND deleted_ms IS NULL ORDER BY id LIMIT ?2`,
    )
    .bind(afterId, limit)
    .all();
  return results.map(tenantFromRow);
}

/** Ids of tenants, `limit` at the most, those after `afterId`. @param withDeleted Else those that are not deleted. */
export async function tenantIds(
  db: D1Database,
  afterId: string,
  limit: number,
  withDeleted = false,
): Promise<string[]> {
  const { results } = await db
    .prepare("SELECT id FROM tenants WHERE id > ?1 AND (deleted_ms IS NULL OR ?3) ORDER BY id LIMIT ?2")
    .bind(afterId, limit, Number(withDeleted))
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

/** Ids of `limit` tenants, going round: `turn` counts on for ever. */
export async function tenantsOfTurn(db: D1Database, turn: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      `SELECT id FROM tenants WHERE deleted_ms IS NULL ORDER BY id LIMIT ${limit}
       OFFSET ${limit} * (CAST(?1 AS INTEGER) %
         max(1, ((SELECT count(*) FROM tenants WHERE deleted_ms IS NULL) + ${limit - 1}) / ${limit}))`,
    )
    .bind(turn)
    .all<{ id: string }>();
  return results.map(({ id }) => id);
}

/** What may be changed of a tenant; what is absent stays as it is. */
export interface TenantChange {
  name?: string | undefined;
  status?: TenantStatus | undefined;
  /** Limit by limit. */
  limits?: Partial<Limits> | undefined;
  /** All of them. */
  prices?: Prices | undefined;
  models?: Model[] | null | undefined;
  prepaid?: boolean | undefined;
  lowBalance?: number | null | undefined;
  turnstileSecret?: string | null | undefined;
  retentionDays?: number | null | undefined;
  maxKeys?: number | undefined;
  webhook?: WebhookChange | undefined;
}

export interface WebhookChange extends Partial<Omit<TenantWebhook, "off" | "notifyUrl">> {
  notifyUrl?: string | null | undefined;
  /** A new one; the one before signs beside it until then. No later than now: it alone signs. */
  secret?: { text: string; beforeUntilMs: number; nowMs: number } | undefined;
}

/** Adds a value to a statement's. @returns its parameter. */
type AddValue = (value: string | number | null) => string;

/** A secret that is set a second time, as by a request sent again, leaves the one before it and its time alone. */
function secretSets({ text, beforeUntilMs, nowMs }: NonNullable<WebhookChange["secret"]>, add: AddValue) {
  const [secret, until, now] = [add(text), add(beforeUntilMs), add(nowMs)];
  return [
    `webhook_secrets_before = CASE WHEN webhook_secret = ${secret} THEN webhook_secrets_before
       WHEN ${until} <= ${now} THEN '[]' ELSE json_insert(
         (SELECT json_group_array(json(value)) FROM json_each(
           iif(json_valid(webhook_secrets_before), webhook_secrets_before, '[]')) WHERE value ->> 'untilMs' > ${now}),
         '$[#]', json_object('text', webhook_secret, 'untilMs', ${until})) END`,
    `webhook_secret = ${secret}`,
  ];
}

/** `json_set`, since `json_patch` takes null for "remove". Limits that are no JSON are set anew: the others have their default. */
function limitsSets(limits: Partial<Limits>, add: AddValue): string[] {
  const pairs = Object.entries(limits).map(([name, value]) => `, ${add(`$.${name}`)}, ${add(value)}`);
  if (pairs.length === 0) return [];
  return [`limits = json_set(iif(json_valid(limits), limits, '{}')${pairs.join("")})`];
}

/**
 * Changes a tenant in one statement, so that of several changes at once none is lost; undefined when there is none.
 * @param by A key has to be alive in that statement.
 * @throws StoredDataUnreadable when the rest of the row cannot be read; it is changed all the same.
 */
export async function updateTenant(
  db: D1Database,
  id: string,
  change: TenantChange,
  by: Actor | null = null,
): Promise<Tenant | undefined> {
  const { url, events, secret, notifyUrl } = change.webhook ?? {};
  const values: Record<string, string | number | null | undefined> = {
    name: change.name,
    status: change.status,
    prices: change.prices && JSON.stringify(change.prices),
    models: change.models && JSON.stringify(change.models),
    prepaid: change.prepaid === undefined ? undefined : Number(change.prepaid),
    low_balance: change.lowBalance,
    turnstile_secret: change.turnstileSecret,
    retention_days: change.retentionDays,
    max_keys: change.maxKeys,
    webhook_url: url,
    webhook_notify_url: notifyUrl,
    webhook_events: events && JSON.stringify(events),
  };
  const bound: Parameters<AddValue>[0][] = [id, ...valuesOf(by)];
  const add: AddValue = (value) => `?${bound.push(value)}`;
  const sets = [
    nextVersion,
    ...limitsSets(change.limits ?? {}, add),
    ...Object.entries(values).flatMap(([column, value]) =>
      value === undefined ? [] : [`${column} = ${add(value)}`],
    ),
    ...(secret ? secretSets(secret, add) : []),
  ];
  const results = await db.batch([
    ...afterWebhook(db, id, change.webhook ?? {}, by),
    db
      .prepare(
        `UPDATE tenants SET ${sets.join(", ")} WHERE id = ?1 AND deleted_ms IS NULL AND ${mayStill("?2", "?3")}
         RETURNING ${tenantSelection}`,
      )
      .bind(...bound),
  ]);
  const row = results.at(-1)?.results[0];
  return row === undefined ? undefined : tenantFromRow(row);
}

/**
 * The statement that marks a tenant's copy as out of date; goes into one batch with a change of its keys, behind a statement
 * that changes a row where that was made.
 */
export function bumpConfigVersion(db: D1Database, id: string): D1PreparedStatement {
  return db.prepare(`UPDATE tenants SET ${nextVersion} WHERE id = ?1 AND changes() > 0`).bind(id);
}

/** The copy for a tenant's object, in parts. */
export interface LoadedConfig extends Pick<Tenant, "locationHint"> {
  version: number;
  /** The object has acknowledged this version. */
  isAcknowledged: boolean;
  isDeleted: boolean;
  /** Absent when they cannot be read. */
  settings: Omit<TenantConfig, "keys"> | undefined;
  keys: StoredKey[];
}

/** Reads the copy for the tenant's object; a deleted tenant has none. @throws StoredDataUnreadable */
export async function loadTenantConfig(
  db: D1Database,
  id: string,
  nowMs: number,
): Promise<TenantConfig | undefined> {
  const loaded = await loadReadable(db, id, nowMs);
  return loaded?.settings && !loaded.isDeleted ? { ...loaded.settings, keys: loaded.keys } : undefined;
}

/**
 * Reads the copy in parts, of one moment: both statements are one transaction.
 * @param skip Leaves out settings that cannot be read, and a key that cannot be, which is refused then.
 */
export async function loadReadable(
  db: D1Database,
  id: string,
  nowMs: number,
  skip?: SkipUnreadable,
): Promise<LoadedConfig | undefined> {
  const [tenants, keys] = await db.batch([
    db.prepare(`SELECT *, ${acknowledged.columns} FROM tenants WHERE id = ?1`).bind(id),
    db
      .prepare(
        `SELECT * FROM keys WHERE tenant_id = ?1
           AND (revoked_ms IS NULL OR revoked_ms > ?2) AND (expires_ms IS NULL OR expires_ms > ?2)`,
      )
      .bind(id, nowMs),
  ]);
  const row = tenants?.results[0];
  if (!row) return undefined;
  const [settings] = readable([row], copiedTenant.read, skip);
  return {
    ...copiedVersion.read(row),
    ...acknowledged.read(row),
    ...location.read(row),
    isDeleted: (row as { deleted_ms: unknown }).deleted_ms !== null,
    settings,
    keys: readable(keys?.results ?? [], keyFromRow, skip),
  };
}

/**
 * Raises a tenant's version beyond the one that its object has, as D1's is behind after it was restored to an earlier time.
 * @param from The version that was read; nothing changes when it is another by now.
 * @param isSuspended The tenant was stopped in the time that D1 has lost, and stays so.
 * @returns whether the version was raised.
 */
export async function raiseConfigVersion(
  db: D1Database,
  id: string,
  { from, beyond, isSuspended }: { from: number; beyond: number; isSuspended: boolean },
): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `UPDATE tenants SET config_version = ?3 + 1, status = iif(?4, 'suspended', status)
       WHERE id = ?1 AND config_version = ?2`,
    )
    .bind(id, from, beyond, Number(isSuspended))
    .run();
  return meta.changes > 0;
}

/** Notes that the tenant's object has the copy of this version. */
export async function markPushed(db: D1Database, id: string, version: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET pushed_version = ?2 WHERE id = ?1 AND pushed_version < ?2")
    .bind(id, version)
    .run();
}
