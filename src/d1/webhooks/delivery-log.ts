/** The outbox read as a log, and deliveries that the operator or the tenant retries. */
import { earlier, idBound, idTimeMs } from "../../domain/ids.ts";
import type { DeliveryState } from "../../domain/webhooks.ts";
import { mostWalked, type Walked, walk } from "../walk.ts";
import { deleteFailures } from "./attempts.ts";
import { type Delivery, deliveryFromRow, storedAs } from "./delivery-row.ts";
import { dropOfSwitchedOff, switchOn } from "./switch-off.ts";

export type { Delivery } from "./delivery-row.ts";

export interface DeliveryFilter {
  tenant?: string | undefined;
  status?: DeliveryState | undefined;
  task?: string | undefined;
}

/** Deliveries about a task begin with its moment, as it does. */
const madeWithinMs = 60_000;

/** Reads the log by id, newest first, before `beforeId`: the order of the tasks that they are about. */
export async function listDeliveries(
  db: D1Database,
  { tenant, status, task }: DeliveryFilter,
  beforeId: string,
  limit: number,
): Promise<Walked<Delivery>> {
  const sought = ["id < ?"];
  const fits: string[] = [];
  const values = [beforeId];
  if (tenant !== undefined) {
    sought.push("tenant_id = ?");
    values.push(tenant);
  }
  if (task !== undefined) {
    const madeMs = idTimeMs("task", task);
    if (madeMs === undefined) return { rows: [], walkedTo: null };
    sought.push("id >= ?");
    values[0] = earlier(beforeId, idBound("delivery", madeMs + madeWithinMs));
    values.push(idBound("delivery", madeMs));
    fits.push("task_id = ?");
    values.push(task);
  }
  if (status !== undefined) {
    fits.push("state IN (SELECT value FROM json_each(?))");
    values.push(JSON.stringify(storedAs(status)));
  }
  const from = tenant === undefined ? "deliveries" : "deliveries INDEXED BY deliveries_of_tenant";
  const most = tenant === undefined ? mostWalked.operator : mostWalked.tenant;
  const { rows, walkedTo } = await walk(db, { from, sought, fits, values, most }, limit);
  return { rows: rows.map(deliveryFromRow), walkedTo };
}

/**
 * Makes a delivery due now, with all its attempts and a whole life before it, and its endpoint one that works and is switched
 * on. Nothing else that an endpoint which was switched off has left is sent. One that is being sent right now is left alone.
 * @param tenantId Null: of any tenant.
 * @returns undefined when there is none.
 */
export async function retryDelivery(
  db: D1Database,
  tenantId: string | null,
  id: string,
  nowMs: number,
): Promise<Delivery | undefined> {
  const { results } = await db
    .prepare("SELECT * FROM deliveries WHERE id = ?1 AND (?2 IS NULL OR tenant_id = ?2)")
    .bind(id, tenantId)
    .all();
  if (!results[0]) return undefined;
  const found = deliveryFromRow(results[0]);
  const [, after] = await db.batch([
    dropOfSwitchedOff(db, found.tenantId, found.endpoint, -1),
    db
      .prepare(
        `UPDATE deliveries SET state = 'pending', open = 1, attempts = 0, due_ms = ?2, retried_ms = ?2
         WHERE id = ?1 AND (state <> 'sending' OR due_ms <= ?2) RETURNING *`,
      )
      .bind(id, nowMs),
    deleteFailures(db, found.tenantId, found.endpoint),
    switchOn(db, found),
  ]);
  const [row] = after?.results ?? [];
  return row === undefined ? found : deliveryFromRow(row);
}
