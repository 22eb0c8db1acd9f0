/**
 * Making and changing tenants and keys. D1 is the truth; the tenant's object decides by a copy. A change is
 * answered once both have it, and where the push fails cron repeats it. Each is one transaction with the line
 * that says who did it.
 */

import { type AuditEntry, insertAuditEntry } from "../../d1/tenants/audit-log.ts";
import { findKey, insertKey, type ListedKey, markRotated, revokeKey } from "../../d1/tenants/keys.ts";
import {
  bumpConfigVersion,
  findTenant,
  insertTenant,
  type Tenant,
  type TenantChange,
  updateTenant,
  type WebhookChange,
} from "../../d1/tenants/tenants.ts";
import { formatKey, keySecretBytes, type StoredKey } from "../../domain/keys.ts";
import type { Credit } from "../../domain/ledger-lines.ts";
import { sha256Hex } from "../../domain/signing.ts";
import { formatSecret, secretBytes, type WebhookEvent } from "../../domain/webhooks.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { CreditResult } from "../../tenant/object.ts";
import { pushConfig } from "./push-config.ts";

/** Who changes something: the operator, or a tenant by one of its keys. */
export interface Actor {
  /** "admin", or a key's id. */
  actor: string;
  requestId: string;
}

function audit(
  invocation: Invocation,
  by: Actor,
  what: Omit<AuditEntry, keyof Actor | "id" | "atMs">,
): D1PreparedStatement {
  return insertAuditEntry(invocation.db, {
    ...by,
    ...what,
    id: invocation.newId("auditEntry"),
    atMs: invocation.now(),
  });
}

/** @returns false when the id is taken, or ever was. */
export async function createTenant(
  invocation: Invocation,
  by: Actor,
  tenant: Tenant,
  webhookSecret: string,
): Promise<boolean> {
  if (!(await insertTenant(invocation.db, tenant, webhookSecret))) return false;
  const details = { name: tenant.name };
  await audit(invocation, by, {
    action: "tenant.create",
    tenantId: tenant.id,
    subject: tenant.id,
    details,
  }).run();
  await pushConfig(invocation, tenant.id);
  return true;
}

export type ChangeResult =
  | { kind: "changed"; tenant: Tenant }
  | { kind: "no_tenant" }
  | Extract<CreditResult, { kind: "balance_held" }>;

/** Changes a tenant. @param balance What its balance is to be; the difference is an adjustment in its ledger. */
export async function changeTenant(
  invocation: Invocation,
  by: Actor,
  id: string,
  change: TenantChange,
  balance?: number,
): Promise<ChangeResult> {
  if (balance !== undefined) {
    const set = await invocation
      .tenant(id)
      .setBalance(id, balance, `gateway: set by ${by.requestId}`, invocation.now());
    if (set.kind === "no_tenant") return set;
    if (set.kind === "balance_held") return set;
  }
  const tenant = await updateTenant(invocation.db, id, change);
  if (!tenant) return { kind: "no_tenant" };
  const { turnstileSecret, webhook, ...shown } = change;
  const details = {
    ...shown,
    balance,
    turnstileSecret: turnstileSecret === undefined ? undefined : "…",
    webhook: webhook && describeWebhook(webhook),
  };
  await audit(invocation, by, { action: "tenant.change", tenantId: id, subject: id, details }).run();
  await pushConfig(invocation, id);
  return { kind: "changed", tenant };
}

/** So long a webhook's former secret signs beside a new one, unless something else is asked for. */
export const secretOverlapMs = 86_400_000;

/** What is wanted of a webhook; a secret that is left out is made where there was no webhook before. */
export interface WantedWebhook {
  url: string | null;
  events: WebhookEvent[] | null;
  secret?: string | undefined;
}

/** The change that a wanted webhook comes to. */
export function webhookChange(
  invocation: Invocation,
  before: Tenant,
  { url, events, secret }: WantedWebhook,
): WebhookChange {
  const text =
    secret ?? (url !== null && before.webhook.url === null ? newWebhookSecret(invocation) : undefined);
  return {
    url,
    events,
    secret: text === undefined ? undefined : newSecret(invocation, text, secretOverlapMs),
  };
}

/** A secret that takes over, beside the one before for so long. */
export function newSecret(invocation: Pick<Invocation, "now">, text: string, overlapMs: number) {
  const nowMs = invocation.now();
  return { text, beforeUntilMs: nowMs + overlapMs, nowMs };
}

export function newWebhookSecret(invocation: Pick<Invocation, "randomBytes">): string {
  return formatSecret(invocation.randomBytes(secretBytes));
}

/** For the log of acts: a URL's path may hold a secret of the receiver's. */
function describeWebhook({ url, events, secret }: WebhookChange) {
  const origin = typeof url === "string" ? new URL(url).origin : url;
  return { origin, events, secret: secret === undefined ? undefined : "…" };
}

/** Tops up, refunds or adjusts; once per reference. */
export async function giveCredits(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  credit: Credit,
): Promise<CreditResult> {
  const result = await invocation.tenant(tenantId).credit(tenantId, credit, invocation.now());
  if (result.kind === "done" && !result.repeated) {
    const { type, amount, reference } = credit;
    const details = { type, amount, reference };
    await audit(invocation, by, { action: "credits.give", tenantId, subject: tenantId, details }).run();
  }
  return result;
}

/** What a new key is to be. */
export type WantedKey = Omit<ListedKey, "id" | "hash" | "createdMs" | "revokedMs">;
export interface MadeKey {
  /** The key's text, which is here and nowhere else. */
  key: string;
  stored: ListedKey;
}

/** Makes a key; undefined when there is no such tenant. */
export async function createKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  wanted: WantedKey,
): Promise<MadeKey | undefined> {
  // What nobody made leaves no line in the log of acts either.
  if (!(await findTenant(invocation.db, tenantId))) return undefined;
  const made = await makeKey(invocation, tenantId, wanted);
  const { id, name, kind } = made.stored;
  const [inserted] = await invocation.db.batch([
    insertKey(invocation.db, tenantId, made.stored),
    bumpConfigVersion(invocation.db, tenantId),
    audit(invocation, by, { action: "key.create", tenantId, subject: id, details: { name, kind } }),
  ]);
  if (!inserted?.meta.changes) return undefined;
  await pushConfig(invocation, tenantId);
  return made;
}

async function makeKey(invocation: Invocation, tenantId: string, wanted: WantedKey): Promise<MadeKey> {
  const [signer] = invocation.signers.keys;
  if (!signer) throw new Error("no signing secret");
  const id = invocation.newId("key");
  const claims = { kind: wanted.kind, tenantId, keyId: id };
  const key = await formatKey(signer, claims, invocation.randomBytes(keySecretBytes));
  const hash = await sha256Hex(key);
  return { key, stored: { ...wanted, id, hash, createdMs: invocation.now(), revokedMs: null } };
}

/**
 * Replaces a key, once: the new one is as the old one was, which works on for the overlap.
 * @returns undefined when there is no such key, or it works no more; "rotated" when it was replaced before.
 */
export async function rotateKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  keyId: string,
  overlapMs: number,
): Promise<MadeKey | "rotated" | undefined> {
  const old = await findKey(invocation.db, tenantId, keyId);
  if (!old || !isLive(old, invocation.now())) return undefined;
  const { id: _id, hash: _hash, createdMs: _createdMs, revokedMs: _revokedMs, ...wanted } = old;
  const made = await makeKey(invocation, tenantId, wanted);
  const details = { new_key: made.stored.id, overlap_seconds: overlapMs / 1000 };
  const [inserted] = await invocation.db.batch([
    insertKey(invocation.db, tenantId, made.stored, keyId),
    markRotated(invocation.db, tenantId, keyId, invocation.now() + overlapMs),
    bumpConfigVersion(invocation.db, tenantId),
    audit(invocation, by, { action: "key.rotate", tenantId, subject: keyId, details }),
  ]);
  if (!inserted?.meta.changes) return "rotated";
  await pushConfig(invocation, tenantId);
  return made;
}

function isLive(key: StoredKey, nowMs: number): boolean {
  return key.revokedMs === null && (key.expiresMs === null || key.expiresMs > nowMs);
}

/** Revokes a key from now on; false when there is none of that id. A second time changes nothing. */
export async function dropKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  keyId: string,
): Promise<boolean> {
  if (!(await findKey(invocation.db, tenantId, keyId))) return false;
  await invocation.db.batch([
    revokeKey(invocation.db, tenantId, keyId, invocation.now()),
    bumpConfigVersion(invocation.db, tenantId),
    audit(invocation, by, { action: "key.revoke", tenantId, subject: keyId, details: {} }),
  ]);
  await pushConfig(invocation, tenantId);
  return true;
}
