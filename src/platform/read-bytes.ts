/** Reading a stream of bytes into one buffer, within bounds of size, time, pace and memory. */
import { isTimeout, withTimeLimit } from "../domain/time-limit.ts";
import { type ByteShare, largeBytes } from "./byte-memory.ts";

export interface ReadBounds {
  /** So many bytes are kept at the most. */
  keptBytes: number;
  /** So many bytes are read at the most. */
  readBytes: number;
  /** The length that the sender declares; null when it does not. */
  declared: number | null;
  /** Reading stops at the declared length, where the platform ends the body: a read that only says so costs a turn and a timer. */
  endsAsDeclared?: boolean;
  maxMs: number;
  /** A sender that sends nothing for so long is given up, and one that falls so far behind {@link leastRate}. */
  silenceMs: number;
}

/** The body's size as its head declares it; null when it does not. */
export function declaredBytes({ headers }: { headers: Headers }): number | null {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Bytes a second. */
export const leastRate = 8_192;

export type BytesRead =
  /** `bytes`: the first `keptBytes`; `size`: what was read, above `readBytes` where reading stopped there. */
  | { kind: "read"; bytes: Uint8Array<ArrayBuffer>; size: number }
  /** Too long for `maxMs`, too little, or nothing. */
  | { kind: "slow" }
  /** No memory for more; the stream can be read on. */
  | { kind: "no_room" };

/**
 * Reads a stream to its end, or to the end of its bounds. The buffer is the share's until that ends.
 * @param now Unix milliseconds.
 * @throws what the stream breaks off with.
 */
export async function readBytes(
  stream: ReadableStream<Uint8Array>,
  { keptBytes, readBytes: mostRead, declared, endsAsDeclared = false, maxMs, silenceMs }: ReadBounds,
  now: () => number,
  share: ByteShare,
): Promise<BytesRead> {
  const reader = stream.getReader();
  const patience = patienceOf(maxMs, silenceMs, now, share);
  let buffer = new Uint8Array();
  let size = 0;
  const endBytes = endsAsDeclared ? declared : null;
  while (size <= mostRead && size !== endBytes) {
    share.renew();
    const read = await patience.wait(reader.read(), buffer.length > largeBytes);
    if (!read) {
      reader.cancel().catch(() => undefined);
      return { kind: "slow" };
    }
    if (read.done) break;
    const end = size + read.value.byteLength;
    if (end <= keptBytes) {
      const length = end <= buffer.length ? 0 : lengthFor(end, keptBytes, declared);
      if (length > 0 && !(await share.take(length))) {
        reader.releaseLock();
        return { kind: "no_room" };
      }
      patience.restart();
      if (length > 0) buffer = copied(buffer, size, length, share);
      buffer.set(read.value, size);
    }
    size = end;
  }
  if (size > mostRead) await reader.cancel();
  else reader.releaseLock();
  return { kind: "read", bytes: buffer.subarray(0, Math.min(size, keptBytes)), size };
}

/** A large body sees so often whether another waits for its turn. */
const stepMs = 1_000;

/**
 * How long a sender is waited for. What it sends buys it time, but never more than `mostMs` ahead: one that has sent much
 * at once cannot drip from then on.
 */
function patienceOf(maxMs: number, mostMs: number, now: () => number, share: ByteShare) {
  let leftMs = maxMs;
  let paceMs = mostMs;
  let atMs = now();
  const pass = (leastMs: number) => {
    const passedMs = Math.max(now() - atMs, leastMs);
    atMs = now();
    leftMs -= passedMs;
    paceMs -= passedMs * share.haste();
  };
  return {
    /** @returns undefined when nothing came in time, or too little. */
    async wait<T extends ReadableStreamReadResult<Uint8Array>>(chunk: Promise<T>, isLarge: boolean) {
      do {
        const waitMs = Math.max(0, Math.min(leftMs, paceMs, isLarge ? stepMs : maxMs));
        const read = await unlessLate(waitMs, chunk);
        if (read?.done) return read;
        pass(read ? 0 : waitMs);
        if (read) paceMs = Math.min(mostMs, paceMs + (read.value.byteLength * 1000) / leastRate);
        if (read && leftMs > 0 && paceMs > 0) return read;
      } while (leftMs > 0 && paceMs > 0);
      return undefined;
    },
    /** The sender is not slow while the gateway has no room. */
    restart() {
      atMs = now();
    },
  };
}

async function unlessLate<T>(ms: number, chunk: Promise<T>): Promise<T | undefined> {
  try {
    return await withTimeLimit(ms, () => chunk);
  } catch (error) {
    if (isTimeout(error)) return undefined;
    throw error;
  }
}

/** A buffer is never shorter, unless that is all. */
const leastBytes = 16_384;

/**
 * How long a buffer is once so many bytes are there: all that may come, halved as often as that leaves room for them. So
 * a sender is given at most twice of what it has sent, and the last copy is none of nearly as much. The large one of its
 * kind gets all at once, since copying it takes as much again.
 */
function lengthFor(usedBytes: number, keptBytes: number, declared: number | null): number {
  const most = declared !== null && usedBytes <= declared ? Math.min(declared, keptBytes) : keptBytes;
  let length = most;
  while (length / 2 >= Math.max(usedBytes, leastBytes)) length = Math.ceil(length / 2);
  return length > largeBytes ? most : length;
}

function copied(buffer: Uint8Array<ArrayBuffer>, used: number, length: number, share: ByteShare) {
  const longer = new Uint8Array(length);
  longer.set(buffer.subarray(0, used));
  share.give(buffer.length);
  return longer;
}
