/** The outbox read as a log, and deliveries attempted again by hand. */
import type { WebhookEvent } from "../../domain/webhooks.ts";
import { deleteFailures } from "./attempts.ts";

export const deliveryStates = ["pending", "delivered", "failed", "dropped"] as const;
export type DeliveryState = (typeof deliveryStates)[number];

export interface Delivery {
  id: string;
  tenantId: string;
  /** `webhook`, or the origin of a task's `callback_url`. */
  endpoint: string;
  event: WebhookEvent;
  taskId: string | null;
  state: DeliveryState;
  createdMs: number;
  /** When it is attempted next; null: no more. */
  dueMs: number | null;
  attempts: number;
  lastMs: number | null;
  lastStatus: number | null;
  lastProblem: string | null;
}

interface DeliveryRow {
  id: string;
  tenant_id: string;
  endpoint: string;
  event: WebhookEvent;
  task_id: string | null;
  state: DeliveryState | "sending";
  open: number;
  created_ms: number;
  due_ms: number;
  attempts: number;
  last_ms: number | null;
  last_status: number | null;
  last_problem: string | null;
}

const fromRow = (row: DeliveryRow): Delivery => ({
  id: row.id,
  tenantId: row.tenant_id,
  endpoint: row.endpoint,
  event: row.event,
  taskId: row.task_id,
  state: row.state === "sending" ? "pending" : row.state,
  createdMs: row.created_ms,
  dueMs: row.open === 1 ? row.due_ms : null,
  attempts: row.attempts,
  lastMs: row.last_ms,
  lastStatus: row.last_status,
  lastProblem: row.last_problem,
});

export interface DeliveryFilter {
  tenant?: string | undefined;
  status?: DeliveryState | undefined;
  task?: string | undefined;
}

/** Reads the log by id, newest first, before `beforeId`: the order of the tasks that are told of. */
export async function listDeliveries(
  db: D1Database,
  { tenant, status, task }: DeliveryFilter,
  beforeId: string,
  limit: number,
): Promise<Delivery[]> {
  const states = status === "pending" ? ["pending", "sending"] : status ? [status] : null;
  const { results } = await db
    .prepare(
      `SELECT * FROM deliveries WHERE id < ?1 ${tenant === undefined ? "" : "AND tenant_id = ?2"}
         AND (?3 IS NULL OR state IN (SELECT value FROM json_each(?3))) AND (?4 IS NULL OR task_id = ?4)
       ORDER BY id DESC LIMIT ?5`,
    )
    .bind(beforeId, tenant ?? null, states && JSON.stringify(states), task ?? null, limit)
    .all<DeliveryRow>();
  return results.map(fromRow);
}

/**
 * Makes a delivery due now, with all its tries before it, and its endpoint one that works. One that is being sent right
 * now is left alone.
 * @param tenantId Null: whoever's it is.
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
    .all<DeliveryRow>();
  const [found] = results;
  if (!found) return undefined;
  const [after] = await db.batch([
    db
      .prepare(
        `UPDATE deliveries SET state = 'pending', open = 1, attempts = 0, due_ms = ?2
         WHERE id = ?1 AND (state <> 'sending' OR due_ms <= ?2) RETURNING *`,
      )
      .bind(id, nowMs),
    deleteFailures(db, found.tenant_id, found.endpoint),
    db
      .prepare(
        `DELETE FROM gone_urls WHERE tenant_id = ?1 AND url = iif(?2 = 'webhook',
           (SELECT webhook_url FROM tenants WHERE id = ?1),
           (SELECT json_extract(input, '$.callback_url') FROM tasks WHERE id = ?3))`,
      )
      .bind(found.tenant_id, found.endpoint, found.task_id),
  ]);
  const [row = found] = (after?.results ?? []) as DeliveryRow[];
  return fromRow(row);
}
