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
 * With nothing due a round is one read, and the tick is not even taken.
 *
 * What a round finds done is claimed for the tick's store lane in the write that says so, until a time that is this tick's alone:
 *
 *   the tick                            its store lane
 *   1. writes: done, leased
 *   2. starts the lane, unless it runs  3. reads what is leased to it, begins each task once, two at a time
 *                                       4. has no time left: gives back what it has not begun; the next tick claims it
 *                                       (dies: the leases run out, as that of any storer who dies)
 */
import { type Deps, describe } from "../deps.ts";
import { isFinished } from "../domain/task.ts";
import { readChores } from "../store/chores.ts";
import { type DueTask, selectDue } from "../store/due.ts";
import { releaseTick, takeTick } from "../store/leases.ts";
import { auditSome } from "./audit.ts";
import { eraseAged, eraseSome } from "./erase.ts";
import { settleDue } from "./finish.ts";
import { lanesDone, startLane } from "./lanes.ts";
import { type Found, lookAt, recordLooks } from "./look.ts";
import { connections, inParallel } from "./parallel.ts";
import { pushLagging } from "./push-config.ts";
import { sendDue } from "./send.ts";
import { type FoundByTick, giveBack, storeLeaseMs, storeNext } from "./store-images.ts";

const minuteMs = 60_000;
/** The tick ends this long before the next one starts. */
const marginMs = 1_500;
/** Tasks in one read; sized for the paid plan's 10,000 subrequests in one invocation. */
const pageSize = 300;
/** Looks are written down in groups, so that what is ready is stored while the rest is still being looked at. */
const groupSize = 2 * connections;
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

/** @returns false when another tick is at work, so that this one has to end. */
async function runRound(deps: Deps, tick: Tick, roundMs: number, previousMs: number): Promise<boolean> {
  const before = { ...deps.spent };
  let due = 0;
  try {
    for await (const page of duePages(deps, roundMs, previousMs)) {
      tick.taken ||= await takeTick(deps.db, roundMs, tick.endMs);
      if (!tick.taken) return false;
      await runPage(deps, page, tick);
      due += page.length;
    }
  } catch (error) {
    deps.log({ event: "round_failed", level: "error", problem: describe(error) });
    // The plan's number of calls in one invocation is used up: the next tick has its own.
    if (/too many (subrequests|api requests)/i.test(String(error))) return false;
  }
  // An idle round costs one read, and no line either.
  if (due > 0) {
    const rows_read = deps.spent.rowsRead - before.rowsRead;
    const rows_written = deps.spent.rowsWritten - before.rowsWritten;
    deps.log({ event: "round", due, ms: deps.now() - roundMs, rows_read, rows_written });
  }
  return true;
}

async function* duePages(deps: Deps, nowMs: number, previousMs: number): AsyncGenerator<DueTask[]> {
  let after: DueTask | undefined;
  do {
    const page = await selectDue(deps.db, { nowMs, previousMs, limit: pageSize, after });
    if (page.length > 0) yield page;
    after = page.length === pageSize ? page.at(-1) : undefined;
  } while (after);
}

/** Looks at what is to be looked at, and has the lanes do the rest beside it. */
async function runPage(deps: Deps, page: DueTask[], tick: Tick): Promise<void> {
  // As long as the tick, and then as any other. No other tick's is the same, nor any other storer's while this one lasts.
  const leaseUntilMs = tick.endMs + storeLeaseMs;
  const start = (lane: "send" | "store" | "settle") =>
    void startLane(deps, lane, tick.lanesUntilMs, leaseUntilMs);
  if (page.some((task) => task.state === "queued" || task.state === "submitting")) start("send");
  if (page.some((task) => task.state === "storing")) start("store");
  if (page.some((task) => isFinished(task))) start("settle");
  const looks = page.filter((task) => task.state === "submitted");
  let busy = false;
  let found: Found[] = [];
  const record = async (some: Found[]) => {
    try {
      await recordLooks(deps, some, leaseUntilMs);
    } finally {
      // Also when it is not known whether it was written.
      if (some.some((one) => one.kind === "change" && one.result.images)) start("store");
    }
  };
  await inParallel(looks, connections, async (task) => {
    // Once the upstream has asked for a pause, the rest of the page waits for it.
    if (busy) return;
    const one = await lookAt(deps, task);
    busy ||= one.kind === "busy";
    found.push(one);
    if (found.length < groupSize) return;
    const group = found;
    found = [];
    await record(group);
  });
  await record(found);
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
    await Promise.all(slots.map((which) => runLane(deps, untilMs, () => storeNext(deps, which, found))));
  } finally {
    await giveBack(deps, found);
  }
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
