/**
 * Telling tenants: deliveries out of the outbox, at least once each. Two senders of one delivery may meet:
 *
 *   sender A                            sender B
 *   1. claims, sends, hears nothing for long
 *                                       2. A's lease ran out: claims, sends, is told 200
 *                                       3. `delivered`, by its own lease
 *   4. time-out → changes nothing: the lease is not A's any more
 *
 * The receiver gets it twice under one `webhook-id`, by which it knows. When a sender dies, its try counts and the next
 * one follows once the lease is over.
 */

import { type AttemptResult, recordAttempt } from "../../d1/webhooks/attempts.ts";
import {
  claimDeliveries,
  nextDeliveryMs,
  type Sending,
  selectNextDelivery,
} from "../../d1/webhooks/deliveries.ts";
import { checkAddress } from "../../domain/address.ts";
import { viewTask } from "../../domain/task.ts";
import { nextAttemptMs, notifiedTask, webhookHeaders } from "../../domain/webhooks.ts";
import { describe, type Invocation, linkBases } from "../../platform/invocation.ts";
import { connections } from "../../platform/parallel.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { userAgent } from "../../upstream/evolink.ts";

const attemptMs = 15_000;
/** One try, and time to write down how it went. */
const leaseMs = 30_000;
/** Of the lane's connections; the rest is for endpoints that worked last time. */
const forFailing = 3;
/** How often the lane looks for what was written meanwhile. */
const pollMs = 500;
/** With nothing to do it stays until the first retry of what it has just attempted. */
const lingerMs = 6_000;

/** So long a lane is crowded before another one takes over what it has no connections for. */
const crowdedMs = 1_000;

/**
 * Delivers until `untilMs`, or until nothing is due for a while. Receivers that hang keep connections for as long as a
 * try may last; a lane that has been short of them for a second has another one work beside it, in an invocation with
 * connections of its own.
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
      relief ??= startRelief(invocation, untilMs).finally(() => {
        relief = undefined;
      });
    }
    if (running.size > 0) busyMs = nowMs;
    const lingers = untilMs !== 0 && nowMs - busyMs < lingerMs;
    if (untilMs === 0 && running.size === 0) break;
    const pauseMs = running.size > 0 || lingers ? pollMs : await untilNext(invocation);
    if (untilMs !== 0 && nowMs + pauseMs >= untilMs) break;
    await Promise.race([...running, invocation.sleep(pauseMs)]);
  }
  await Promise.all([...running, relief]);
}

async function startRelief(invocation: Invocation, untilMs: number): Promise<void> {
  try {
    await invocation.lanes.deliver(untilMs);
  } catch (error) {
    // An invocation may start only so many others.
    invocation.log({ event: "lane_failed", level: "error", lane: "deliver", problem: describe(error) });
  }
}

/** What the lane's free connections may take. */
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

/** How long there will be nothing to do, as far as anybody knows. */
async function untilNext(invocation: Invocation): Promise<number> {
  const [result] = await invocation.db.batch([selectNextDelivery(invocation.db)]);
  const dueMs = nextDeliveryMs(result);
  return dueMs === null ? Number.POSITIVE_INFINITY : Math.max(pollMs, dueMs - invocation.now());
}

/** Tries one delivery; never throws. */
async function deliver(invocation: Invocation, one: Sending): Promise<void> {
  try {
    const attempted = await attemptOnce(invocation, one);
    const { id, tenantId, event, attempts } = one;
    const { status, problem, outcome } = attempted;
    invocation.log({
      event: "delivery",
      id,
      tenant: tenantId,
      told: event,
      attempts,
      status,
      problem,
      outcome: outcome.kind,
    });
    await recordAttempt(invocation.db, one, attempted, invocation.now());
  } catch (error) {
    // The lease runs out, and somebody tries again.
    invocation.log({ event: "delivery_not_recorded", level: "error", id: one.id, problem: describe(error) });
  }
}

async function attemptOnce(invocation: Invocation, one: Sending): Promise<AttemptResult> {
  const failed = (status: number | null, problem: string): AttemptResult => ({
    status,
    problem,
    outcome: { kind: "failed", againMs: nextAttemptMs(one.attempts, invocation.now()) },
  });
  if (one.url === null)
    return { status: null, problem: "nobody wants it any more", outcome: { kind: "dropped" } };
  // Checked at each try: what the operator allows may have changed since it was given.
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
    return failed(
      null,
      error instanceof Error && error.name === "TimeoutError" ? "time-out" : "connection failed",
    );
  }
}

/** @returns the reply's status; nothing of its body is read. */
async function post(invocation: Invocation, url: string, one: Sending): Promise<number> {
  const body = bodyOf(invocation, one);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new DOMException("no reply in time", "TimeoutError")), attemptMs);
  try {
    const response = await invocation.fetch(url, {
      method: "POST",
      body,
      redirect: "manual",
      signal: stop.signal,
      headers: {
        "content-type": "application/json",
        "user-agent": userAgent,
        ...webhookHeaders(one.secrets, one.id, invocation.now(), body),
      },
    });
    await response.body?.cancel();
    return response.status;
  } finally {
    clearTimeout(timer);
  }
}

/** To the tenant's webhook an event; to a task's callback the bare task. */
function bodyOf(invocation: Invocation, { task, data, event, createdMs, endpoint }: Sending): string {
  const told = task ? notifiedTask(viewTask(task, linkBases(invocation.config, task.origin), true)) : data;
  if (endpoint !== "webhook") return JSON.stringify(told);
  return JSON.stringify({ type: event, timestamp: new Date(createdMs).toISOString(), data: told });
}
