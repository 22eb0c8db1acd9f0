/** Tenants, and the copy of a tenant that its object decides by. */
import { defaultLimits, type Limits } from "../../domain/admission.ts";
import type { Model } from "../../domain/model-catalog.ts";
import type { Prices, TenantConfig, TenantSettings, TenantStatus } from "../../domain/tenant.ts";
import type { WebhookEvent } from "../../domain/webhooks.ts";
import { deleteFailures, dropWebhookDeliveries } from "../webhooks/attempts.ts";
import { type KeyRow, keyFromRow } from "./keys.ts";

export interface Tenant extends TenantSettings {
  id: string;
  name: string;
  /** Of the Turnstile widget whose answers browser keys mint tokens for. */
  turnstileSecret: string | null;
  /** Tasks are erased so many days after they were made; null: kept for good. */
  retentionDays: number | null;
  webhook: TenantWebhook;
  createdMs: number;
  /** Null while it lives. A deleted one keeps its id and its ledger. */
  deletedMs: number | null;
}

/** Where a tenant is told of its tasks. The secrets that sign it are read by nobody but who sends. */
export interface TenantWebhook {
  /** Null: nowhere. */
  url: string | null;
  /** Null: all. */
  events: WebhookEvent[] | null;
  /** It answered 410, and is told nothing until it is set again. */
  isOff: boolean;
}

interface TenantRow {
  id: string;
  name: string;
  status: TenantStatus;
  limits: string;
  prices: string;
  models: string | null;
  prepaid: number;
  opening_balance: number;
  low_balance: number | null;
  turnstile_secret: string | null;
  retention_days: number | null;
  webhook_url: string | null;
  webhook_events: string | null;
  webhook_off: number;
  created_ms: number;
  deleted_ms: number | null;
}

/** A tenant's row, and whether its webhook is off. */
const columns = `*, EXISTS (SELECT 1 FROM gone_urls
  WHERE gone_urls.tenant_id = tenants.id AND gone_urls.url = tenants.webhook_url) AS webhook_off`;

const settingsFromRow = (row: TenantRow): TenantSettings => ({
  status: row.status,
  limits: { ...defaultLimits, ...(JSON.parse(row.limits) as Partial<Limits>) },
  prices: JSON.parse(row.prices) as Prices,
  models: row.models === null ? null : (JSON.parse(row.models) as Model[]),
  prepaid: row.prepaid === 1,
  openingBalance: row.opening_balance,
  lowBalance: row.low_balance,
});

const fromRow = (row: TenantRow): Tenant => ({
  ...settingsFromRow(row),
  id: row.id,
  name: row.name,
  turnstileSecret: row.turnstile_secret,
  retentionDays: row.retention_days,
  webhook: {
    url: row.webhook_url,
    events: row.webhook_events === null ? null : (JSON.parse(row.webhook_events) as WebhookEvent[]),
    isOff: row.webhook_off === 1,
  },
  createdMs: row.created_ms,
  deletedMs: row.deleted_ms,
});

/** Writes a new tenant; false when the id is taken. */
export async function insertTenant(db: D1Database, tenant: Tenant, webhookSecret: string): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO tenants (id, name, status, limits, prices, models, prepaid, opening_balance, low_balance,
         turnstile_secret, retention_days, created_ms, webhook_url, webhook_events, webhook_secret)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (id) DO NOTHING`,
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
    )
    .run();
  return meta.changes > 0;
}

export async function findTenant(db: D1Database, id: string): Promise<Tenant | undefined> {
  const { results } = await db
    .prepare(`SELECT ${columns} FROM tenants WHERE id = ?1`)
    .bind(id)
    .all<TenantRow>();
  return results[0] && fromRow(results[0]);
}

/** Reads tenants that are not deleted by id, `limit` at the most, those after `afterId`. */
export async function listTenants(db: D1Database, afterId: string, limit: number): Promise<Tenant[]> {
  const { results } = await db
    .prepare(`SELECT ${columns} FROM tenants WHERE id > ?1 AND deleted_ms IS NULL ORDER BY id LIMIT ?2`)
    .bind(afterId, limit)
    .all<TenantRow>();
  return results.map(fromRow);
}

/** Ids of `limit` tenants, going round: the turn `offset` counts on for ever. */
export async function tenantsFrom(db: D1Database, offset: number, limit: number): Promise<string[]> {
  const { results } = await db
    .prepare(
      `SELECT id FROM tenants WHERE deleted_ms IS NULL ORDER BY id LIMIT ?2
       OFFSET CAST(?1 AS INTEGER) % max(1, (SELECT count(*) FROM tenants WHERE deleted_ms IS NULL))`,
    )
    .bind(offset, limit)
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
  webhook?: WebhookChange | undefined;
}

export interface WebhookChange extends Partial<Omit<TenantWebhook, "isOff">> {
  /** A new one; the one before signs beside it until then. No later than now: it alone signs. */
  secret?: { text: string; beforeUntilMs: number; nowMs: number } | undefined;
}

/** A secret that is set a second time, as by a request sent again, leaves the one before it and its time alone. */
const secretSets = [
  `webhook_secrets_before = CASE WHEN webhook_secret = ? THEN webhook_secrets_before WHEN ? <= ? THEN '[]'
     ELSE json_insert(
       (SELECT json_group_array(json(value)) FROM json_each(webhook_secrets_before) WHERE value ->> 'untilMs' > ?),
       '$[#]', json_object('text', webhook_secret, 'untilMs', ?)) END`,
  "webhook_secret = ?",
];

/** Changes a tenant in one statement, so that of several changes at once none is lost; undefined when there is none. */
export async function updateTenant(
  db: D1Database,
  id: string,
  change: TenantChange,
): Promise<Tenant | undefined> {
  const limits = Object.entries(change.limits ?? {});
  const { url, events, secret } = change.webhook ?? {};
  const values: Record<string, string | number | null | undefined> = {
    name: change.name,
    status: change.status,
    prices: change.prices && JSON.stringify(change.prices),
    models: change.models && JSON.stringify(change.models),
    prepaid: change.prepaid === undefined ? undefined : Number(change.prepaid),
    low_balance: change.lowBalance,
    turnstile_secret: change.turnstileSecret,
    retention_days: change.retentionDays,
    webhook_url: url,
    webhook_events: events && JSON.stringify(events),
  };
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  const sets = [
    "config_version = config_version + 1",
    // `json_set`, since `json_patch` takes null for "remove".
    `limits = json_set(limits${", ?, ?".repeat(limits.length)})`,
    ...given.map(([column]) => `${column} = ?`),
    ...(secret ? secretSets : []),
  ];
  const results = await db.batch<TenantRow>([
    ...afterWebhook(db, id, url),
    db
      .prepare(
        `UPDATE tenants SET ${sets.join(", ")} WHERE id = ? AND deleted_ms IS NULL RETURNING ${columns}`,
      )
      .bind(
        ...limits.flatMap(([name, value]) => [`$.${name}`, value]),
        ...given.map(([, value]) => value),
        ...(secret
          ? [secret.text, secret.beforeUntilMs, secret.nowMs, secret.nowMs, secret.beforeUntilMs, secret.text]
          : []),
        id,
      ),
  ]);
  const row = results.at(-1)?.results[0];
  return row && fromRow(row);
}

/** A webhook that is set works again, whatever it answered before; what was to be told to one that is removed is dropped. */
function afterWebhook(db: D1Database, id: string, url: string | null | undefined): D1PreparedStatement[] {
  if (url === undefined) return [];
  if (url === null) return [dropWebhookDeliveries(db, id)];
  return [
    db.prepare("DELETE FROM gone_urls WHERE tenant_id = ?1 AND url = ?2").bind(id, url),
    deleteFailures(db, id, "webhook"),
  ];
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
    db.prepare("SELECT * FROM tenants WHERE id = ?1").bind(id),
    db
      .prepare(
        `SELECT * FROM keys WHERE tenant_id = ?1
           AND (revoked_ms IS NULL OR revoked_ms > ?2) AND (expires_ms IS NULL OR expires_ms > ?2)`,
      )
      .bind(id, nowMs),
  ]);
  const row = tenants?.results[0] as (TenantRow & { config_version: number }) | undefined;
  if (!row) return undefined;
  const stored = ((keys?.results ?? []) as KeyRow[]).map(keyFromRow);
  return { ...settingsFromRow(row), version: row.config_version, keys: stored };
}

/** Notes that the tenant's object has the copy of this version. */
export async function markPushed(db: D1Database, id: string, version: number): Promise<void> {
  await db
    .prepare("UPDATE tenants SET pushed_version = ?2 WHERE id = ?1 AND pushed_version < ?2")
    .bind(id, version)
    .run();
}
