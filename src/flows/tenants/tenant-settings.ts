/**
 * Making and changing tenants. D1 is the truth; the tenant's object decides by a copy. A change is answered once both
 * have it, and where the push fails cron repeats it.
 */
import { insertTenant, type Tenant, type TenantChange, updateTenant } from "../../d1/tenants/tenants.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { CreditResult } from "../../tenant/settlement.ts";
import { noteTenantMade } from "../erasure/restore-notes.ts";
import { describeWebhook } from "../webhooks/webhook-settings.ts";
import { type Actor, auditEntry, keyOfActor } from "./audit-entry.ts";
import { close, pushConfig } from "./push-config.ts";

/** @returns false when the id is taken, or ever was. */
export async function createTenant(
  invocation: Invocation,
  by: Actor,
  tenant: Tenant,
  webhookSecret: string,
): Promise<boolean> {
  if (!(await insertTenant(invocation.db, tenant, webhookSecret))) return false;
  invocation.defer("restore_note", () => noteTenantMade(invocation, tenant.id));
  const details = { name: tenant.name };
  await auditEntry(invocation, by, {
    action: "tenant.create",
    tenantId: tenant.id,
    subject: tenant.id,
    details,
  }).run();
  await pushConfig(invocation, tenant.id, { lifts: true });
  return true;
}

export type ChangeResult =
  | { kind: "changed"; tenant: Tenant }
  | { kind: "no_tenant" }
  | Extract<CreditResult, { kind: "balance_held" }>;

/** Changes a tenant. @param balance Its new balance; the difference is an adjustment in its ledger. */
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
  // What cannot be read of the row has been changed as well, and the object has to know.
  const key = keyOfActor(by);
  const own = key === null ? null : { key, nowMs: invocation.now() };
  const tenant = await updateTenant(invocation.db, id, change, own).catch((error: unknown) => {
    if (error instanceof StoredDataUnreadable) return error;
    throw error;
  });
  if (!tenant) return { kind: "no_tenant" };
  const { turnstileSecret, webhook, ...shown } = change;
  const details = {
    ...shown,
    balance,
    turnstileSecret: turnstileSecret === undefined ? undefined : "…",
    webhook: webhook && describeWebhook(webhook),
  };
  await auditEntry(invocation, by, { action: "tenant.change", tenantId: id, subject: id, details }).run();
  if (change.status === "suspended") await close(invocation, id, { isSuspended: true });
  await pushConfig(invocation, id, { lifts: change.status === "active" });
  if (tenant instanceof StoredDataUnreadable) throw tenant;
  return { kind: "changed", tenant };
}
