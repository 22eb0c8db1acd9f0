/** A webhook tried again by hand: at once, with all its tries before it. */
import type { Deps } from "../deps.ts";
import { insertAct } from "../store/acts.ts";
import { type Delivery, retryDelivery } from "../store/delivery-log.ts";
import { wakeDelivery } from "./lanes.ts";
import type { Actor } from "./tenants.ts";

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
