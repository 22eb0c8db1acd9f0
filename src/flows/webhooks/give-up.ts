/**
 * Giving up: deliveries whose life is over, endpoints that take nothing, and logs that outgrow their bound.
 *
 * A sweep ends what is too old while senders work. It leaves what is being sent to its sender, and a sender attempts
 * nothing that is too old:
 *
 *   sender A                                  sweep
 *   1. claims, sends
 *                                             2. leaves it out: its lease lasts
 *   3. 200 → `delivered`
 *   (or dies)                                 4. the lease ran out → `failed`
 *   5. comes back after all → changes nothing: it is not `sending` any more
 *
 * An endpoint is switched off by the sender whose attempt failed, while another sender has one under way:
 *
 *   sender A                                  sender B (same endpoint)
 *   1. fails, records: failing for five days
 *                                             2. 200 → `delivered`, and its failures are gone
 *   3. switches off → changes nothing: no failures
 *
 *   1. fails, records: failing for five days
 *   2. switches off, drops what is open,
 *      notifies the tenant
 *                                             3. 200 → `delivered`; the endpoint stays off, as the tenant was notified
 *                                             or 3. fails → due again; dropped when it is claimed
 *
 * Where A dies between its steps the next failure is followed by step 2. A webhook that is set again between them has no
 * failures, so step 2 changes nothing. One that is set again after it has all that is open dropped in the same transaction.
 */

import type { AttemptResult } from "../../d1/webhooks/attempts.ts";
import type { Sending } from "../../d1/webhooks/deliveries.ts";
import { cutLog, noteLogs, readNotedLogs } from "../../d1/webhooks/delivery-ends.ts";
import { isOwnEndpoint } from "../../d1/webhooks/delivery-row.ts";
import { switchOff } from "../../d1/webhooks/switch-off.ts";
import { idBound } from "../../domain/ids.ts";
import { toSeconds } from "../../domain/task.ts";
import { deliveryLogMs, keptDeliveries, switchOffAfterMs } from "../../domain/webhooks.ts";
import type { Invocation } from "../../platform/invocation.ts";

/**
 * Switches an endpoint off where an attempt says that it is gone, or has failed for too long.
 * @param failingSinceMs The first failure in a row; undefined: it did not fail.
 */
export async function giveUpEndpoint(
  invocation: Invocation,
  one: Sending,
  { outcome }: AttemptResult,
  failingSinceMs = Number.POSITIVE_INFINITY,
): Promise<void> {
  const nowMs = invocation.now();
  const reason = outcome.kind === "gone" ? "gone" : "failing";
  if (reason === "failing" && failingSinceMs > nowMs - switchOffAfterMs) return;
  const { id, tenantId: tenant, endpoint } = one;
  const data = { object: "webhook", target: endpoint, reason, at: toSeconds(nowMs) };
  const notice = { id: invocation.newId("delivery"), data };
  if (!(await switchOff(invocation.db, one, reason, nowMs, notice))) return;
  const target = isOwnEndpoint(endpoint) ? endpoint : "callback";
  invocation.log({ event: "endpoint_off", level: "error", tenant, id, target, reason });
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** What one tick deletes: in so many statements, of so many deliveries at the most. */
const cuts = { statements: 20, limit: 2_500 };
/** What was made before is found with the next day. */
const mostSinceMs = 6 * hourMs;

/**
 * Keeps each tenant's newest deliveries in its log. Once an hour tenants are noted that have had more than an hour's share of
 * a log since, and with each day all that have one: logs outgrow their bound little by little too, and what is open ends late.
 * Each tick cuts some of the logs that are noted, until none is.
 */
export async function boundLogs({ db, now }: Invocation): Promise<void> {
  const nowMs = now();
  const { untilMs, tenants } = await readNotedLogs(db, cuts.statements);
  if (untilMs <= nowMs) {
    // Where that is not known it begins now.
    const sinceMs = untilMs > nowMs - deliveryLogMs ? untilMs - hourMs : nowMs;
    const since = idBound("delivery", Math.max(sinceMs, nowMs - mostSinceMs));
    const share = Math.floor(keptDeliveries / (deliveryLogMs / hourMs));
    const all = Math.floor(nowMs / dayMs) > Math.floor(sinceMs / dayMs);
    await noteLogs(db, { since, share, all, untilMs: nowMs + hourMs });
  }
  for (let left = cuts.statements; left > 0; left--) {
    const tenant = tenants.shift();
    if (tenant === undefined) return;
    if (await cutLog(db, tenant, { kept: keptDeliveries, limit: cuts.limit })) tenants.push(tenant);
  }
}
