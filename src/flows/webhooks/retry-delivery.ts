/** The operator's or tenant's retry of a delivery, at once; its earlier attempts stay in its log. */

import { type Delivery, retryDelivery } from "../../d1/webhooks/delivery-log.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { wakeDelivery } from "./wake-delivery.ts";

/** @param tenantId Null for the operator, who may retry any tenant's delivery. @returns undefined when there is none. */
export async function retryNow(
  invocation: Invocation,
  by: Actor,
  tenantId: string | null,
  id: string,
): Promise<Delivery | undefined> {
  const delivery = await retryDelivery(invocation.db, tenantId, id, invocation.now());
  if (!delivery) return undefined;
  const what = { action: "webhook.retry", tenantId: delivery.tenantId, subject: id, details: {} };
  await auditEntry(invocation, by, what).run();
  wakeDelivery(invocation);
  return delivery;
}
