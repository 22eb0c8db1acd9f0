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
const mostOfHolder = 20 * 1_048_576;
/** A body of JSON finds room where longer ones find none. */
const short = { bytes: 131_072, reserve: 4_000_000 };
const waitMs = { body: 5_000, picture: 15_000 };
const askEveryMs = 100;
/** Longer than any pause between two chunks, and than most take to be stored. */
export const shareLifeMs = 60_000;

export interface Taken {
  use: ByteUse;
  /** Whose it is; null: of no tenant. */
  holder: string | null;
  bytes: number;
  untilMs: number;
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

/** The share of one body or picture. @param holder The tenant whose body it is. */
export function byteShare(
  { byteMemory: memory, now, sleep }: Isolate,
  use: ByteUse,
  holder: string | null = null,
): ByteShare {
  const own: Taken = { use, holder, bytes: 0, untilMs: 0 };
  const renew = () => {
    own.untilMs = now() + shareLifeMs;
    memory.add(own);
  };
  const isFree = (bytes: number) => {
    for (const one of memory) if (one.untilMs <= now()) memory.delete(one);
    const taken = [...memory];
    const most = mostBytes[use] - (use === "body" && bytes > short.bytes ? short.reserve : 0);
    if (usedBytes(taken) + bytes > most) return false;
    if (bytes > largeBytes)
      return !taken.some((one) => one !== own && one.use === use && one.bytes > largeBytes);
    const ofHolder = taken.filter((one) => one.holder === holder && one.bytes <= largeBytes);
    return holder === null || bytes <= short.bytes || usedBytes(ofHolder) + bytes <= mostOfHolder;
  };
  return {
    async take(bytes) {
      renew();
      for (let leftMs = waitMs[use]; !isFree(bytes); leftMs -= askEveryMs) {
        if (leftMs <= 0) return false;
        await sleep(askEveryMs);
      }
      own.bytes += bytes;
      return true;
    },
    give(bytes) {
      own.bytes -= bytes;
    },
    renew,
    end: () => void memory.delete(own),
  };
}
