/** The codec of `tenants`: its columns and the JSON in them. */

import { type LocationHint, locationHints } from "../../domain/location-hints.ts";
import {
  bit,
  type Columns,
  json,
  knownOf,
  oneOf,
  orNull,
  record,
  rowCodec,
  text,
  whole,
  wholeFrom,
} from "../../domain/stored.ts";
import { type TenantSettings, tenantSettingsFields } from "../../domain/tenant.ts";
import { type OffReason, offReasons, type WebhookEvent, webhookEvents } from "../../domain/webhooks.ts";

export interface Tenant extends TenantSettings {
  id: string;
  name: string;
  /** Of the Turnstile widget whose answers browser keys mint tokens for. */
  turnstileSecret: string | null;
  /** Tasks are erased so many days after they were made; null: kept for good. */
  retentionDays: number | null;
  /** Where its object is made; null: as the gateway is configured. */
  locationHint: LocationHint | null;
  /** Keys that may be alive at a time. */
  maxKeys: number;
  webhook: TenantWebhook;
  createdMs: number;
  /** Null while it lives. A deleted one keeps its id and its ledger. */
  deletedMs: number | null;
}

/** Where a tenant's events go. Only the sender of deliveries reads the secrets that sign them. */
export interface TenantWebhook {
  /** Null: nowhere. */
  url: string | null;
  /** Null: all. */
  events: WebhookEvent[] | null;
  /** Where the tenant is notified that its webhook was switched off; null: nowhere. */
  notifyUrl: string | null;
  /** When and why it was switched off; null: it was not. Nothing is sent to it until it is set again. */
  off: SwitchedOff | null;
}

export interface SwitchedOff {
  atMs: number;
  reason: OffReason;
}

const settings = {
  status: ["status", tenantSettingsFields.status],
  limits: ["limits", json(tenantSettingsFields.limits)],
  prices: ["prices", json(tenantSettingsFields.prices)],
  models: ["models", orNull(json(tenantSettingsFields.models))],
  prepaid: ["prepaid", bit],
  openingBalance: ["opening_balance", tenantSettingsFields.openingBalance],
  lowBalance: ["low_balance", tenantSettingsFields.lowBalance],
} as const satisfies Columns<TenantSettings>;

export const retentionDays = wholeFrom(1);

/** A region that this version does not know is none. */
const locationHint = [
  "location_hint",
  (value: unknown) => locationHints.find((hint) => hint === value) ?? null,
] as const;

/** What a call that may be the first to the tenant's object has to know. */
export const location = rowCodec<Pick<Tenant, "locationHint">>("tenants", { locationHint });

export const tenantColumns = {
  ...settings,
  id: ["id", text],
  name: ["name", text],
  turnstileSecret: ["turnstile_secret", orNull(text)],
  retentionDays: ["retention_days", orNull(retentionDays)],
  locationHint,
  maxKeys: ["max_keys", whole],
  createdMs: ["created_ms", whole],
  deletedMs: ["deleted_ms", orNull(whole)],
} as const satisfies Columns<Omit<Tenant, "webhook">>;

const tenant = rowCodec<Omit<Tenant, "webhook">>("tenants", tenantColumns);
const webhook = rowCodec<TenantWebhook>("tenants", {
  url: ["webhook_url", orNull(text)],
  events: ["webhook_events", orNull(json(knownOf(webhookEvents)))],
  notifyUrl: ["webhook_notify_url", orNull(text)],
  off: [
    "webhook_off",
    orNull(json(record<SwitchedOff>({ atMs: whole, reason: oneOf(offReasons) }))),
    `(SELECT json_object('atMs', at_ms, 'reason', reason) FROM gone_urls
       WHERE gone_urls.tenant_id = tenants.id AND gone_urls.url IN (tenants.webhook_url, 'webhook/*')
       ORDER BY at_ms DESC LIMIT 1)`,
  ],
});

export const tenantSelection = `${tenant.columns}, ${webhook.columns}`;

/** @throws StoredDataUnreadable */
export function tenantFromRow(row: unknown): Tenant {
  return { ...tenant.read(row), webhook: webhook.read(row) };
}

/** SQL: goes beyond what the object has, also where the version is no number any more, or the object would ignore the copy. */
export const nextVersion =
  "config_version = max(CAST(config_version AS INTEGER), CAST(pushed_version AS INTEGER)) + 1";

export const copiedVersion = rowCodec<{ version: number }>("tenants", { version: ["config_version", whole] });

/** Whether the tenant's object has acknowledged the newest copy. */
export const acknowledged = rowCodec<{ isAcknowledged: boolean }>("tenants", {
  isAcknowledged: ["is_acknowledged", bit, "pushed_version >= config_version"],
});

/** What a tenant's object keeps of its tenant's row. */
export const copiedTenant = rowCodec<TenantSettings & { version: number }>("tenants", {
  ...settings,
  version: ["config_version", whole],
});
