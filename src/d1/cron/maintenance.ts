/** What cron finds to do beside tasks, in one call at the start of a tick, which also ends old deliveries. */
import { selectArchiveDue } from "../archive/due-for-archive.ts";
import { isErasingDue, selectErasingDue } from "../erasure/aged-rows.ts";
import { nextDeliveryMs, selectNextDelivery } from "../webhooks/deliveries.ts";
import { endExpired, selectLogsDue } from "../webhooks/delivery-ends.ts";
import { noteCron } from "./leases.ts";
import { areSumsDue, selectSumsDue } from "./sums.ts";

export interface MaintenanceWork {
  /** Tenants whose object has not acknowledged the newest copy. */
  unpushed: string[];
  /** Something is to be erased, or has come to the end of its life. */
  isErasingDue: boolean;
  /** The archive comes to a tenant, or objects of it are to be swept. */
  isArchiveDue: boolean;
  /** When the next webhook is due; null: none is open. */
  deliveryDueMs: number | null;
  /** D1 has gone back since cron was last here, or cron was out. */
  isRestored: boolean;
  /** There are tasks to add up. */
  areSumsDue: boolean;
  /** Logs of deliveries are to be examined, or cut. */
  areLogsDue: boolean;
}

const most = { tenants: 20, deliveries: 5_000 };

/** @param archives Tasks are archived. */
export async function readMaintenance(
  db: D1Database,
  nowMs: number,
  archives = false,
): Promise<MaintenanceWork> {
  const [unpushed, next, erasing, archive, sums, logs, seen] = await db.batch<Record<string, unknown>>([
    db.prepare(
      `SELECT id FROM tenants INDEXED BY tenants_unpushed WHERE pushed_version < config_version LIMIT ${most.tenants}`,
    ),
    selectNextDelivery(db),
    selectErasingDue(db, nowMs),
    selectArchiveDue(db, nowMs, archives),
    selectSumsDue(db, nowMs),
    selectLogsDue(db, nowMs),
    noteCron(db, nowMs),
    endExpired(db, nowMs, most.deliveries),
  ]);
  return {
    unpushed: ((unpushed?.results ?? []) as { id: string }[]).map(({ id }) => id),
    isErasingDue: isErasingDue(erasing),
    isArchiveDue: (archive?.results ?? []).length > 0,
    deliveryDueMs: nextDeliveryMs(next),
    isRestored: seen?.meta.changes === 0,
    areSumsDue: areSumsDue(sums),
    areLogsDue: (logs?.results ?? []).length > 0,
  };
}
