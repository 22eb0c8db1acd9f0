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
 * to the Queue (`hand-over.ts`).
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
import { readChores } from "../../d1/cron/maintenance.ts";
import { type DueTask, selectDue } from "../../d1/tasks/due-tasks.ts";
import { type Deps, describe } from "../../platform/invocation.ts";
import { eraseAged, eraseSome } from "../erasure/erase.ts";
import { type FoundByTick, giveBack, storeLeaseMs, storeNext } from "../images/store-images.ts";
import { settleDue } from "../tasks/finish.ts";
import { lookAtAll } from "../tasks/poll-many.ts";
import { sendDue } from "../tasks/send.ts";
import { pushLagging } from "../tenants/push-config.ts";
import { enoughWaiting, handOverLane, handOverLooks, looksAtOnce, type SharedLane } from "./enqueue.ts";
import { lanesDone, startLane } from "./lane-starter.ts";
import { auditSome } from "./reconcile.ts";

const minuteMs = 60_000;
/** The tick ends this long before the next one starts. */
const marginMs = 1_500;
/** Tasks in one read. */
const pageSize = 1_000;
/** A lane stays for so many empty rounds: one request may start at most 32 invocations. */
const idleRounds = 5;
const lanePauseMs = 1_000;

/** Runs one tick to its end. A round that fails is logged, and the next one goes on. */
export async function runTick(deps: Deps): Promise<void> {
  const startMs = deps.now();
  const pauseMs = deps.config.POLL_ROUND_SECONDS * 1000;
  const once = pauseMs === 0;
  const endMs = once ? startMs + minuteMs : (Math.floor(startMs / minuteMs) + 1) * minuteMs - marginMs;
  const tick: Tick = { endMs, taken: false, lanesUntilMs: once ? 0 : endMs };
  await doChores(deps, tick);
  deps.defer("audit", () => auditSome(deps));
  deps.defer("retention", () => eraseAged(deps));
  // The first round looks at everything: no pace is slower than a minute.
  let previousMs = startMs - minuteMs;
  let rounds = 0;
  for (let goOn = true; goOn; ) {
    const roundMs = deps.now();
    goOn = await runRound(deps, tick, roundMs, previousMs);
    rounds++;
    previousMs = roundMs;
    // From start to start, so that what a round takes does not come on top; a long one still leaves a gap.
    const restMs = Math.max(pauseMs / 4, roundMs + pauseMs - deps.now());
    if (once || deps.now() + restMs >= endMs) break;
    if (goOn) await deps.sleep(restMs);
  }
  await lanesDone(deps);
  if (tick.taken && once) await releaseTick(deps.db, deps.now(), endMs);
  const { rowsRead, rowsWritten } = deps.spent;
  const ms = deps.now() - startMs;
  deps.log({ event: "tick", rounds, taken: tick.taken, ms, rows_read: rowsRead, rows_written: rowsWritten });
}

/** What is not a task: deliveries, copies of tenants that lag, and erasing. Tasks go on whatever becomes of it. */
async function doChores(deps: Deps, tick: Tick): Promise<void> {
  try {
    const chores = await readChores(deps.db, deps.now());
    const { deliveryDueMs } = chores;
    if (deliveryDueMs !== null && deliveryDueMs < tick.endMs) {
      void startLane(deps, "deliver", tick.lanesUntilMs);
    }
    await pushLagging(deps, chores.unpushed);
    deps.defer("erase", () => eraseSome(deps, chores));
  } catch (error) {
    deps.log({ event: "chores_failed", level: "error", problem: describe(error) });
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
async function runRound(deps: Deps, tick: Tick, roundMs: number, previousMs: number): Promise<boolean> {
  const before = { ...deps.spent };
  const round: Round = { due: 0, looks: 0, own: [], waiting: { send: 0, store: 0, settle: 0 } };
  try {
    for await (const page of duePages(deps, round, roundMs, previousMs)) {
      tick.taken ||= await takeTick(deps.db, roundMs, tick.endMs);
      if (!tick.taken) return false;
      await sortPage(deps, page, round, tick, roundMs);
    }
    for (const lane of sharedLanes) await handOverLane(deps, lane, round.waiting[lane]);
    await lookAtAll(deps, round.own, tick.endMs, {
      leaseUntilMs: round.looks > round.own.length ? null : leaseOf(tick),
      start: () => void startLane(deps, "store", tick.lanesUntilMs, leaseOf(tick)),
    });
  } catch (error) {
    deps.log({ event: "round_failed", level: "error", problem: describe(error) });
    // The plan's number of calls in one invocation is used up: the next tick has its own.
    if (/too many (subrequests|api requests)/i.test(String(error))) return false;
  }
  // An idle round costs one read, and no line either.
  if (round.due > 0) {
    const rows_read = deps.spent.rowsRead - before.rowsRead;
    const rows_written = deps.spent.rowsWritten - before.rowsWritten;
    const handed_over = round.looks - round.own.length;
    const ms = deps.now() - roundMs;
    deps.log({ event: "round", due: round.due, handed_over, ms, rows_read, rows_written });
  }
  return true;
}

/** All looks that are due, and as many of the others as their lanes have use for. */
async function* duePages(
  deps: Deps,
  { waiting }: Round,
  nowMs: number,
  previousMs: number,
): AsyncGenerator<DueTask[]> {
  let after: DueTask | undefined;
  do {
    const except = sharedLanes.flatMap((lane) => (waiting[lane] > enoughWaiting ? statesOf[lane] : []));
    const page = await selectDue(deps.db, { nowMs, previousMs, limit: pageSize, after, except });
    if (page.length > 0) yield page;
    after = page.length === pageSize ? page.at(-1) : undefined;
  } while (after);
}

/** What a round has found so far. */
interface Round {
  due: number;
  looks: number;
  /** Looks that the tick takes itself. */
  own: DueTask[];
  /** Tasks that a lane is to do something for. */
  waiting: Record<SharedLane, number>;
}

const sharedLanes = ["send", "store", "settle"] as const;
const statesOf: Record<SharedLane, readonly DueTask["state"][]> = {
  send: ["queued", "submitting"],
  store: ["storing"],
  settle: ["completed", "failed", "cancelled"],
};

/** Starts the lanes for what is theirs, keeps as many looks as one invocation takes, and hands over the others. */
async function sortPage(deps: Deps, page: DueTask[], round: Round, tick: Tick, roundMs: number) {
  const looks: DueTask[] = [];
  for (const task of page) {
    const lane = sharedLanes.find((one) => statesOf[one].includes(task.state));
    if (lane === undefined) looks.push(task);
    else if (round.waiting[lane]++ === 0) void startLane(deps, lane, tick.lanesUntilMs, leaseOf(tick));
  }
  round.due += page.length;
  round.looks += looks.length;
  const room = Math.max(0, looksAtOnce - round.own.length);
  round.own.push(...looks.slice(0, room), ...(await handOverLooks(deps, roundMs, looks.slice(room))));
}

/** Sends until `untilMs`, or until nothing has been due for a while. */
export function sendLane(deps: Deps, untilMs: number): Promise<void> {
  return runLane(deps, untilMs, () => sendDue(deps));
}

/**
 * Stores until `untilMs`, or until nothing has been due for a while. Two slots that never wait for each other:
 * pictures on hosts that hang come back as retries, and those cannot take the slot of new ones.
 * @param leaseUntilMs By which those are known that the tick has found done.
 */
export async function storeLane(deps: Deps, untilMs: number, leaseUntilMs = 0): Promise<void> {
  const slots = ["new", "any"] as const;
  const found: FoundByTick = { leaseUntilMs, begun: new Set() };
  try {
    await Promise.all(slots.map((which) => runLane(deps, untilMs, storing(deps, which, found))));
  } finally {
    await giveBack(deps, found);
  }
}

/** A claim reads all that is to be stored: a slot that has found something so often in a row claims as many at once. */
const manyInARow = 8;

function storing(deps: Deps, which: "new" | "any", found: FoundByTick): () => Promise<boolean> {
  let inARow = 0;
  return async () => {
    const isThere = await storeNext(deps, which, inARow < manyInARow ? 1 : manyInARow, found);
    inARow = isThere ? inARow + 1 : 0;
    return isThere;
  };
}

/** Settles what whoever ended it did not. */
export function settleLane(deps: Deps, untilMs: number): Promise<void> {
  return runLane(deps, untilMs, () => settleDue(deps));
}

/** @param untilMs 0: once through whatever is due. */
async function runLane(deps: Deps, untilMs: number, work: () => Promise<boolean>): Promise<void> {
  const hasTime = () => untilMs === 0 || deps.now() < untilMs;
  for (let idle = 0; idle < idleRounds; idle++) {
    while (hasTime() && (await work())) idle = 0;
    if (deps.now() + lanePauseMs >= untilMs) return;
    await deps.sleep(lanePauseMs);
  }
}
