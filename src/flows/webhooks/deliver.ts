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

import { recordTry, type Tried } from "../../d1/webhooks/attempts.ts";
import {
  claimDeliveries,
  nextDeliveryMs,
  type Sending,
  selectNextDelivery,
} from "../../d1/webhooks/deliveries.ts";
import { checkAddress } from "../../domain/address.ts";
import { viewTask } from "../../domain/task.ts";
import { nextTryMs, toldTask, webhookHeaders } from "../../domain/webhooks.ts";
import { type Deps, describe, linkBases } from "../../platform/invocation.ts";
import { connections } from "../../platform/parallel.ts";
import { userAgent } from "../../upstream/evolink.ts";

const tryMs = 15_000;
/** One try, and time to write down how it went. */
const leaseMs = 30_000;
/** Of the lane's connections; the rest is for endpoints that worked last time. */
const forFailing = 3;
/** How often the lane looks for what was written meanwhile. */
const lookMs = 500;
/** With nothing to do it stays until the first retry of what it has just tried. */
const lingerMs = 6_000;

/** So long a lane is crowded before another one takes over what it has no connections for. */
const crowdedMs = 1_000;

/**
 * Delivers until `untilMs`, or until nothing is due for a while. Receivers that hang keep connections for as long as a
 * try may last; a lane that has been short of them for a second has another one work beside it, in an invocation with
 * connections of its own.
 * @param untilMs 0: once, what is due now.
 */
export async function deliverLane(deps: Deps, untilMs: number): Promise<void> {
  const running = new Set<Promise<void>>();
  let relief: Promise<void> | undefined;
  let busyMs = deps.now();
  let roomyMs = deps.now();
  for (;;) {
    const claimed = await claim(deps, running.size);
    for (const one of claimed) {
      const sent = deliver(deps, one).finally(() => running.delete(sent));
      running.add(sent);
    }
    const nowMs = deps.now();
    if (running.size < forFailing) roomyMs = nowMs;
    else if (nowMs - roomyMs >= crowdedMs) {
      relief ??= startRelief(deps, untilMs).finally(() => {
        relief = undefined;
      });
    }
    if (running.size > 0) busyMs = nowMs;
    const lingers = untilMs !== 0 && nowMs - busyMs < lingerMs;
    if (untilMs === 0 && running.size === 0) break;
    const pauseMs = running.size > 0 || lingers ? lookMs : await untilNext(deps);
    if (untilMs !== 0 && nowMs + pauseMs >= untilMs) break;
    await Promise.race([...running, deps.sleep(pauseMs)]);
  }
  await Promise.all([...running, relief]);
}

async function startRelief(deps: Deps, untilMs: number): Promise<void> {
  try {
    await deps.lanes.deliver(untilMs);
  } catch (error) {
    // An invocation may start only so many others.
    deps.log({ event: "lane_failed", level: "error", lane: "deliver", problem: describe(error) });
  }
}

/** What the lane's free connections may take. */
function claim(deps: Deps, underWay: number): Promise<Sending[]> {
  const limit = connections - underWay;
  if (limit <= 0) return Promise.resolve([]);
  const failing = Math.min(limit, Math.max(0, forFailing - underWay));
  return claimDeliveries(deps.db, {
    nowMs: deps.now(),
    leaseUntilMs: deps.now() + leaseMs,
    limit,
    failing,
  });
}

/** How long there will be nothing to do, as far as anybody knows. */
async function untilNext(deps: Deps): Promise<number> {
  const [result] = await deps.db.batch([selectNextDelivery(deps.db)]);
  const dueMs = nextDeliveryMs(result);
  return dueMs === null ? Number.POSITIVE_INFINITY : Math.max(lookMs, dueMs - deps.now());
}

/** Tries one delivery; never throws. */
async function deliver(deps: Deps, one: Sending): Promise<void> {
  try {
    const tried = await tryOnce(deps, one);
    const { id, tenantId, event, attempts } = one;
    const { status, problem, outcome } = tried;
    deps.log({
      event: "delivery",
      id,
      tenant: tenantId,
      told: event,
      attempts,
      status,
      problem,
      outcome: outcome.kind,
    });
    await recordTry(deps.db, one, tried, deps.now());
  } catch (error) {
    // The lease runs out, and somebody tries again.
    deps.log({ event: "delivery_not_recorded", level: "error", id: one.id, problem: describe(error) });
  }
}

async function tryOnce(deps: Deps, one: Sending): Promise<Tried> {
  const failed = (status: number | null, problem: string): Tried => ({
    status,
    problem,
    outcome: { kind: "failed", againMs: nextTryMs(one.attempts, deps.now()) },
  });
  if (one.url === null)
    return { status: null, problem: "nobody wants it any more", outcome: { kind: "dropped" } };
  // Checked at each try: what the operator allows may have changed since it was given.
  const checked = checkAddress(one.url, {
    allowPrivate: deps.config.ALLOW_PRIVATE_NETWORK,
    schemes: ["https:"],
  });
  if ("problem" in checked) return failed(null, `address ${checked.problem}`);
  try {
    const status = await post(deps, checked.url.href, one);
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
async function post(deps: Deps, url: string, one: Sending): Promise<number> {
  const body = bodyOf(deps, one);
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(new DOMException("no reply in time", "TimeoutError")), tryMs);
  try {
    const response = await deps.fetch(url, {
      method: "POST",
      body,
      redirect: "manual",
      signal: stop.signal,
      headers: {
        "content-type": "application/json",
        "user-agent": userAgent,
        ...webhookHeaders(one.secrets, one.id, deps.now(), body),
      },
    });
    await response.body?.cancel();
    return response.status;
  } finally {
    clearTimeout(timer);
  }
}

/** To the tenant's webhook an event; to a task's callback the bare task. */
function bodyOf(deps: Deps, { task, data, event, createdMs, endpoint }: Sending): string {
  const told = task ? toldTask(viewTask(task, linkBases(deps.config, task.origin), true)) : data;
  if (endpoint !== "webhook") return JSON.stringify(told);
  return JSON.stringify({ type: event, timestamp: new Date(createdMs).toISOString(), data: told });
}
