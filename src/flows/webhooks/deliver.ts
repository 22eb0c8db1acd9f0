/**
 * Sending webhooks: each delivery of the outbox, at least once. Two senders of one delivery may meet:
 *
 *   sender A                            sender B
 *   1. claims, sends, waits long for the reply
 *                                       2. A's lease ran out: claims, sends, gets 200
 *                                       3. `delivered`, by its own lease
 *   4. time-out → changes nothing: the lease is not A's any more
 *
 * The receiver gets it twice under one `webhook-id`, by which it knows. When a sender dies, its attempt counts, and the
 * next one follows once the lease is over.
 */

import { selectPartOf } from "../../d1/archive/task-parts.ts";
import { taskFromRow } from "../../d1/tasks/task-row.ts";
import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import { type AttemptResult, recordAttempt } from "../../d1/webhooks/attempts.ts";
import {
  claimDeliveries,
  isCallbackOff,
  nextDeliveryMs,
  type Sending,
  selectNextDelivery,
} from "../../d1/webhooks/deliveries.ts";
import { isOwnEndpoint } from "../../d1/webhooks/delivery-row.ts";
import { checkAddress } from "../../domain/address.ts";
import { viewTask } from "../../domain/task.ts";
import { isTimeout, stoppedAfter } from "../../domain/time-limit.ts";
import { nextAttemptMs, notifiedTask, webhookHeaders } from "../../domain/webhooks.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { userAgent } from "../../upstream/evolink.ts";
import { archivedRow } from "../archive/read-archived.ts";
import { giveUpEndpoint } from "./give-up.ts";

const attemptLimitMs = 15_000;
/** One attempt, and time to record its outcome. */
const leaseMs = 30_000;
/** Connections of the lane that failing endpoints may take; the rest is for endpoints that worked last time. */
const forFailing = 3;
/** How often the lane reads the outbox. */
const readEveryMs = 500;
/** With nothing to do the lane stays until the first retry of its last attempt. */
const lingerMs = 6_000;

/** A lane short of connections for so long starts another one. */
const crowdedMs = 1_000;

/**
 * Delivers until `untilMs`, or until nothing is due for a while. Receivers that hang keep connections for as long as an
 * attempt may last; a lane that has been short of them for a second has another lane work beside it, in an invocation
 * with connections of its own.
 * @param untilMs 0: once, what is due now.
 */
export async function deliverLane(invocation: Invocation, untilMs: number): Promise<void> {
  const running = new Set<Promise<void>>();
  let relief: Promise<void> | undefined;
  let busyMs = invocation.now();
  let roomyMs = invocation.now();
  for (;;) {
    const claimed = await claim(invocation, running.size);
    for (const one of claimed) {
      const sent = deliver(invocation, one).finally(() => running.delete(sent));
      running.add(sent);
    }
    const nowMs = invocation.now();
    if (running.size < forFailing) roomyMs = nowMs;
    else if (nowMs - roomyMs >= crowdedMs) {
      relief ??= invocation.lanes.startAnother("deliver", untilMs).finally(() => {
        relief = undefined;
      });
    }
    if (running.size > 0) busyMs = nowMs;
    const lingers = untilMs !== 0 && nowMs - busyMs < lingerMs;
    if (untilMs === 0 && running.size === 0) break;
    const pauseMs = running.size > 0 || lingers ? readEveryMs : await untilNext(invocation);
    if (untilMs !== 0 && nowMs + pauseMs >= untilMs) break;
    await Promise.race([...running, invocation.sleep(pauseMs)]);
  }
  await Promise.all([...running, relief]);
}

/** Claims as many deliveries as the lane has free connections. */
function claim(invocation: Invocation, underWay: number): Promise<Sending[]> {
  const limit = connections - underWay;
  if (limit <= 0) return Promise.resolve([]);
  const failing = Math.min(limit, Math.max(0, forFailing - underWay));
  const nowMs = invocation.now();
  return claimDeliveries(
    invocation.db,
    { nowMs, leaseUntilMs: nowMs + leaseMs, limit, failing },
    skipUnreadable(invocation),
  );
}

/** Milliseconds until the next delivery that is in the outbox now. */
async function untilNext(invocation: Invocation): Promise<number> {
  const [result] = await invocation.db.batch([selectNextDelivery(invocation.db)]);
  const dueMs = nextDeliveryMs(result);
  return dueMs === null ? Number.POSITIVE_INFINITY : Math.max(readEveryMs, dueMs - invocation.now());
}

/** Attempts one delivery and records its outcome; never throws. */
async function deliver(invocation: Invocation, claimed: Sending): Promise<void> {
  try {
    const one = await withTask(invocation, claimed);
    const attempted = await attemptOnce(invocation, one);
    const { id, tenantId, event, attempts } = one;
    const { status, problem, outcome } = attempted;
    invocation.log({
      event: "delivery",
      id,
      tenant: tenantId,
      notified: event,
      attempts,
      status,
      problem,
      outcome: outcome.kind,
    });
    const failingSinceMs = await recordAttempt(invocation.db, one, attempted, invocation.now());
    await giveUpEndpoint(invocation, one, attempted, failingSinceMs);
  } catch (error) {
    // The lease runs out, and the next sender attempts it again.
    invocation.log({
      event: "delivery_not_recorded",
      level: "error",
      id: claimed.id,
      problem: describe(error),
    });
  }
}

/**
 * A delivery with the task that the archive has where D1 has none. One whose task is nowhere, or erased, has no URL; one whose
 * task cannot be read now goes on lacking it.
 */
async function withTask(invocation: Invocation, one: Sending): Promise<Sending> {
  const { taskId, tenantId } = one;
  if (!one.lacksTask || taskId === null) return one;
  const { db } = invocation;
  try {
    // In one transaction: it may be restored to D1 meanwhile.
    const read = [selectTask(db, tenantId, taskId), selectPartOf(db, tenantId, taskId)];
    const [stored, part] = await db.batch(read);
    const row = await archivedRow(invocation, taskId, part);
    const task = firstTask(stored) ?? (row ? taskFromRow(row) : null);
    const isOwn = isOwnEndpoint(one.endpoint);
    const to = (isOwn ? one.url : task?.input.callback_url) ?? null;
    const isOff = to === null || !task || task.erased || (!isOwn && (await isCallbackOff(db, one, to)));
    return { ...one, task, lacksTask: false, url: isOff ? null : to };
  } catch (error) {
    if (!(error instanceof BindingUnavailable)) throw error;
    return one;
  }
}

async function attemptOnce(invocation: Invocation, one: Sending): Promise<AttemptResult> {
  const failed = (
    status: number | null,
    problem: string,
    kind: "failed" | "unavailable" = "failed",
  ): AttemptResult => ({
    status,
    problem,
    outcome: { kind, againMs: nextAttemptMs(one.attempts, invocation.now(), one.endsMs) },
  });
  if (one.lacksTask) return failed(null, "its task could not be read", "unavailable");
  if (one.url === null)
    return { status: null, problem: "nobody wants it any more", outcome: { kind: "dropped" } };
  if (invocation.now() >= one.endsMs)
    return { status: null, problem: "its time is over", outcome: { kind: "expired" } };
  // Checked at each attempt: the operator may have changed what is allowed since the tenant set it.
  const checked = checkAddress(one.url, {
    allowPrivate: invocation.config.ALLOW_PRIVATE_NETWORK,
    schemes: ["https:"],
  });
  if ("problem" in checked) return failed(null, `address ${checked.problem}`);
  try {
    const status = await post(invocation, checked.url.href, one);
    if (status >= 200 && status < 300) return { status, problem: null, outcome: { kind: "delivered" } };
    if (status === 410) return { status, problem: "gone", outcome: { kind: "gone" } };
    return failed(status, `status ${status}`);
  } catch (error) {
    return failed(null, isTimeout(error) ? "time-out" : "connection failed");
  }
}

/** @returns the reply's status; nothing of its body is read. */
async function post(invocation: Invocation, url: string, one: Sending): Promise<number> {
  const body = bodyOf(invocation, one);
  return stoppedAfter(attemptLimitMs, async (signal) => {
    const response = await invocation.fetch(url, {
      method: "POST",
      body,
      redirect: "manual",
      signal,
      headers: {
        "content-type": "application/json",
        "user-agent": userAgent,
        ...(await webhookHeaders(one.secrets, one.id, invocation.now(), body)),
      },
    });
    await response.body?.cancel();
    return response.status;
  });
}

/** An event for one of the tenant's own addresses; the bare task for a task's callback. */
function bodyOf(invocation: Invocation, { task, data, event, createdMs, endpoint }: Sending): string {
  const notified = task
    ? notifiedTask(viewTask(task, linkBases(invocation.config, task.origin), true))
    : data;
  if (!isOwnEndpoint(endpoint)) return JSON.stringify(notified);
  return JSON.stringify({ type: event, timestamp: new Date(createdMs).toISOString(), data: notified });
}
