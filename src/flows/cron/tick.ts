/**
 * The cron tick. Cron fires once a minute at the most, and a picture takes seconds, so a tick goes on in rounds
 * until just before the next one. Ticks may be late, doubled or overlap:
 *
 *   tick A                              tick B (doubled, or A runs late)
 *   1. reads what is due
 *                                       2. reads what is due: the same
 *   3. takes the tick
 *                                       4. cannot take it, ends
 *   5. works, in rounds
 *   (dies)                              next minute: the tick's lease is over, somebody else takes it
 *
 * With nothing due a round is one read, and the tick is not even taken. What is more than one invocation should take goes
 * to the Queue (`enqueue.ts`).
 *
 * What a round finds done is claimed for the tick's store lane in the write that says so, until a time that is this tick's
 * alone; but not while others help to store, who could not take it then:
 *
 *   the tick                            its store lane
 *   1. writes: done, leased
 *   2. starts the lane, unless it runs  3. reads what is leased to it, begins each task once, two at a time
 *                                       4. has no time left: gives back what it has not begun; the next tick claims it
 *                                       (dies: the leases run out, as that of any storer who dies)
 */

import { releaseTick, takeTick } from "../../d1/cron/leases.ts";
import { readMaintenance } from "../../d1/cron/maintenance.ts";
import { type DuePage, selectDue } from "../../d1/tasks/due-tasks.ts";
import type { PollTarget } from "../../domain/poll.ts";
import { endStates } from "../../domain/task.ts";
import { type LaneKind, laneKinds } from "../../domain/work-message.ts";
import { describe, type Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { eraseAged, eraseSome } from "../erasure/erase.ts";
import { type FoundByTick, giveBack, storeLeaseMs, storeNext } from "../images/store-images.ts";
import { settleDue } from "../tasks/finish.ts";
import { pollAll } from "../tasks/poll-many.ts";
import { sendDue } from "../tasks/send.ts";
import { pushLagging } from "../tenants/push-config.ts";
import { enoughWaiting, enqueueLane, enqueuePolls, pollsAtOnce } from "./enqueue.ts";
import { lanesDone, startLane } from "./lane-starter.ts";
import { reconcileSome } from "./reconcile.ts";

const minuteMs = 60_000;
/** The tick ends this long before the next one starts. */
const marginMs = 1_500;
/** Tasks in one read. */
const pageSize = 1_000;
/** A lane stays for so many empty rounds: one request may start at most 32 invocations. */
const idleRounds = 5;
const lanePauseMs = 1_000;

/** Runs one tick to its end. A round that fails is logged, and the next one goes on. */
export async function runTick(invocation: Invocation): Promise<void> {
  const startMs = invocation.now();
  const pauseMs = invocation.config.POLL_ROUND_SECONDS * 1000;
  const once = pauseMs === 0;
  const endMs = once ? startMs + minuteMs : (Math.floor(startMs / minuteMs) + 1) * minuteMs - marginMs;
  const tick: Tick = { endMs, taken: false, lanesUntilMs: once ? 0 : endMs };
  await doMaintenance(invocation, tick);
  invocation.defer("audit", () => reconcileSome(invocation));
  invocation.defer("retention", () => eraseAged(invocation));
  // The first round polls at everything: no pace is slower than a minute.
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
  await lanesDone(invocation);
  if (tick.taken && once) await releaseTick(invocation.db, invocation.now(), endMs);
  const { rowsRead, rowsWritten } = invocation.spent;
  const ms = invocation.now() - startMs;
  invocation.log({
    event: "tick",
    rounds,
    taken: tick.taken,
    ms,
    rows_read: rowsRead,
    rows_written: rowsWritten,
  });
}

/** What is not a task: deliveries, copies of tenants that lag, and erasing. Tasks go on whatever becomes of it. */
async function doMaintenance(invocation: Invocation, tick: Tick): Promise<void> {
  try {
    const maintenance = await readMaintenance(invocation.db, invocation.now(), skipUnreadable(invocation));
    const { deliveryDueMs } = maintenance;
    if (deliveryDueMs !== null && deliveryDueMs < tick.endMs) {
      void startLane(invocation, "deliver", tick.lanesUntilMs);
    }
    await pushLagging(invocation, maintenance.unpushed);
    invocation.defer("erase", () => eraseSome(invocation, maintenance));
  } catch (error) {
    invocation.log({ event: "maintenance_failed", level: "error", problem: describe(error) });
  }
}

interface Tick {
  endMs: number;
  taken: boolean;
  /** 0: once through what is due. */
  lanesUntilMs: number;
}

/** As long as the tick, and then as any other. No other tick's is the same, nor any other storer's while this one lasts. */
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
  const round: Round = { due: 0, polls: 0, own: [], waiting: { send: 0, store: 0, settle: 0 } };
  try {
    for await (const page of duePages(invocation, round, roundMs, previousMs)) {
      tick.taken ||= await takeTick(invocation.db, roundMs, tick.endMs);
      if (!tick.taken) return false;
      await sortPage(invocation, page, round, tick, roundMs);
    }
    for (const lane of laneKinds) await enqueueLane(invocation, lane, round.waiting[lane]);
    await pollAll(invocation, round.own, tick.endMs, {
      leaseUntilMs: round.polls > round.own.length ? null : leaseOf(tick),
      start: () => void startLane(invocation, "store", tick.lanesUntilMs, leaseOf(tick)),
    });
  } catch (error) {
    invocation.log({ event: "round_failed", level: "error", problem: describe(error) });
    // The plan's number of calls in one invocation is used up: the next tick has its own.
    if (/too many (subrequests|api requests)/i.test(String(error))) return false;
  }
  // An idle round costs one read, and no line either.
  if (round.due > 0) {
    const rows_read = invocation.spent.rowsRead - before.rowsRead;
    const rows_written = invocation.spent.rowsWritten - before.rowsWritten;
    const enqueued = round.polls - round.own.length;
    const ms = invocation.now() - roundMs;
    invocation.log({ event: "round", due: round.due, enqueued, ms, rows_read, rows_written });
  }
  return true;
}

/** All polls that are due, and as many of the others as their lanes have use for. */
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
  polls: number;
  /** Looks that the tick takes itself. */
  own: PollTarget[];
  /** Tasks that a lane is to do something for. */
  waiting: Record<LaneKind, number>;
}

const statesOf: Record<LaneKind, readonly PollTarget["state"][]> = {
  send: ["queued", "submitting"],
  store: ["storing"],
  settle: endStates,
};

/** Starts the lanes for what is theirs, keeps as many polls as one invocation takes, and hands over the others. */
async function sortPage(
  invocation: Invocation,
  page: PollTarget[],
  round: Round,
  tick: Tick,
  roundMs: number,
) {
  const polls: PollTarget[] = [];
  for (const task of page) {
    const lane = laneKinds.find((one) => statesOf[one].includes(task.state));
    if (lane === undefined) polls.push(task);
    else if (round.waiting[lane]++ === 0) void startLane(invocation, lane, tick.lanesUntilMs, leaseOf(tick));
  }
  round.due += page.length;
  round.polls += polls.length;
  const room = Math.max(0, pollsAtOnce - round.own.length);
  round.own.push(...polls.slice(0, room), ...(await enqueuePolls(invocation, roundMs, polls.slice(room))));
}

/** Sends until `untilMs`, or until nothing has been due for a while. */
export function sendLane(invocation: Invocation, untilMs: number): Promise<void> {
  return runLane(invocation, untilMs, () => sendDue(invocation));
}

/**
 * Stores until `untilMs`, or until nothing has been due for a while. Two slots that never wait for each other:
 * pictures on hosts that hang come back as retries, and those cannot take the slot of new ones.
 * @param leaseUntilMs By which those are known that the tick has found done.
 */
export async function storeLane(invocation: Invocation, untilMs: number, leaseUntilMs = 0): Promise<void> {
  const slots = ["new", "any"] as const;
  const found: FoundByTick = { leaseUntilMs, begun: new Set() };
  try {
    await Promise.all(slots.map((which) => runLane(invocation, untilMs, storing(invocation, which, found))));
  } finally {
    await giveBack(invocation, found);
  }
}

/** A claim reads all that is to be stored: a slot that has found something so often in a row claims as many at once. */
const manyInARow = 8;

function storing(invocation: Invocation, which: "new" | "any", found: FoundByTick): () => Promise<boolean> {
  let inARow = 0;
  return async () => {
    const isThere = await storeNext(invocation, which, inARow < manyInARow ? 1 : manyInARow, found);
    inARow = isThere ? inARow + 1 : 0;
    return isThere;
  };
}

/** Settles what whoever ended it did not. */
export function settleLane(invocation: Invocation, untilMs: number): Promise<void> {
  return runLane(invocation, untilMs, () => settleDue(invocation));
}

/** @param untilMs 0: once through whatever is due. */
async function runLane(invocation: Invocation, untilMs: number, work: () => Promise<boolean>): Promise<void> {
  const hasTime = () => untilMs === 0 || invocation.now() < untilMs;
  for (let idle = 0; idle < idleRounds; idle++) {
    while (hasTime() && (await work())) idle = 0;
    if (invocation.now() + lanePauseMs >= untilMs) return;
    await invocation.sleep(lanePauseMs);
  }
}
