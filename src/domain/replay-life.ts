/** For how long a request that comes again is answered with its first task. */

/** With the same `Idempotency-Key`. */
export const idempotencyLifeMs = 24 * 3_600_000;
/** With the same body, by a client that says that it retries. */
export const retryLifeMs = 60 * 60_000;
