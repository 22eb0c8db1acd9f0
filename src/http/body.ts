/** The one reader of request bodies: every body is read within bounds of size, time, pace and memory. */
import { isTimeout, withTimeLimit } from "../domain/time-limit.ts";
import { ApiError } from "../errors.ts";
import { shareOf } from "../platform/byte-memory.ts";
import { type BytesRead, leastRate, readBytes } from "../platform/read-bytes.ts";
import type { AppContext } from "./context.ts";

export interface BodyBounds {
  /** So many bytes are kept at the most. */
  keptBytes: number;
  /** So many bytes are read at the most. A client that is still sending would lose the reply to a connection reset. */
  readBytes: number;
  /** Default: five minutes, which a body of the largest size takes over a line of half a megabit a second. */
  maxMs?: number;
  /** Default: ten seconds. So long it may send nothing, and so long it may send less than its pace. */
  patienceMs?: number;
}

export interface ReadBody {
  /** The body's first `keptBytes`, or all of a shorter one. They are not to be kept once `use` is over. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The length that was read, which is above `readBytes` where reading stopped there. */
  size: number;
}

/** A declared length of at most this is read in one call, and not counted. */
const shortBytes = 65_536;

/** The body's size as its head declares it; null when it does not. */
export function declaredBytes({ headers }: Request): number | null {
  const text = headers.get("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/**
 * Reads a body to its end, or to the end of its bounds, and uses it. Its memory is counted until it has been used.
 * @throws ApiError `invalid_request` for a body that breaks off, takes longer than `maxMs` or drips; `unavailable` for
 *   one that the isolate has no memory for.
 */
export async function readBody<T>(
  c: AppContext,
  bounds: BodyBounds,
  use: (body: ReadBody) => T | Promise<T>,
): Promise<T> {
  const { body } = c.req.raw;
  if (!body) return use({ bytes: new Uint8Array(), size: 0 });
  const invocation = c.get("invocation");
  const { keptBytes, maxMs = 5 * 60_000, patienceMs = 10_000 } = bounds;
  const declared = declaredBytes(c.req.raw);
  const pace = { maxMs, silenceMs: patienceMs, graceMs: patienceMs };
  // HTTP holds a body to its declared length (RFC 9112, 6.3).
  const isShort = declared !== null && declared <= Math.min(keptBytes, shortBytes);
  const share = shareOf(invocation, "body");
  try {
    const reading = isShort
      ? readWhole(c.req.raw, Math.min(maxMs, patienceMs))
      : readBytes(body, { ...bounds, ...pace, declared }, invocation.now, share);
    const read = await reading.catch(() => {
      // The client may be gone, but the fault is not the gateway's.
      throw new ApiError("invalid_request", "The body broke off before its end.");
    });
    if (read.kind !== "read") throw refusalOf(read.kind, maxMs);
    return await use(read);
  } finally {
    share.end();
  }
}

/** At its least pace a short body is there within the time that any sender gets. */
async function readWhole(request: Request, limitMs: number): Promise<BytesRead> {
  try {
    const bytes = new Uint8Array(await withTimeLimit(limitMs, () => request.arrayBuffer()));
    return { kind: "read", bytes, size: bytes.length };
  } catch (error) {
    if (isTimeout(error)) return { kind: "slow" };
    throw error;
  }
}

function refusalOf(kind: Exclude<BytesRead["kind"], "read">, maxMs: number): ApiError {
  if (kind === "no_room") {
    const message = "Too many large bodies are being read. Nothing was charged; send this one again.";
    return new ApiError("unavailable", message, { headers: { "retry-after": "5" } });
  }
  return new ApiError(
    "invalid_request",
    kind === "late"
      ? `The body took longer than ${maxMs / 1000} s.`
      : `The body came too slowly: send at least ${leastRate} bytes a second, without long pauses.`,
  );
}
