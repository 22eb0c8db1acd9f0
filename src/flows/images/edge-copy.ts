/**
 * Copies of pictures in the cache of the data centre that serves them: the next request there costs no read of R2. The
 * cache works only on a domain of the operator's; elsewhere it keeps nothing, and each request reads R2.
 *
 * A copy's address is the picture's public URL, without the request's query and headers: a stranger cannot have it read
 * from R2 again by asking in another way. It begins with `PUBLIC_BASE_URL`, so that all domains of a gateway share one
 * copy, which the eraser finds by the task alone. Without `PUBLIC_BASE_URL` it begins with the origin of the request, and
 * the eraser drops the copy under the origin that the task was submitted through.
 *
 * Erasing, against a read that found no copy:
 *   1. the read gets the bytes from R2        1. the eraser puts the tombstone
 *   2. it writes the copy                     2. it drops the copy
 * In the order 1, 1, 2, 2 the copy is dropped, or there was none yet and it stays for its hour, as copies of other data
 * centres do. The tombstone goes first: a read that begins after it finds no bytes to make a copy of. A client that reads
 * slowly makes 2 last as long as it likes: a slow writer checks for the tombstone afterwards, and drops the copy.
 */

import { type ImageContentType, imageUrl } from "../../domain/task.ts";
import { stoppedAfter } from "../../domain/time-limit.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";

type EdgeParts = Pick<Invocation, "cache" | "config" | "defer" | "log">;
type KeepParts = EdgeParts & Pick<Invocation, "now">;

/** How long a copy may outlive its picture. */
const copySeconds = 3_600;

/** A copy that was written faster may stay for its hour; a check for the tombstone would cost a read of R2 for each. */
const quickMs = 1_000;

/** A cache that has not answered by then is slower than R2. */
const cacheLimitMs = 100;

/** The address of a picture's copy. @param origin Scheme and host; a request by `http` makes no second copy. */
export function copyAddress(
  { config }: Pick<Invocation, "config">,
  origin: string,
  id: string,
  contentType: ImageContentType,
): string {
  const api = (config.PUBLIC_BASE_URL ?? origin).replace(/^http:/, "https:");
  return imageUrl({ api, imageDomain: null }, id, contentType);
}

export interface Copy {
  etag: string;
  size: number;
  body: ReadableStream<Uint8Array>;
}

/** @returns `broken` when the cache fails or takes too long; the picture is then better read without it. */
export async function findCopy(invocation: EdgeParts, address: string): Promise<Copy | "none" | "broken"> {
  const found = await ask(invocation, address);
  if (!(found instanceof Response)) return found;
  const etag = found.headers.get("etag");
  const size = Number(found.headers.get("content-length"));
  if (found.status === 200 && found.body && etag !== null && size > 0)
    return { etag, size, body: found.body };
  await found.body?.cancel();
  return "none";
}

/** Some bytes of a copy; undefined when it is gone, or the cache gives no parts. */
export async function partOfCopy(
  invocation: EdgeParts,
  address: string,
  { offset, length }: { offset: number; length: number },
): Promise<ReadableStream<Uint8Array> | undefined> {
  const bytes = `${offset}-${offset + length - 1}`;
  const found = await ask(invocation, address, { range: `bytes=${bytes}` });
  if (!(found instanceof Response)) return undefined;
  const isIt = found.status === 206 && found.headers.get("content-range")?.startsWith(`bytes ${bytes}/`);
  if (isIt && found.body) return found.body;
  await found.body?.cancel();
  return undefined;
}

/**
 * Writes a copy beside the reply.
 * @param isErased Whether the picture has been erased by now.
 * @returns the bytes for the reply; they are read from R2 once, for both. A read that breaks off leaves no copy.
 */
export function keepCopy(
  invocation: KeepParts,
  address: string,
  contentType: ImageContentType,
  { etag, size, body }: Copy,
  isErased: () => Promise<boolean>,
): ReadableStream<Uint8Array> {
  const [reply, copy] = body.tee();
  const headers = {
    "content-type": contentType,
    "content-length": String(size),
    etag,
    "cache-control": `public, max-age=${copySeconds}`,
  };
  // Bytes that end before all were there are a failure to this stream, not an end.
  const whole = copy.pipeThrough(new FixedLengthStream(size));
  invocation.defer("keep_copy", async () => {
    const startMs = invocation.now();
    try {
      // Without a time limit: the runtime reads both streams at the slower one's pace, so that it holds little of them,
      // and a client may take minutes.
      await invocation.cache.put(address, new Response(whole, { headers }));
    } catch (error) {
      // The platform does not document whether a cache keeps half of what it was sent.
      await dropCopies(invocation, [address]);
      throw error;
    }
    if (invocation.now() - startMs < quickMs) return;
    if (await isErased().catch(() => true)) await dropCopies(invocation, [address]);
  });
  return reply;
}

/** Drops this data centre's copies of pictures that are erased. It never fails: they live for an hour at the most. */
export async function dropCopies(invocation: EdgeParts, addresses: string[]): Promise<void> {
  let works = true;
  await inParallel(
    addresses,
    async (address) => {
      // A cache that failed once would keep cron waiting for each picture.
      if (!works) return;
      works = (await inTime(invocation, () => invocation.cache.delete(address))) !== "broken";
    },
    { concurrency: connections },
  );
}

async function ask(
  invocation: EdgeParts,
  address: string,
  headers: Record<string, string> = {},
): Promise<Response | "none" | "broken"> {
  const asked = new Request(address, { headers });
  const drop = (late: Response | undefined) => void late?.body?.cancel().catch(() => undefined);
  return (await inTime(invocation, () => invocation.cache.match(asked), drop)) ?? "none";
}

/** @param drop Takes a result that comes too late. */
async function inTime<T>(
  invocation: EdgeParts,
  call: () => Promise<T>,
  drop: (late: T) => void = () => undefined,
): Promise<T | "broken"> {
  try {
    return await stoppedAfter(cacheLimitMs, async (signal) => {
      const result = await call();
      if (signal.aborted) drop(result);
      return result;
    });
  } catch (error) {
    invocation.log({ event: "cache_failed", level: "error", problem: describe(error) });
    return "broken";
  }
}
