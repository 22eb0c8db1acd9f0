/**
 * Rate limits, as the generic cell rate algorithm (GCRA; ITU-T I.371) with a burst of one minute's worth,
 * in its leaky-bucket form and in whole numbers only: one event fills {@link perEvent} units, and `limit`
 * units drain every millisecond, so that a full bucket is exactly `limit` events and nothing is ever rounded.
 */

export const windowMs = 60_000;
const perEvent = windowMs;

/** The largest limit: keeps every product of a limit and a window below 2^53. */
export const maxLimit = 1_000_000_000;

/** How full a bucket was at a moment; `level` is in units of 1/60,000 event. */
export interface Bucket {
  level: number;
  atMs: number;
}

export const emptyBucket: Bucket = { level: 0, atMs: 0 };

export interface Take {
  admitted: boolean;
  /** The bucket afterwards: as it was, drained up to now, when not admitted. */
  bucket: Bucket;
  /** Whole events that would still be admitted now. */
  remaining: number;
  /** Milliseconds until the bucket is empty. */
  resetMs: number;
  /** Milliseconds after which the same take is admitted; 0 when admitted. */
  retryMs: number;
}

/**
 * Takes `events` out of a limit of `limit` a minute, or nothing.
 * @param events Whole, 1 to `limit`: a larger one can never be admitted and is the caller's to refuse.
 * @param reserve So many of the events are for others to take.
 * @param nowMs Unix milliseconds. A clock that runs behind the bucket's drains nothing.
 */
export function takeFromBucket(
  bucket: Bucket,
  limit: number,
  events: number,
  nowMs: number,
  reserve = 0,
): Take {
  const elapsedMs = Math.min(Math.max(0, nowMs - bucket.atMs), windowMs);
  // A clock that is behind has to get to where the bucket is before anything drains.
  const behindMs = Math.max(0, bucket.atMs - nowMs);
  const capacity = limit * windowMs;
  // A limit that was lowered leaves a bucket that is full, never one that takes hours to drain.
  const level = Math.max(0, Math.min(bucket.level, capacity) - elapsedMs * limit);
  const wanted = level + events * perEvent;
  const usable = capacity - reserve * perEvent;
  const admitted = wanted <= usable;
  const after = admitted ? wanted : level;
  return {
    admitted,
    bucket: { level: after, atMs: Math.max(nowMs, bucket.atMs) },
    remaining: Math.max(0, Math.floor((usable - after) / perEvent)),
    resetMs: after === 0 ? 0 : behindMs + Math.ceil(after / limit),
    retryMs: admitted ? 0 : behindMs + Math.ceil((wanted - usable) / limit),
  };
}
