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
const waitMs = { body: 5_000, picture: 15_000 };
const askEveryMs = 100;
/** Longer than any pause between two chunks, and than most take to be stored. */
export const shareLifeMs = 60_000;

export interface Taken {
  use: ByteUse;
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

export const usedBytes = (memory: ByteMemory): number =>
  [...memory].reduce((sum, { bytes }) => sum + bytes, 0);

export function shareOf({ byteMemory: memory, now, sleep }: Isolate, use: ByteUse): ByteShare {
  const own: Taken = { use, bytes: 0, untilMs: 0 };
  const renew = () => {
    own.untilMs = now() + shareLifeMs;
    memory.add(own);
  };
  const isFree = (bytes: number) => {
    for (const one of memory) if (one.untilMs <= now()) memory.delete(one);
    const hasTurn = (one: Taken) => one !== own && one.use === use && one.bytes > largeBytes;
    const isTurn = bytes <= largeBytes || ![...memory].some(hasTurn);
    return isTurn && usedBytes(memory) + bytes <= mostBytes[use];
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
