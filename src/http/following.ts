/** Places for replies that wait for a task or stream it. */
import { ApiError } from "../errors.ts";
import type { Follower, MostFollowers, Place } from "../platform/places.ts";
import { networkAddress } from "./call-limits.ts";
import type { AppContext } from "./context.ts";

/** An estimate: a place is free when another reply ends. */
const retrySeconds = 5;

function wantedBy(c: AppContext, taskId: string) {
  const { kind, tenantId, keyId, token } = c.get("caller");
  // A key hands its links to all of its visitors: they are held by whom they were handed to.
  const holder = kind === "link" ? networkAddress(c) : `${tenantId} ${token?.id ?? keyId}`;
  return { task: `${tenantId} ${taskId}`, holder };
}

function mostFollowers(c: AppContext): MostFollowers {
  const { FOLLOWERS_PER_TASK, FOLLOWERS_PER_KEY } = c.get("invocation").config;
  return { task: FOLLOWERS_PER_TASK, holder: FOLLOWERS_PER_KEY };
}

/** What leaves the caller no place to follow this task; undefined where there is one. */
export function noPlace(c: AppContext, taskId: string): keyof Follower | undefined {
  const invocation = c.get("invocation");
  return invocation.places.full(wantedBy(c, taskId), mostFollowers(c), invocation.now());
}

/** Takes a place, also where there is none, and gives it back when the client leaves. Its route ends it in all other cases. */
export function takePlace(c: AppContext, taskId: string): Place {
  const invocation = c.get("invocation");
  const place = invocation.places.take(wantedBy(c, taskId), invocation.now());
  const { signal } = c.req.raw;
  if (signal.aborted) place.end();
  signal.addEventListener("abort", place.end);
  return place;
}

/** Takes a place. @throws ApiError where there is none. */
export function requirePlace(c: AppContext, taskId: string): Place {
  const full = noPlace(c, taskId);
  if (!full) return takePlace(c, taskId);
  const holder = c.get("caller").kind === "link" ? "from this network address" : "with this key or token";
  throw new ApiError(
    "rate_limited",
    `Too many waits and streams ${full === "task" ? "of this task" : holder}: ${mostFollowers(c)[full]} are open. ` +
      `End one, or try again in ${retrySeconds} s.`,
    { headers: { "retry-after": `${retrySeconds}` } },
  );
}
