/**
 * The cron tick. Cron fires once a minute at most, and a picture takes seconds, so a tick goes on in rounds until just
 * before the next one. Ticks may be late, doubled or overlap:
 *
 *   tick A                              tick B (doubled, or A runs late)
 *   1. reads what is due
 *                                       2. reads what is due: the same
 *   3. takes the tick
 *                                       4. cannot take it, ends
 *   5. works, in rounds
 *   (dies)                              next minute: A's lease is over, the next tick takes it
 *
 * With nothing due a round is one read, and the tick is not even taken. A round enqueues what is more than one invocation
 * takes (`enqueue.ts`).
 *
 * Tasks that a round finds done are claimed for the tick's store lane in the write that says so, by a lease that only this
 * tick has. While consumers store too, they are not claimed, since a consumer could not take them then:
 *
 *   the tick                            its store lane
 *   1. writes: done, leased
 *   2. starts the lane, unless it runs  3. reads tasks of that lease, begins each once, two at a time
 *                                       4. has no time left: gives back what it has not begun; the next tick claims it
 *                                       (dies: the leases run out, as those of any storer that dies)
 */

import { releaseTick, takeTick } from "../../d1/cron/leases.ts";
import { readMaintenance } from "../../d1/cron/maintenance.ts";
import { type DuePage, selectDue } from "../../d1/tasks/due-tasks.ts";
import type { PollTarget } from "../../domain/poll.ts";
import { isFinished } from "../../domain/task.ts";
import { type LaneKind, laneKinds } from "../../domain/work-message.ts";
import type { D1Usage } from "../../platform/d1-usage.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { archiveSome } from "../archive/archive-tasks.ts";
import { eraseDue, roomOfConsumer, roomOfTick } from "../erasure/erase-due.ts";
import { storeLeaseMs } from "../images/store-images.ts";
import { settleFormer } from "../tasks/finish.ts";
import { pollAll } from "../tasks/poll-many.ts";
import { pushLagging } from "../tenants/push-config.ts";
import { boundLogs } from "../webhooks/give-up.ts";
import { findMissingMigrations, migrationsAdvice } from "./check-migrations.ts";
import { followRestore } from "./check-restored.ts";
import { enoughWaiting, enqueueErasers, enqueueLane, enqueuePolls, pollsAtOnce } from "./enqueue.ts";
import { reconcileSome } from "./reconcile.ts";
import { sumUp } from "./sum-up.ts";

const minuteMs = 60_000;
/** The tick ends this long before the next one starts. */
const marginMs = 1_500;
/** Tasks in one read. */
const pageSize = 1_000;

/** Runs one tick to its end. A round that fails is logged, and the next one goes on. */
export async function runTick(invocation: Invocation): Promise<void> {
  const missing = await findMissingMigrations(invocation);
  if (missing.length > 0)
    return invocation.log({
      event: "migrations_missing",
      level: "error",
      problem: migrationsAdvice(missing),
    });
  const startMs = invocation.now();
  const pauseMs = invocation.config.POLL_ROUND_SECONDS * 1000;
  const once = pauseMs === 0;
  const endMs = once ? startMs + minuteMs : (Math.floor(startMs / minuteMs) + 1) * minuteMs - marginMs;
  const tick: Tick = {
    endMs,
    taken: false,
    lanesUntilMs: once ? 0 : endMs,
    due: 0,
    enqueued: 0,
    sums: { rowsRead: 0, rowsWritten: 0 },
  };
  await doMaintenance(invocation, tick);
  invocation.defer("reconciliation", () => reconcileSome(invocation));
  // The first round polls all tasks: no pace is slower than a minute.
  let previousMs = startMs - minuteMs;
  let rounds = 0;
  for (let goOn = true; goOn; ) {
    const roundMs = invocation.now();
    goOn = await runRound(invocation, tick, roundMs, previousMs);
    rounds++;
    previousMs = roundMs;
    // From start to start, so that what a round takes does not come on top; a long one still leaves a gap.
    const restMs = Math.max(pauseMs / 4, roundMs + pauseMs - invocation.now());
    if (once || invocation.now() + restMs >= endMs) break;
    if (goOn) await invocation.sleep(restMs);
  }
  await invocation.lanes.ended();
  if (tick.taken && once) await releaseTick(invocation.db, invocation.now(), endMs);
  const { spent } = invocation;
  const ms = invocation.now() - startMs;
  invocation.log({
    event: "tick",
    rounds,
    taken: tick.taken,
    due: tick.due,
    enqueued: tick.enqueued,
    ms,
    // Sums have a line of their own.
    rows_read: spent.rowsRead - tick.sums.rowsRead,
    rows_written: spent.rowsWritten - tick.sums.rowsWritten,
  });
}

/** Deliveries, settings that a tenant's object lacks, and erasing. Where it fails, tasks go on all the same. */
async function doMaintenance(invocation: Invocation, tick: Tick): Promise<void> {
  try {
    const archives = invocation.config.ARCHIVE_TASKS_AFTER_DAYS > 0;
    const maintenance = await readMaintenance(invocation.db, invocation.now(), archives);
    const { deliveryDueMs, isErasingDue, isArchiveDue, unpushed, areSumsDue, areLogsDue, isRestored } =
      maintenance;
    if (deliveryDueMs !== null && deliveryDueMs < tick.endMs) {
      void invocation.lanes.start("deliver", tick.lanesUntilMs);
    }
    await pushLagging(invocation, unpushed);
    if (isRestored) invocation.defer("restored", () => followRestore(invocation));
    if (isArchiveDue) invocation.defer("archive", () => archiveSome(invocation));
    if (isErasingDue) invocation.defer("erase", () => eraseOrEnqueue(invocation, tick.endMs));
    if (areSumsDue) invocation.defer("sums", () => sumUp(invocation, tick.sums));
    if (areLogsDue) invocation.defer("delivery_logs", () => boundLogs(invocation));
  } catch (error) {
    invocation.log({ event: "maintenance_failed", level: "error", problem: describe(error) });
  }
}

/** A little is erased here; where that is not all, consumers go on, or this tick where there are none. */
async function eraseOrEnqueue(invocation: Invocation, untilMs: number): Promise<void> {
  if (!(await eraseDue(invocation, { ...roomOfTick, untilMs }))) return;
  if (!(await enqueueErasers(invocation)))
    await eraseDue(invocation, { ...roomOfConsumer, steps: 30, untilMs });
}

interface Tick {
  endMs: number;
  taken: boolean;
  /** 0: once through what is due. */
  lanesUntilMs: number;
  /** Of all its rounds: what they found to do, and the polls of it that they enqueued. */
  due: number;
  enqueued: number;
  /** Rows of the sums, of all that its invocation has spent. */
  sums: D1Usage;
}

/** The tick's time and a storer's. No other tick has the same lease, and no other storer while this tick lasts. */
function leaseOf({ endMs }: Tick): number {
  return endMs + storeLeaseMs;
}

/** @returns false when another tick is at work, so that this one has to end. */
async function runRound(
  invocation: Invocation,
  tick: Tick,
  roundMs: number,
  previousMs: number,
): Promise<boolean> {
  const before = { ...invocation.spent };
  const round: Round = { due: 0, own: [], rest: [], waiting: { send: 0, store: 0 }, ended: 0 };
  let kept: PollTarget[] = [];
  try {
    for await (const page of duePages(invocation, round, roundMs, previousMs)) {
      tick.taken ||= await takeTick(invocation.db, roundMs, tick.endMs);
      if (!tick.taken) return false;
      sortPage(invocation, page, round, tick);
    }
    if (round.ended > 0) invocation.defer("settle", () => settleFormer(invocation));
    const storing = {
      leaseUntilMs: round.rest.length > 0 ? null : leaseOf(tick),
      start: () => void invocation.lanes.start("store", tick.lanesUntilMs, leaseOf(tick)),
    };
    // Beside its own polls: the Queue may be slow.
    [kept] = await Promise.all([
      enqueueRound(invocation, round, roundMs),
      pollAll(invocation, round.own, tick.endMs, storing),
    ]);
    await pollAll(invocation, kept, tick.endMs, storing);
  } catch (error) {
    invocation.log({ event: "round_failed", level: "error", problem: describe(error) });
    // The plan's number of calls in one invocation is used up: the next tick has its own.
    if (/too many (subrequests|api requests)/i.test(String(error))) return false;
  }
  const enqueued = round.rest.length - kept.length;
  tick.due += round.due;
  tick.enqueued += enqueued;
  const ms = invocation.now() - roundMs;
  // The tick's line has the sums. A round that does what it should in its time has none of its own: thirty come a minute.
  if (enqueued > 0 || ms > invocation.config.POLL_ROUND_SECONDS * 1000) {
    const rows_read = invocation.spent.rowsRead - before.rowsRead;
    const rows_written = invocation.spent.rowsWritten - before.rowsWritten;
    invocation.log({ event: "round", due: round.due, enqueued, ms, rows_read, rows_written });
  }
  return true;
}

/** All polls that are due, and as many other tasks as their lanes have use for. */
async function* duePages(
  invocation: Invocation,
  { waiting }: Round,
  nowMs: number,
  previousMs: number,
): AsyncGenerator<PollTarget[]> {
  let after: DuePage["after"];
  do {
    const except = laneKinds.flatMap((lane) => (waiting[lane] > enoughWaiting ? statesOf[lane] : []));
    const page = { nowMs, previousMs, limit: pageSize, after, except };
    const { due, next } = await selectDue(invocation.db, page, skipUnreadable(invocation));
    if (due.length > 0) yield due;
    after = next;
  } while (after);
}

/** What a round has found so far. */
interface Round {
  due: number;
  /** Polls that the tick makes itself, and those that are more than one invocation makes. */
  own: PollTarget[];
  rest: PollTarget[];
  /** Tasks that the version before has ended. */
  ended: number;
  /** Tasks that wait for a lane. */
  waiting: Record<LaneKind, number>;
}

const statesOf: Record<LaneKind, readonly PollTarget["state"][]> = {
  send: ["queued", "submitting"],
  store: ["storing"],
};

/** Enqueues what is more than one invocation takes. @returns polls that the tick has to make itself. */
async function enqueueRound(invocation: Invocation, round: Round, roundMs: number): Promise<PollTarget[]> {
  const lanes = laneKinds.map((lane) => enqueueLane(invocation, lane, round.waiting[lane]));
  const [kept] = await Promise.all([enqueuePolls(invocation, roundMs, round.rest), ...lanes]);
  return kept;
}

/** Starts the lanes that have work, and keeps as many polls as one invocation takes. */
function sortPage(invocation: Invocation, page: PollTarget[], round: Round, tick: Tick): void {
  const polls: PollTarget[] = [];
  for (const task of page) {
    const lane = laneKinds.find((one) => statesOf[one].includes(task.state));
    if (isFinished(task)) round.ended++;
    else if (lane === undefined) polls.push(task);
    else if (round.waiting[lane]++ === 0) void invocation.lanes.start(lane, tick.lanesUntilMs, leaseOf(tick));
  }
  round.due += page.length;
  const room = Math.max(0, pollsAtOnce - round.own.length);
  round.own.push(...polls.slice(0, room));
  round.rest.push(...polls.slice(room));
}
