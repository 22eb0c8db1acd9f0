/** The one reader of request bodies: every body is read within bounds of size, time, pace and memory. */
import type { Caller } from "../domain/access.ts";
import { ApiError } from "../errors.ts";
import { byteShare, hurry } from "../platform/byte-memory.ts";
import { declaredBytes, leastRate, readBytes } from "../platform/read-bytes.ts";
import type { AppContext } from "./context.ts";

export interface BodyBounds {
  /** A longer body is refused. */
  mostBytes: number;
  /** So many bytes are kept at the most. Default: all that it may have. */
  keptBytes?: number;
  /** So many bytes are read at the most. A client that is still sending would lose the reply to a connection reset. */
  readBytes: number;
  /** Default: five minutes, which a body of the largest size takes over a line of half a megabit a second. */
  maxMs?: number;
}

export interface ReadBody {
  /** The body's first `keptBytes`, or all of a shorter one. They are not to be kept once they have been used. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The length that was read. */
  size: number;
}

/** So long a body may send nothing, and so far it may fall behind its pace. */
const patienceMs = 10_000;

/**
 * Reads a body to its end, or to the end of its bounds, and uses it. Its memory is counted until it has been used.
 * @throws ApiError `invalid_request` for a body that breaks off or comes too slowly; `body_too_large`; `unavailable` for
 *   one that the isolate has no memory for.
 */
export async function readBody<T>(
  c: AppContext,
  { mostBytes, keptBytes = mostBytes, readBytes: mostRead, maxMs = 300_000 }: BodyBounds,
  use: (body: ReadBody) => T | Promise<T>,
): Promise<T> {
  const { body } = c.req.raw;
  if (!body) return use({ bytes: new Uint8Array(), size: 0 });
  const invocation = c.get("invocation");
  const declared = declaredBytes(c.req.raw);
  const isTooLong = (declared ?? 0) > mostBytes;
  const size = { keptBytes: isTooLong ? 0 : keptBytes, readBytes: mostRead, declared, endsAsDeclared: true };
  const bounds = { ...size, maxMs, silenceMs: patienceMs };
  const caller = c.get("caller") as Caller | undefined;
  const holder = caller && {
    tenantId: caller.tenantId,
    kind: caller.kind === "secret" ? ("servers" as const) : ("visitors" as const),
  };
  const share = byteShare(invocation, "body", holder);
  try {
    const read = await readBytes(body, bounds, invocation.now, share).catch(() => {
      // The client may be gone, but the fault is not the gateway's.
      throw new ApiError("invalid_request", "The body broke off before its end.");
    });
    if (read.kind === "no_room") {
      const message =
        "Too many or too large bodies are being read. Nothing was charged; send this one again.";
      throw new ApiError("unavailable", message, { headers: { "retry-after": "5" } });
    }
    if (read.kind === "slow") {
      const pace = `${maxMs / 1000} s at the most, ${leastRate} bytes a second at the least, no pause of ${patienceMs / 1000} s; ${hurry} times as fast for a large body while another waits`;
      throw new ApiError("invalid_request", `The body came too slowly: ${pace}.`);
    }
    if (isTooLong || read.size > mostBytes)
      throw new ApiError("body_too_large", `The body must be at most ${mostBytes} bytes.`);
    return await use(read);
  } finally {
    share.end();
  }
}

/** Reads a body of which nothing is kept, so that its client gets the reply. A slow or longer one loses it. Never throws. */
export function drain(c: AppContext, mostRead: number): Promise<void> {
  const bounds = { mostBytes: 0, readBytes: mostRead, maxMs: 30_000 };
  return readBody(c, bounds, () => undefined).catch(() => undefined);
}
