/**
 * One event of the platform (a request, a tick, a message of the Queue, a call to an object) and what Cloudflare lets it
 * use. The local platform enforces none of this. What one event calls through a service binding shares its connections and
 * counts, so lanes run in the event of their tick.
 *
 * A seventh connection waits for one of the six, and the caller's time limit goes on meanwhile. Anything else that goes over
 * is an error with the figure, and is kept: who swallows the error fails all the same, since each test ends by asking.
 */

/** As Cloudflare documents them for paid plans, 2026-11. */
export const platformLimits = {
  /** That wait for headers: fetches, and calls of R2, the cache and the Queue. */
  connections: 6,
  /** Calls that leave the event, whatever they reach. */
  subrequests: 10_000,
  /** Statements for D1, each one of a batch. */
  queries: 1_000,
  /** Workers that one event calls through service bindings. */
  services: 32,
  /** Milliseconds that work goes on after the reply, or after the client has left. */
  afterReplyMs: 30_000,
  /** Milliseconds of a tick or a message. */
  backgroundMs: 15 * 60_000,
  parameters: 100,
  statementBytes: 100_000,
  /** Of a row, and so of each value in it. */
  valueBytes: 2_000_000,
  /** Keys in one call of R2's `delete`. */
  deletedKeys: 1_000,
  batchMessages: 100,
  batchBytes: 256_000,
  messageBytes: 128_000,
} as const;

export type PlatformLimit = keyof typeof platformLimits;

export class PlatformLimitExceeded extends Error {
  override name = "PlatformLimitExceeded";
}

/** What went over, since it was last asked for. */
const exceeded: string[] = [];

/** @returns what went over a limit since the last call. */
export function takeExceeded(): string[] {
  return exceeded.splice(0);
}

export type EventKind = "request" | "tick" | "message" | "object";

type Counted = "subrequests" | "queries" | "services";

export interface PlatformEvent {
  readonly kind: EventKind;
  /** What it has used so far; of connections, the most that were taken or waited for at a time. */
  readonly used: Record<Counted | "connections", number>;
  /** Counts calls that leave the event. @throws PlatformLimitExceeded */
  count(what: Counted, by: number, name: string): void;
  /** Holds one value against a limit. @throws PlatformLimitExceeded */
  check(limit: PlatformLimit, value: number, name: string): void;
  /**
   * Makes a call that takes a connection until it is answered.
   * @param signal Ends the wait for a connection, as it ends the call.
   */
  connect<T>(name: string, call: () => Promise<T>, signal?: AbortSignal | null): Promise<T>;
  /** The reply has left: what goes on beside it has half a minute. */
  replied(): void;
}

/** @param now Unix milliseconds. */
export function platformEvent(kind: EventKind, now: () => number): PlatformEvent {
  const startMs = now();
  let repliedMs: number | undefined;
  let taken = 0;
  const waiting: (() => void)[] = [];
  const used = { subrequests: 0, queries: 0, services: 0, connections: 0 };

  const check: PlatformEvent["check"] = (limit, value, name) => {
    if (value <= platformLimits[limit]) return;
    const text = `${kind}: ${name}: ${limit} ${value} > ${platformLimits[limit]}`;
    exceeded.push(text);
    throw new PlatformLimitExceeded(text);
  };
  const checkTime = (name: string) => {
    if (kind !== "request") check("backgroundMs", now() - startMs, name);
    else if (repliedMs !== undefined) check("afterReplyMs", now() - repliedMs, name);
  };
  const free = () => {
    taken--;
    waiting.shift()?.();
  };
  const take = async (signal: AbortSignal | null | undefined) => {
    used.connections = Math.max(used.connections, taken + waiting.length + 1);
    if (taken < platformLimits.connections) {
      taken++;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const turn = () => {
      taken++;
      resolve();
    };
    waiting.push(turn);
    const leave = () => {
      const place = waiting.indexOf(turn);
      if (place >= 0) waiting.splice(place, 1);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", leave);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", leave);
    }
  };
  return {
    kind,
    used,
    check,
    count(what, by, name) {
      checkTime(name);
      used[what] += by;
      check(what, used[what], name);
    },
    async connect(name, call, signal) {
      checkTime(name);
      used.subrequests++;
      check("subrequests", used.subrequests, name);
      await take(signal);
      try {
        return await call();
      } finally {
        free();
      }
    },
    replied() {
      repliedMs = now();
    },
  };
}
