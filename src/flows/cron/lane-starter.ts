/**
 * Starting lanes: of each kind one at a time by an invocation, which may start at most 32 others. A lane that runs finds
 * by itself what is written meanwhile.
 */
import { type Deps, describe, type Lanes } from "../../platform/invocation.ts";

const running = new WeakMap<Deps, Map<keyof Lanes, Promise<void>>>();

function lanesOf(deps: Deps): Map<keyof Lanes, Promise<void>> {
  const known = running.get(deps);
  if (known) return known;
  const lanes = new Map<keyof Lanes, Promise<void>>();
  running.set(deps, lanes);
  return lanes;
}

/** Starts a lane until `untilMs` (0: once through what is due), unless it runs. Never rejects. */
export function startLane(
  deps: Deps,
  lane: keyof Lanes,
  untilMs: number,
  leaseUntilMs?: number,
): Promise<void> {
  const lanes = lanesOf(deps);
  const known = lanes.get(lane);
  if (known !== undefined) return known;
  const run = deps.lanes[lane](untilMs, leaseUntilMs)
    .catch((error: unknown) => {
      deps.log({ event: "lane_failed", level: "error", lane, problem: describe(error) });
    })
    .finally(() => lanes.delete(lane));
  lanes.set(lane, run);
  return run;
}

/** Waits for the lanes that still run. */
export async function lanesDone(deps: Deps): Promise<void> {
  await Promise.all(lanesOf(deps).values());
}

/** Work beside a reply goes on for half a minute at the most. */
const besideReplyMs = 25_000;

/**
 * Has what was just put into the outbox sent at once, in an invocation of its own. A lane that runs may have looked for
 * the last time already, so somebody looks once more after it.
 */
export function wakeDelivery(deps: Deps): void {
  const once = deps.config.POLL_ROUND_SECONDS === 0;
  const before = lanesOf(deps).get("deliver");
  const untilMs = once || before !== undefined ? 0 : deps.now() + besideReplyMs;
  deps.defer("deliver", async () => {
    await before;
    await startLane(deps, "deliver", untilMs);
  });
}
