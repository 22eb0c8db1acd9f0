/** A webhook attempted again by hand: at once, with all its tries before it. */

import { insertAuditEntry } from "../../d1/tenants/audit-log.ts";
import { type Delivery, retryDelivery } from "../../d1/webhooks/delivery-log.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Actor } from "../tenants/tenants.ts";
import { wakeDelivery } from "./wake-delivery.ts";

/** @param tenantId Null: the operator's, whoever's delivery it is. @returns undefined when there is none. */
export async function retryNow(
  invocation: Invocation,
  by: Actor,
  tenantId: string | null,
  id: string,
): Promise<Delivery | undefined> {
  const delivery = await retryDelivery(invocation.db, tenantId, id, invocation.now());
  if (!delivery) return undefined;
  const what = { action: "webhook.retry", tenantId: delivery.tenantId, subject: id, details: {} };
  await insertAuditEntry(invocation.db, {
    ...by,
    ...what,
    id: invocation.newId("auditEntry"),
    atMs: invocation.now(),
  }).run();
  wakeDelivery(invocation);
  return delivery;
}
