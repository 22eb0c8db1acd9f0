/** Reads and changes the webhook of the tenant whose key of scope `manage` asks. */
import { findTenant, type Tenant, type WebhookChange } from "../../d1/tenants/tenants.ts";
import { ApiError } from "../../errors.ts";
import { changeTenant } from "../../flows/tenants/tenant-settings.ts";
import type { AppContext } from "../../http/context.ts";
import { authorizeManager, refuseStopped } from "../account/managing-key.ts";
import { viewWebhook } from "./webhook-fields.ts";

/** @throws ApiError for a key that is refused, or lacks scope `manage`. */
export async function ownTenant(c: AppContext) {
  const { tenantId, by } = await authorizeManager(c);
  const tenant = await findTenant(c.get("invocation").db, tenantId);
  if (!tenant) throw new ApiError("invalid_key", "The key is not valid.");
  return { tenant, by };
}

/**
 * Changes the webhook, and gives it as it is shown.
 * @param make Makes the change from what the tenant has.
 */
export async function changeOwnWebhook(c: AppContext, make: (tenant: Tenant) => WebhookChange) {
  const { tenant, by } = await ownTenant(c);
  const webhook = make(tenant);
  const result = await changeTenant(c.get("invocation"), by, tenant.id, { webhook });
  if (result.kind !== "changed") return refuseStopped(c);
  return viewWebhook(result.tenant.webhook, webhook.secret?.text);
}
