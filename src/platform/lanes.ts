/**
 * Starting lanes. An invocation may start at most 32 others, so it starts one lane of each kind at a time. A lane that
 * runs finds by itself what is written meanwhile.
 */
import { describe, type WriteLog } from "./log.ts";

/** Work of a tick that runs in an invocation of its own, so that a host that hangs there delays nothing here. */
export interface Lanes {
  /** Sends queued tasks, until nothing is due or `untilMs`. */
  send(untilMs: number): Promise<void>;
  /** Stores finished pictures, until nothing is due or `untilMs`; tasks that the tick has claimed until `leaseUntilMs` are due too. */
  store(untilMs: number, leaseUntilMs?: number): Promise<void>;
  /** Sends webhooks, until none is due for a while or `untilMs`. */
  deliver(untilMs: number): Promise<void>;
}

export interface LaneStarter {
  /** Starts a lane until `untilMs` (0: once through what is due), unless it runs. Never rejects. */
  start(lane: keyof Lanes, untilMs: number, leaseUntilMs?: number): Promise<void>;
  /** Starts a lane beside those that run. Never rejects. */
  startAnother(lane: keyof Lanes, untilMs: number, leaseUntilMs?: number): Promise<void>;
  /** The end of the lane that {@link start} started; undefined when it does not run. */
  running(lane: keyof Lanes): Promise<void> | undefined;
  /** Waits for the lanes that {@link start} started. */
  ended(): Promise<void>;
}

/** @param lanes Calls that run a lane in an invocation of its own. */
export function createLaneStarter(lanes: Lanes, log: WriteLog): LaneStarter {
  const running = new Map<keyof Lanes, Promise<void>>();
  const startAnother: LaneStarter["startAnother"] = async (lane, untilMs, leaseUntilMs) => {
    try {
      await lanes[lane](untilMs, leaseUntilMs);
    } catch (error) {
      log({ event: "lane_failed", level: "error", lane, problem: describe(error) });
    }
  };
  return {
    start(lane, untilMs, leaseUntilMs) {
      const known = running.get(lane);
      if (known !== undefined) return known;
      const run = startAnother(lane, untilMs, leaseUntilMs).finally(() => running.delete(lane));
      running.set(lane, run);
      return run;
    },
    startAnother,
    running: (lane) => running.get(lane),
    async ended() {
      await Promise.all(running.values());
    },
  };
}
