/** The one reader of request bodies: every body is read within bounds of size and time. */
import { isTimeout, withTimeLimit } from "../domain/time-limit.ts";
import { ApiError } from "../errors.ts";

export interface BodyBounds {
  /** So many bytes are kept at the most. */
  keptBytes: number;
  /** So many bytes are read at the most. A client that is still sending would lose the reply to a connection reset. */
  readBytes: number;
  /** Default: five minutes, which a body of the largest size takes over a line of half a megabit a second. */
  maxMs?: number;
}

export interface ReadBody {
  /** The body's first `keptBytes`, or all of a shorter one. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The length that was read, which is above `readBytes` where reading stopped there. */
  size: number;
}

/** A declared length of at most this is read in one call. A longer body is read chunk by chunk. */
const shortBytes = 65_536;

/** The body's size as its head declares it; null when it does not. */
export function declaredBytes({ headers }: Request): number | null {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Reads a body to its end, or to the end of its bounds.
 * @throws ApiError `invalid_request` for a body that breaks off, or takes longer than `maxMs`.
 */
export async function readBody(
  request: Request,
  { keptBytes, readBytes, maxMs = 5 * 60_000 }: BodyBounds,
): Promise<ReadBody> {
  const { body } = request;
  if (!body) return { bytes: new Uint8Array(), size: 0 };
  const declared = declaredBytes(request);
  // HTTP holds a body to its declared length (RFC 9112, 6.3).
  const isShort = declared !== null && declared <= Math.min(keptBytes, shortBytes);
  const reader = isShort ? undefined : body.getReader();
  const reading = reader ? readChunks(reader, declared, keptBytes, readBytes) : readWhole(request);
  try {
    return await withTimeLimit(maxMs, () => reading);
  } catch (error) {
    // The client may be gone, but the fault is not the gateway's.
    if (!isTimeout(error)) throw new ApiError("invalid_request", "The body broke off before its end.");
    reader?.cancel().catch(() => undefined);
    throw new ApiError("invalid_request", `The body took longer than ${maxMs / 1000} s.`);
  }
}

async function readWhole(request: Request): Promise<ReadBody> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  return { bytes, size: bytes.length };
}

/** @param declared The length that sizes the buffer. Without one the buffer grows with the body. */
async function readChunks(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  declared: number | null,
  keptBytes: number,
  readBytes: number,
): Promise<ReadBody> {
  let buffer = new Uint8Array(Math.min(declared ?? shortBytes, keptBytes));
  let size = 0;
  while (size <= readBytes) {
    const { done, value } = await reader.read();
    if (done) break;
    const end = size + value.byteLength;
    if (end <= keptBytes) {
      if (end > buffer.length) buffer = grown(buffer, size, Math.min(keptBytes, 2 * end));
      buffer.set(value, size);
    }
    size = end;
  }
  if (size > readBytes) await reader.cancel();
  return { bytes: buffer.subarray(0, Math.min(size, keptBytes)), size };
}

function grown(buffer: Uint8Array, used: number, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(buffer.subarray(0, used));
  return larger;
}
