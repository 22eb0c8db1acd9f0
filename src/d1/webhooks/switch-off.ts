/**
 * Endpoints that are switched off: a URL that answered 410, a webhook or an origin of callbacks that took nothing for days.
 * A row of `gone_urls` says so, and whatever puts deliveries into the outbox or takes them out of it looks there.
 */
import { disabledEvent, type OffReason, switchOffAfterMs } from "../../domain/webhooks.ts";
import { type Actor, mayStill, valuesOf } from "../tenants/key-row.ts";
import { deleteFailures, dropWebhookDeliveries } from "./attempts.ts";
import type { Sending } from "./deliveries.ts";
import { callback, isOwnEndpoint, notifyEndpoint, webhookEndpoint } from "./delivery-row.ts";

/** Of an origin of callbacks that is tried again each day, in vain, the tenant is notified once. */
const notifiedAgainMs = 3 * 86_400_000;
/** What is left is dropped when it is claimed. */
const droppedAtOnce = 10_000;

/**
 * Switches an endpoint off, drops what is open and notifies its tenant, in one transaction. One that fails has to have failed
 * for long enough in that transaction, and a tenant's own address to be the one that it has: a 2xx of another sender, or an
 * address that was set meanwhile, keeps it on.
 * @param notice The delivery that notifies the tenant.
 * @returns false where it stays on.
 */
export async function switchOff(
  db: D1Database,
  { tenantId, endpoint, url }: Pick<Sending, "tenantId" | "endpoint" | "url">,
  reason: OffReason,
  nowMs: number,
  notice: { id: string; data: object },
): Promise<boolean> {
  const isOwn = isOwnEndpoint(endpoint);
  // Each task may have a callback of its own: one that is gone says nothing of the others.
  const isOne = !isOwn && reason === "gone";
  const off = isOne ? url : `${endpoint}/*`;
  const isDue = `FROM tenants WHERE id = ?1 AND (${isOwn ? "?4 IN (webhook_url, webhook_notify_url)" : "?4 = ?4"})
    AND (?6 = 'gone' OR EXISTS (SELECT 1 FROM endpoints
      WHERE tenant_id = ?1 AND endpoint = ?2 AND failing_since_ms <= ?3 - ${switchOffAfterMs}))`;
  const values = [tenantId, endpoint, nowMs, url, off, reason];
  const [, switched] = await db.batch([
    db
      .prepare(
        `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
         SELECT ?7, ?1, '${notifyEndpoint}', '${disabledEvent}', ?8, ?3, ?3 ${isDue}
           AND webhook_notify_url IS NOT NULL AND ?2 <> '${notifyEndpoint}' AND ${isOne ? 0 : 1} AND NOT EXISTS (
             SELECT 1 FROM gone_urls WHERE tenant_id = ?1 AND url = ?5 AND at_ms > ?3 - ${notifiedAgainMs})`,
      )
      .bind(...values, notice.id, JSON.stringify(notice.data)),
    db
      .prepare(
        `INSERT INTO gone_urls (tenant_id, url, at_ms, reason) SELECT ?1, ?5, ?3, ?6 ${isDue} AND ?2 = ?2
         ON CONFLICT (tenant_id, url) DO UPDATE SET at_ms = max(at_ms, ?3), reason = ?6`,
      )
      .bind(...values),
    dropOfSwitchedOff(db, tenantId, endpoint, droppedAtOnce),
    // An own address starts anew when it is set again. An origin of callbacks has one attempt a day.
    db
      .prepare(
        `DELETE FROM endpoints WHERE tenant_id = ?1 AND endpoint = ?2 AND ${isOwn ? 1 : 0} AND EXISTS (
           SELECT 1 FROM gone_urls WHERE tenant_id = ?1 AND url = ?3)`,
      )
      .bind(tenantId, endpoint, off),
  ]);
  return (switched?.meta.changes ?? 0) > 0;
}

/**
 * The statement that drops what an endpoint that is switched off as a whole has left open. What came after an origin of
 * callbacks was switched off stays.
 * @param limit So many at the most, and none that is being sent; -1: all, whose senders record nothing then.
 */
export function dropOfSwitchedOff(
  db: D1Database,
  tenantId: string,
  endpoint: string,
  limit: number,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE deliveries SET state = 'dropped', open = 0, last_problem = 'its endpoint was switched off' WHERE id IN (
         SELECT one.id FROM gone_urls AS gone CROSS JOIN deliveries AS one INDEXED BY deliveries_open
           ON one.open = 1 AND one.tenant_id = ?1 AND one.endpoint = ?2
         WHERE gone.tenant_id = ?1 AND gone.url = ?2 || '/*' AND (?3 < 0 OR one.state = 'pending')
           AND (${isOwnEndpoint(endpoint) ? 1 : 0} OR one.created_ms <= gone.at_ms)
         LIMIT ?3)`,
    )
    .bind(tenantId, endpoint, limit);
}

/** The statement that switches on an endpoint, and a URL of it: that of a task's callback where there is none given. */
export function switchOn(
  db: D1Database,
  { tenantId, endpoint, taskId }: { tenantId: string; endpoint: string; taskId: string | null },
): D1PreparedStatement {
  return db
    .prepare(
      `DELETE FROM gone_urls WHERE tenant_id = ?1 AND url IN (?2 || '/*', CASE ?2
         WHEN '${webhookEndpoint}' THEN (SELECT webhook_url FROM tenants WHERE id = ?1)
         ELSE (SELECT ${callback} FROM tasks AS task WHERE id = ?3) END)`,
    )
    .bind(tenantId, endpoint, taskId);
}

/**
 * The statements that go before a change of a tenant's addresses. An address that is set works again, whatever it answered
 * before, and what was left open when it was switched off is not sent; open deliveries of a webhook that is removed are dropped.
 */
export function afterWebhook(
  db: D1Database,
  id: string,
  { url, notifyUrl }: { url?: string | null | undefined; notifyUrl?: string | null | undefined },
  by: Actor | null,
): D1PreparedStatement[] {
  const set = (endpoint: string, to: string) => [
    dropOfSwitchedOff(db, id, endpoint, -1),
    db
      .prepare(
        `DELETE FROM gone_urls WHERE tenant_id = ?1 AND url IN (?2, ?5 || '/*') AND ${mayStill("?3", "?4")}`,
      )
      .bind(id, to, ...valuesOf(by), endpoint),
    deleteFailures(db, id, endpoint, by),
  ];
  return [
    ...(url === null ? [dropWebhookDeliveries(db, id, by)] : []),
    ...(url === undefined ? [] : set(webhookEndpoint, url ?? "")),
    ...(notifyUrl ? set(notifyEndpoint, notifyUrl) : []),
  ];
}

/** A webhook that is switched off, for the operator. */
export interface WebhookOff {
  tenant: string;
  /** Unix seconds. */
  at: number;
  reason: OffReason;
}

/** The statement that reads the webhooks which were switched off last, twenty at the most. */
export function selectWebhooksOff(db: D1Database): D1PreparedStatement {
  return db.prepare(
    `SELECT tenant_id AS tenant, at_ms / 1000 AS at, reason FROM gone_urls INDEXED BY webhooks_switched_off
     WHERE url = '${webhookEndpoint}/*' ORDER BY at_ms DESC LIMIT 20`,
  );
}
