/**
 * Fetching a finished picture from the host where the upstream put it: hosts vary, may redirect and may lie. Every
 * hop's address is checked, the upstream's key goes to none of them, and time and size are bounded.
 */

import { checkAddress } from "../../domain/address.ts";
import { isTimeout } from "../../domain/time-limit.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { largeBytes } from "../../platform/large-turns.ts";
import { userAgent } from "../../upstream/evolink.ts";

const maxRedirects = 5;
/** Head and body together. */
const pictureLimitMs = 30_000;
/** A host that sends less counts as silent, once it had a few seconds to begin. */
const minRate = { bytesPerSecond: 8_192, afterMs: 5_000 };
/** A host that sends nothing for so long is left for a later attempt, so that other pictures do not wait for it. */
const silenceLimitMs = { firstAttempt: 5_000, later: 15_000 };

export type Fetched =
  /** `done` has to be called once the bytes are no longer needed: a large picture holds up the next one. */
  | { kind: "bytes"; bytes: Uint8Array<ArrayBuffer>; done: () => void }
  /** `final`: no later attempt can end otherwise. `dead`: this link is gone, another one may work. */
  | { kind: "problem"; problem: string; final: boolean; dead: boolean };

const problem = (text: string, { final = false, dead = false } = {}): Fetched => ({
  kind: "problem",
  problem: text,
  final,
  dead,
});

/**
 * Fetches a picture's bytes, `ARCHIVE_MAX_BYTES` at the most. Never throws for a fault of the host.
 * @param isFirstAttempt The link has never been attempted: a host that does not answer gets less time.
 */
export async function fetchPicture(
  invocation: Invocation,
  link: string,
  isFirstAttempt: boolean,
): Promise<Fetched> {
  const silence = limitSilence(
    invocation,
    isFirstAttempt ? silenceLimitMs.firstAttempt : silenceLimitMs.later,
  );
  const { signal } = silence;
  try {
    let address = link;
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const checked = checkLink(invocation, address);
      if ("problem" in checked) return problem(`address ${checked.problem}`);
      const headers = { accept: "image/*", "user-agent": userAgent };
      const response = await invocation.fetch(checked.url.href, { headers, redirect: "manual", signal });
      silence.heard();
      if (response.status < 300 || response.status >= 400)
        return await readPicture(invocation, response, silence);
      await response.body?.cancel();
      const location = response.headers.get("location");
      const next = location === null ? null : URL.parse(location, checked.url);
      if (!next) return problem("redirect without a target");
      address = next.href;
    }
    return problem("too many redirects");
  } catch (error) {
    return problem(isTimeout(error) ? "time-out" : "connection lost");
  } finally {
    silence.end();
  }
}

/**
 * Aborts a fetch when its host sends nothing for `ms`, sends too slowly, or takes too long on the whole. Not
 * `withTimeLimit`: the limit starts anew with each chunk, and stands still while the fetch waits for its turn.
 */
function limitSilence({ now }: Pick<Invocation, "now">, ms: number) {
  const stop = new AbortController();
  let bytes = 0;
  let bodyMs: number | undefined;
  const late = () => stop.abort(new DOMException("the host is silent", "TimeoutError"));
  let timer = setTimeout(late, ms);
  const whole = setTimeout(late, pictureLimitMs);
  return {
    signal: stop.signal,
    /** The body begins to be read. */
    begin() {
      bodyMs = now();
      clearTimeout(timer);
      timer = setTimeout(late, ms);
    },
    heard(chunkBytes = 0) {
      clearTimeout(timer);
      timer = setTimeout(late, ms);
      if (bodyMs === undefined) return;
      bytes += chunkBytes;
      const elapsedMs = now() - bodyMs;
      if (elapsedMs > minRate.afterMs && (bytes * 1000) / elapsedMs < minRate.bytesPerSecond) late();
    },
    /** The fetch waits for something else than the host. */
    pause: () => clearTimeout(timer),
    end() {
      clearTimeout(timer);
      clearTimeout(whole);
    },
  };
}
type Silence = Omit<ReturnType<typeof limitSilence>, "signal">;

function checkLink(invocation: Invocation, address: string): ReturnType<typeof checkAddress> {
  // The upstream's own origin is the operator's choice and needs no check.
  const url = URL.parse(address);
  if (url && url.origin === new URL(invocation.config.UPSTREAM_BASE_URL).origin) return { url };
  return checkAddress(address, {
    allowPrivate: invocation.config.ALLOW_PRIVATE_NETWORK,
    schemes: ["https:", "http:"],
  });
}

/** File hosts' answers for a link that has expired or was signed for another request. */
const deadStatuses = [401, 403, 404, 410];

async function readPicture(invocation: Invocation, response: Response, silence: Silence): Promise<Fetched> {
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    return problem(`status ${response.status}`, { dead: deadStatuses.includes(response.status) });
  }
  const maxBytes = invocation.config.ARCHIVE_MAX_BYTES;
  const declared = readLength(response.headers);
  if (declared !== null && declared > maxBytes) {
    await response.body.cancel();
    return problem("too large", { final: true });
  }
  const isSmall = declared !== null && declared <= largeBytes;
  // The host is not silent while the fetch waits for its turn.
  silence.pause();
  const done = isSmall ? () => undefined : await invocation.takeLargeTurn();
  let kept = false;
  try {
    silence.begin();
    const bytes = await readBounded(response.body, maxBytes, silence);
    if (!bytes) return problem("too large", { final: true });
    kept = true;
    return { kind: "bytes", bytes, done };
  } finally {
    if (!kept) done();
  }
}

/** The length that the body will have; unknown when the platform unpacks it on the way. */
function readLength(headers: Headers): number | null {
  const text = headers.get("content-length");
  return text !== null && /^\d+$/.test(text) && !headers.has("content-encoding") ? Number(text) : null;
}

async function readBounded(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  silence: Silence,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    silence.heard(chunk.byteLength);
    size += chunk.byteLength;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}
