/**
 * The memory of bodies and pictures, counted for all that runs in an isolate, whose 128 MB they share. One that is large
 * has a turn: callers' bodies among themselves, and pictures among themselves, so that no slow sender holds up what is
 * stored. What finds no room waits a while, by a timer of its own invocation: a promise of one cannot be waited for in
 * another. An invocation whose client is gone may end without another step, so a share that is not renewed has an end.
 */
export type ByteUse = "body" | "picture";

/** What all may take, up to which one use may add to it. Pictures find room whatever callers send. */
const mostBytes = { body: 64_000_000, picture: 96_000_000 };
/** A longer buffer takes a turn. */
export const largeBytes = 8 * 1_048_576;
/** What those without a turn may take of one holder together, so that one tenant's bodies leave room for the others'. */
const mostOf = { servers: 20 * 1_048_576, visitors: 12 * 1_048_576 };
/** A body of JSON finds room where longer ones find none, and where other holders' short ones find none. */
const short = { bytes: 131_072, reserve: 5 * 1_048_576, ofHolder: 1_048_576 };
/** While another holder waits for its turn, a large body's time passes so many times as fast. */
export const hurry = 4;
const waitMs = { body: 5_000, picture: 15_000 };
const askEveryMs = 100;
/** What has not asked for so long waits no more: its invocation may have ended. */
const asksLastMs = 1_000;
/** Longer than any pause between two chunks, and than most take to be stored. */
export const shareLifeMs = 60_000;

/** A tenant's servers, or its pages' visitors. */
export interface ByteHolder {
  tenantId: string;
  kind: keyof typeof mostOf;
}

export interface Taken {
  use: ByteUse;
  /** Whose it is; null: of no tenant. */
  holder: string | null;
  bytes: number;
  untilMs: number;
  /** What it waits for. */
  asks?: { bytes: number; sinceMs: number; atMs: number } | undefined;
}

/** What is taken, of one isolate. */
export type ByteMemory = Set<Taken>;

/** What one body or picture takes of the memory. */
export interface ByteShare {
  /** Takes a buffer of so many bytes beside what it has. @returns false when there was no room in time. */
  take(bytes: number): Promise<boolean>;
  /** Gives a buffer back. */
  give(bytes: number): void;
  /** It is still in use. */
  renew(): void;
  /** How many times as fast its sender's time passes. */
  haste(): number;
  /** Gives back all that it has. */
  end(): void;
}

interface Isolate {
  byteMemory: ByteMemory;
  now(): number;
  sleep(ms: number): Promise<void>;
}

export const usedBytes = (taken: Iterable<Taken>): number =>
  [...taken].reduce((sum, { bytes }) => sum + bytes, 0);

/** The share of one body or picture. @param of Whose body it is; null: no tenant's, which has no bound of its own. */
export function byteShare(
  { byteMemory: memory, now, sleep }: Isolate,
  use: ByteUse,
  of: ByteHolder | null = null,
): ByteShare {
  const holder = of && `${of.tenantId} ${of.kind}`;
  const own: Taken = { use, holder, bytes: 0, untilMs: 0 };
  const renew = () => {
    own.untilMs = now() + shareLifeMs;
    memory.add(own);
  };
  const isLarge = (one: Taken) => one.use === use && one.bytes > largeBytes;
  const waits = ({ use: its, asks }: Taken) =>
    its === use && asks !== undefined && asks.bytes > largeBytes && now() - asks.atMs < asksLastMs;
  const othersWaiting = () => [...memory].filter((one) => one.holder !== holder && waits(one));
  /** The turn goes to the holder with the fewest large bodies, then to who has waited longest. */
  const isFirst = (sinceMs: number, room: number) => {
    const largeOf = (whose: string | null) =>
      [...memory].filter((one) => one.holder === whose && (isLarge(one) || waits(one))).length;
    return !othersWaiting().some(({ holder: other, asks }) => {
      const more = largeOf(other) - largeOf(holder);
      return asks && asks.bytes <= room && (more < 0 || (more === 0 && asks.sinceMs < sinceMs));
    });
  };
  const isFree = (bytes: number, sinceMs: number) => {
    for (const one of memory) if (one.untilMs <= now()) memory.delete(one);
    const taken = [...memory];
    const inReserve = mostBytes[use] - usedBytes(taken);
    const room = inReserve - (use === "body" ? short.reserve : 0);
    if (bytes > largeBytes)
      return bytes <= room && !taken.some((one) => one !== own && isLarge(one)) && isFirst(sinceMs, room);
    const isOfHolder = (bytesMost: number, most: number) =>
      of === null ||
      usedBytes(taken.filter((one) => one.holder === holder && one.bytes <= bytesMost)) + bytes <= most;
    if (bytes <= room && isOfHolder(largeBytes, mostOf[of?.kind ?? "servers"])) return true;
    return bytes <= short.bytes && bytes <= inReserve && isOfHolder(short.bytes, short.ofHolder);
  };
  return {
    async take(bytes) {
      renew();
      const sinceMs = now();
      for (let leftMs = waitMs[use]; leftMs >= 0; leftMs -= askEveryMs) {
        own.asks = { bytes, sinceMs, atMs: now() };
        const isTaken = isFree(bytes, sinceMs);
        if (isTaken || leftMs === 0) {
          own.asks = undefined;
          if (isTaken) own.bytes += bytes;
          return isTaken;
        }
        await sleep(askEveryMs);
      }
      return false;
    },
    give(bytes) {
      own.bytes -= bytes;
    },
    renew,
    haste: () => (isLarge(own) && othersWaiting().length > 0 ? hurry : 1),
    end: () => void memory.delete(own),
  };
}
