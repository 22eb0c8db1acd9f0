/** A webhook tried again by hand: at once, with all its tries before it. */

import { insertAct } from "../../d1/tenants/audit-log.ts";
import { type Delivery, retryDelivery } from "../../d1/webhooks/delivery-log.ts";
import type { Deps } from "../../platform/invocation.ts";
import { wakeDelivery } from "../cron/lane-starter.ts";
import type { Actor } from "../tenants/tenants.ts";

/** @param tenantId Null: the operator's, whoever's delivery it is. @returns undefined when there is none. */
export async function retryNow(
  deps: Deps,
  by: Actor,
  tenantId: string | null,
  id: string,
): Promise<Delivery | undefined> {
  const delivery = await retryDelivery(deps.db, tenantId, id, deps.now());
  if (!delivery) return undefined;
  const what = { act: "webhook.retry", tenantId: delivery.tenantId, subject: id, details: {} };
  await insertAct(deps.db, { ...by, ...what, id: deps.newId("act"), atMs: deps.now() }).run();
  wakeDelivery(deps);
  return delivery;
}
