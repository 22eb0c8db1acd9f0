/** What cron finds to do beside tasks, in one read at the start of a tick. */
import { isErasingDue, selectErasingDue } from "../erasure/aged-rows.ts";
import { nextDeliveryMs, selectNextDelivery } from "../webhooks/deliveries.ts";

export interface MaintenanceWork {
  /** Tenants whose object has not acknowledged the newest copy. */
  unpushed: string[];
  /** Something is to be erased, or has come to the end of its life. */
  isErasingDue: boolean;
  /** When the next webhook is due; null: none is open. */
  deliveryDueMs: number | null;
}

const mostTenants = 20;

export async function readMaintenance(db: D1Database, nowMs: number): Promise<MaintenanceWork> {
  const [unpushed, next, erasing] = await db.batch<Record<string, unknown>>([
    db.prepare(
      `SELECT id FROM tenants INDEXED BY tenants_unpushed WHERE pushed_version < config_version LIMIT ${mostTenants}`,
    ),
    selectNextDelivery(db),
    selectErasingDue(db, nowMs),
  ]);
  return {
    unpushed: ((unpushed?.results ?? []) as { id: string }[]).map(({ id }) => id),
    isErasingDue: isErasingDue(erasing),
    deliveryDueMs: nextDeliveryMs(next),
  };
}
