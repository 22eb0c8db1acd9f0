/**
 * Fetching a finished picture from the host where the upstream put it: hosts vary, may redirect and may lie. Every
 * hop's address is checked, the upstream's key goes to none of them, and time and size are bounded.
 */

import { checkAddress } from "../../domain/address.ts";
import { isTimeout, stoppedAfter } from "../../domain/time-limit.ts";
import { byteShare } from "../../platform/byte-memory.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { declaredBytes, readBytes } from "../../platform/read-bytes.ts";
import { userAgent } from "../../upstream/evolink.ts";

const maxRedirects = 5;
/** Of a body; a head is one silence at the most. */
const pictureLimitMs = 30_000;
/** A host that sends nothing for so long, or too little, is left for a later attempt, so that other pictures do not wait for it. */
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
  const silenceMs = isFirstAttempt ? silenceLimitMs.firstAttempt : silenceLimitMs.later;
  const limits = { silenceMs, maxMs: pictureLimitMs };
  try {
    let address = link;
    for (let hop = 0; hop <= maxRedirects; hop++) {
      const checked = checkLink(invocation, address);
      if ("problem" in checked) return problem(`address ${checked.problem}`);
      const headers = { accept: "image/*", "user-agent": userAgent };
      const response = await stoppedAfter(silenceMs, (signal) =>
        invocation.fetch(checked.url.href, { headers, redirect: "manual", signal }),
      );
      if (response.status < 300 || response.status >= 400)
        return await readPicture(invocation, response, limits);
      await response.body?.cancel();
      const location = response.headers.get("location");
      const next = location === null ? null : URL.parse(location, checked.url);
      if (!next) return problem("redirect without a target");
      address = next.href;
    }
    return problem("too many redirects");
  } catch (error) {
    return problem(isTimeout(error) ? "time-out" : "connection lost");
  }
}

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

async function readPicture(
  invocation: Invocation,
  response: Response,
  limits: { silenceMs: number; maxMs: number },
): Promise<Fetched> {
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    return problem(`status ${response.status}`, { dead: deadStatuses.includes(response.status) });
  }
  const maxBytes = invocation.config.ARCHIVE_MAX_BYTES;
  // The length is another one when the platform unpacks the body on the way.
  const declared = response.headers.has("content-encoding") ? null : declaredBytes(response);
  const share = byteShare(invocation, "picture");
  let isKept = false;
  try {
    const bounds = { ...limits, declared, keptBytes: maxBytes, readBytes: maxBytes };
    const isLonger = declared !== null && declared > maxBytes;
    const read = isLonger ? null : await readBytes(response.body, bounds, invocation.now, share);
    if (!read || (read.kind === "read" && read.size > maxBytes)) return problem("too large", { final: true });
    if (read.kind !== "read") return problem(read.kind === "no_room" ? "no room" : "time-out");
    isKept = true;
    return { kind: "bytes", bytes: read.bytes, done: share.end };
  } finally {
    if (!isKept) share.end();
    if (!isKept && !response.body.locked) await response.body.cancel();
  }
}
