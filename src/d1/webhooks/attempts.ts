/** Records the attempts of deliveries, and drops deliveries that are no longer wanted. */
import { endpointBackoffsMs, failureGapMs } from "../../domain/webhooks.ts";
import { type Actor, mayStill, valuesOf } from "../tenants/key-row.ts";
import type { Sending } from "./deliveries.ts";
import { endSuffixes, webhookEndpoint } from "./delivery-row.ts";

/** How an attempt ended. */
export interface AttemptResult {
  status: number | null;
  problem: string | null;
  /**
   * `expired`: it was not attempted, and is no more. `unavailable`: its task could not be read, which says nothing of the
   * receiver. `againMs`: when it is attempted next; undefined: no more.
   */
  outcome:
    | { kind: "delivered" }
    | { kind: "dropped" }
    | { kind: "expired" }
    | { kind: "gone" }
    | { kind: "failed" | "unavailable"; againMs: number | undefined };
}

const endStates = { delivered: "delivered", dropped: "dropped", expired: "failed", gone: "dropped" } as const;

/**
 * Records how an attempt ended, by the holder of the lease only.
 * @returns since when its endpoint fails; undefined: it does not.
 */
export async function recordAttempt(
  db: D1Database,
  one: Sending,
  attempted: AttemptResult,
  nowMs: number,
): Promise<number | undefined> {
  const { outcome } = attempted;
  const againMs = "againMs" in outcome ? outcome.againMs : undefined;
  const goesOn = againMs === undefined ? "failed" : "pending";
  const state = "againMs" in outcome ? goesOn : endStates[outcome.kind];
  const results = await db.batch<{ failingSinceMs?: number }>([
    db
      .prepare(
        `UPDATE deliveries SET state = ?3, open = ?3 = 'pending', due_ms = coalesce(?4, due_ms), last_ms = ?5,
           last_status = ?6, last_problem = ?7
         WHERE id = ?1 AND state = 'sending' AND due_ms = ?2`,
      )
      .bind(one.id, one.leaseUntilMs, state, againMs ?? null, nowMs, attempted.status, attempted.problem),
    ...afterAttempt(db, one, outcome.kind, nowMs),
  ]);
  return results.at(-1)?.results[0]?.failingSinceMs;
}

function afterAttempt(
  db: D1Database,
  { tenantId, endpoint }: Sending,
  kind: AttemptResult["outcome"]["kind"],
  nowMs: number,
): D1PreparedStatement[] {
  const works = deleteFailures(db, tenantId, endpoint);
  if (kind === "dropped" || kind === "expired" || kind === "unavailable") return [];
  if (kind !== "failed") return [works];
  const backoffMs = (failures: string) =>
    `json_extract(?4, '$[' || min(${failures}, ${endpointBackoffsMs.length - 1}) || ']')`;
  const fails = db
    .prepare(
      `INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms, failing_since_ms)
       VALUES (?1, ?2, 1, ?3 + ${backoffMs("1")}, ?3)
       ON CONFLICT (tenant_id, endpoint) DO UPDATE SET failures = failures + 1,
         backoff_until_ms = ?3 + ${backoffMs("failures + 1")},
         failing_since_ms = iif(backoff_until_ms < ?3 - ${failureGapMs}, ?3, coalesce(failing_since_ms, ?3))
       RETURNING failing_since_ms AS failingSinceMs`,
    )
    .bind(tenantId, endpoint, nowMs, JSON.stringify(endpointBackoffsMs));
  return [fails];
}

/** The statement by which an endpoint counts as one that works. */
export function deleteFailures(
  db: D1Database,
  tenantId: string,
  endpoint: string,
  by: Actor | null = null,
): D1PreparedStatement {
  return db
    .prepare(`DELETE FROM endpoints WHERE tenant_id = ?1 AND endpoint = ?2 AND ${mayStill("?3", "?4")}`)
    .bind(tenantId, endpoint, ...valuesOf(by));
}

const dropped = "SET state = 'dropped', open = 0, last_problem = 'nobody wants it any more'";

/** The statement that drops a tenant's open webhook deliveries. One that is being sent is dropped at its next attempt. */
export function dropWebhookDeliveries(
  db: D1Database,
  tenantId: string,
  by: Actor | null,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE deliveries ${dropped}
       WHERE open = 1 AND tenant_id = ?1 AND endpoint = '${webhookEndpoint}' AND state = 'pending'
         AND ${mayStill("?2", "?3")}`,
    )
    .bind(tenantId, ...valuesOf(by));
}

/** Drops the open deliveries of tasks. */
export async function dropDeliveriesOf(db: D1Database, taskIds: string[]): Promise<void> {
  const ids = taskIds.flatMap((id) =>
    Object.values(endSuffixes).map((suffix) => `msg-${id.slice("task-".length)}${suffix}`),
  );
  await db
    .prepare(
      `UPDATE deliveries ${dropped}
       WHERE id IN (SELECT value FROM json_each(?1)) AND open = 1 AND state = 'pending'`,
    )
    .bind(JSON.stringify(ids))
    .run();
}
