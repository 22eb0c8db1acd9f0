/**
 * Starting lanes: of each kind one at a time by an invocation, which may start at most 32 others. A lane that runs finds
 * by itself what is written meanwhile.
 */
import { describe, type Invocation, type Lanes } from "../../platform/invocation.ts";

const running = new WeakMap<Invocation, Map<keyof Lanes, Promise<void>>>();

function lanesOf(invocation: Invocation): Map<keyof Lanes, Promise<void>> {
  const known = running.get(invocation);
  if (known) return known;
  const lanes = new Map<keyof Lanes, Promise<void>>();
  running.set(invocation, lanes);
  return lanes;
}

/** Starts a lane until `untilMs` (0: once through what is due), unless it runs. Never rejects. */
export function startLane(
  invocation: Invocation,
  lane: keyof Lanes,
  untilMs: number,
  leaseUntilMs?: number,
): Promise<void> {
  const lanes = lanesOf(invocation);
  const known = lanes.get(lane);
  if (known !== undefined) return known;
  const run = invocation.lanes[lane](untilMs, leaseUntilMs)
    .catch((error: unknown) => {
      invocation.log({ event: "lane_failed", level: "error", lane, problem: describe(error) });
    })
    .finally(() => lanes.delete(lane));
  lanes.set(lane, run);
  return run;
}

/** Waits for the lanes that still run. */
export async function lanesDone(invocation: Invocation): Promise<void> {
  await Promise.all(lanesOf(invocation).values());
}

/** Work beside a reply goes on for half a minute at the most. */
const besideReplyMs = 25_000;

/**
 * Has what was just put into the outbox sent at once, in an invocation of its own. A lane that runs may have looked for
 * the last time already, so somebody looks once more after it.
 */
export function wakeDelivery(invocation: Invocation): void {
  const once = invocation.config.POLL_ROUND_SECONDS === 0;
  const before = lanesOf(invocation).get("deliver");
  const untilMs = once || before !== undefined ? 0 : invocation.now() + besideReplyMs;
  invocation.defer("deliver", async () => {
    await before;
    await startLane(invocation, "deliver", untilMs);
  });
}
