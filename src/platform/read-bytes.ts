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
  maxMs: number;
  /** A sender that sends nothing for so long is given up. */
  silenceMs: number;
  /** So does one that after so long has sent less than {@link leastRate} on the whole. */
  graceMs: number;
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
  { keptBytes, readBytes: mostRead, declared, maxMs, silenceMs, graceMs }: ReadBounds,
  now: () => number,
  share: ByteShare,
): Promise<BytesRead> {
  const reader = stream.getReader();
  let startMs = now();
  let buffer = new Uint8Array();
  let size = 0;
  const giveUp = (): BytesRead => {
    reader.cancel().catch(() => undefined);
    return { kind: "slow" };
  };
  while (size <= mostRead) {
    const read = await readWithin(Math.min(silenceMs, maxMs - (now() - startMs)), reader);
    if (!read) return giveUp();
    if (read.done) break;
    share.renew();
    const end = size + read.value.byteLength;
    if (end <= keptBytes) {
      const length = end <= buffer.length ? 0 : lengthFor(end, keptBytes, declared);
      const askedMs = now();
      if (length > 0 && !(await share.take(length))) {
        reader.releaseLock();
        return { kind: "no_room" };
      }
      // The sender is not slow while the gateway has no room.
      startMs += now() - askedMs;
      if (length > 0) buffer = copied(buffer, size, length, share);
      buffer.set(read.value, size);
    }
    size = end;
    const tookMs = now() - startMs;
    if (tookMs > graceMs && size * 1000 < tookMs * leastRate) return giveUp();
  }
  if (size > mostRead) await reader.cancel();
  else reader.releaseLock();
  return { kind: "read", bytes: buffer.subarray(0, Math.min(size, keptBytes)), size };
}

async function readWithin(ms: number, reader: ReadableStreamDefaultReader<Uint8Array>) {
  try {
    return await withTimeLimit(Math.max(0, ms), () => reader.read());
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
