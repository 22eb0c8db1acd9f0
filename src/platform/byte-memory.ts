/**
 * The memory of bodies and pictures, counted for all that runs in an isolate, whose 128 MB they share. One that is large
 * has a turn: callers' bodies among themselves, and pictures among themselves, so that no slow sender holds up what is
 * stored. What finds no room waits a while, by a timer of its own invocation: a promise of one cannot be waited for in
 * another.
 */
export type ByteUse = "body" | "picture";

/** What all may take, up to which one use may add to it. Pictures find room whatever callers send. */
const mostBytes = { body: 64_000_000, picture: 96_000_000 };
/** A longer buffer takes a turn. */
export const largeBytes = 8 * 1_048_576;
const waitMs = { body: 5_000, picture: 15_000 };
const askEveryMs = 100;

/** Of one isolate. */
export interface ByteMemory {
  usedBytes: number;
  /** Who has the turn of large ones. */
  large: Map<ByteUse, ByteShare>;
}

export const createByteMemory = (): ByteMemory => ({ usedBytes: 0, large: new Map() });

/** What one body or picture takes of the memory. */
export interface ByteShare {
  /** Takes a buffer of so many bytes beside what it has. @returns false when there was no room in time. */
  take(bytes: number): Promise<boolean>;
  /** Gives a buffer back. */
  give(bytes: number): void;
  /** Gives back all that it has. */
  end(): void;
}

interface Isolate {
  byteMemory: ByteMemory;
  sleep(ms: number): Promise<void>;
}

export function shareOf({ byteMemory: memory, sleep }: Isolate, use: ByteUse): ByteShare {
  let hasBytes = 0;
  const give = (bytes: number) => {
    hasBytes -= bytes;
    memory.usedBytes -= bytes;
  };
  const share: ByteShare = {
    async take(bytes) {
      const isFree = () =>
        memory.usedBytes + bytes <= mostBytes[use] &&
        (bytes <= largeBytes || (memory.large.get(use) ?? share) === share);
      for (let leftMs = waitMs[use]; !isFree(); leftMs -= askEveryMs) {
        if (leftMs <= 0) return false;
        await sleep(askEveryMs);
      }
      give(-bytes);
      if (bytes > largeBytes) memory.large.set(use, share);
      return true;
    },
    give,
    end() {
      give(hasBytes);
      if (memory.large.get(use) === share) memory.large.delete(use);
    },
  };
  return share;
}
