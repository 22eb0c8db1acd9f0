/**
 * A clock that moves by itself, to the next sleeper's moment, as soon as nothing else is at work. With it cron, lanes,
 * streams and callers sleep side by side, each for as long as it says, and the difference between two readings is a
 * latency that no machine's speed is part of.
 *
 * At work is a flow that has a call to a binding or to the network under way, or waits for bytes of a reply: those are
 * counted. What lies between two calls (parsing, hashing, a stream's own turns) is not, so the clock also lets a few
 * turns of the event loop pass in which nothing begins. That is scheduling, not a sleep that hides a race: were they
 * too few, the clock would move while something is still being worked out, and that would have taken so long. The
 * figures would be those of a slower gateway. They cannot become those of a faster one: no sleeper wakes before its
 * time, the clock never goes back, and each moment is read when what it dates is done. (One poll that is late may by
 * luck see an end that it would have missed. On the whole late is late: turns taken away make the figures larger, turns
 * added leave them as they are.)
 *
 * Calls take none of this time unless `takes` says how much. Time limits are real ones, and a call that hangs holds the
 * clock until its limit.
 */
import type { TestGateway } from "./gateway.ts";

export interface VirtualTime {
  /** Unix milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
  /** Runs a call to a binding or to the network; the clock stands until it is over. */
  during<T>(name: string, call: () => Promise<T>): Promise<T>;
}

interface Options {
  startMs?: number;
  /** How many milliseconds a call of this name takes, by this clock. */
  takes?: (name: string) => number;
}

const minuteMs = 60_000;
/** The turns of the event loop after which nothing more is expected to begin by itself. */
const quietTurns = 3;

interface Sleeper {
  untilMs: number;
  wake: () => void;
}

/** @param startMs a full minute unless given, so that the first tick has all of it. */
export function virtualTime({ startMs = 1_900_000_020_000, takes }: Options = {}): VirtualTime {
  let nowMs = startMs;
  let sleepers: Sleeper[] = [];
  const work = countWork();
  let moving = false;

  const move = async () => {
    moving = true;
    while (sleepers.length > 0) {
      await work.untilQuiet();
      nowMs = Math.min(...sleepers.map(({ untilMs }) => untilMs));
      // All at once, as they would: who is first does not wait for what the others do then.
      const due = sleepers.filter(({ untilMs }) => untilMs <= nowMs);
      sleepers = sleepers.filter(({ untilMs }) => untilMs > nowMs);
      for (const { wake } of due) wake();
    }
    moving = false;
  };
  const sleep = (ms: number): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    work.begun();
    sleepers.push({ untilMs: nowMs + Math.max(0, ms), wake: resolve });
    if (!moving) void move();
    return promise;
  };
  return {
    now: () => nowMs,
    sleep,
    async during(name, call) {
      const result = await work.count(async () => {
        const reply = await call();
        return reply instanceof Response ? (withBodyCounted(reply, work) as typeof reply) : reply;
      });
      const ms = takes?.(name) ?? 0;
      if (ms > 0) await sleep(ms);
      return result;
    },
  };
}

type Work = ReturnType<typeof countWork>;

function countWork() {
  let underWay = 0;
  let begunSoFar = 0;
  let whenIdle = Promise.withResolvers<void>();
  const begun = () => {
    begunSoFar++;
  };
  return {
    /** Something new goes on. */
    begun,
    async count<T>(call: () => Promise<T>): Promise<T> {
      begun();
      underWay++;
      try {
        return await call();
      } finally {
        underWay--;
        if (underWay === 0) {
          whenIdle.resolve();
          whenIdle = Promise.withResolvers();
        }
      }
    },
    async untilQuiet(): Promise<void> {
      let seen = -1;
      for (let quiet = 0; quiet < quietTurns; quiet++) {
        if (underWay > 0) await whenIdle.promise;
        if (begunSoFar !== seen) quiet = 0;
        seen = begunSoFar;
        await new Promise((resolve) => setTimeout(resolve, 0));
      }
    },
  };
}

/** A reply is not over when `fetch` is: waiting for its bytes is work too. A body without a reader is none. */
function withBodyCounted(response: Response, work: Work): Response {
  const reader = response.body?.getReader();
  if (!reader) return response;
  const source: UnderlyingByteSource = {
    type: "bytes",
    pull: (controller) =>
      work.count(async () => {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        // Who reads into a buffer of their own learns that nothing more will be in it.
        controller.byobRequest?.respond(0);
      }),
    cancel: (reason) => reader.cancel(reason),
  };
  return new Response(new ReadableStream(source), response);
}

/**
 * Runs cron while `work` lasts: a tick at each full minute, whether or not the one before has ended.
 * @returns what `work` gave, when all ticks have ended.
 */
export async function withCron<T>(gateway: TestGateway, work: () => Promise<T>): Promise<T> {
  const ticks: Promise<void>[] = [];
  let goesOn = true;
  const cron = async () => {
    // At a full minute, the first tick is now.
    const firstMs = (minuteMs - (gateway.now() % minuteMs)) % minuteMs;
    for (let pauseMs = firstMs; ; pauseMs = minuteMs) {
      await gateway.sleep(pauseMs);
      if (!goesOn) return;
      ticks.push(gateway.tick());
    }
  };
  const running = cron();
  try {
    return await work();
  } finally {
    goesOn = false;
    await running;
    await Promise.all(ticks);
  }
}
