/** How long to wait before the upstream is asked again. */

const longestPauseMs = 60_000;
/** For a 429 that names no time. */
const unnamedPauseMs = 30_000;

/** How long the whole account waits after a 429: what `Retry-After` said, between a second and a minute. */
export function accountPauseMs(retryAfterMs: number | null): number {
  return Math.min(Math.max(retryAfterMs ?? unnamedPauseMs, 1_000), longestPauseMs);
}

/**
 * How long a send waits after its outcome stayed unknown: exponential from 2 s to a minute, between half and
 * the whole of it, so that retries spread.
 * @param attempts How often it was sent so far, from 1.
 * @param random 0 ≤ x < 1.
 */
export function retryPauseMs(attempts: number, random: number): number {
  return Math.round(Math.min(longestPauseMs, 2 ** Math.min(attempts, 10) * 1000) * (0.5 + random / 2));
}
