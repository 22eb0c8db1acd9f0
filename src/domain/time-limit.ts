/** The one race between a call and the clock. */

/**
 * Waits `limitMs` milliseconds for a call. Its timer ends with it: an invocation may have only so many.
 * @param call Gets a signal that aborts at the limit. A call that does not heed it goes on, and its outcome is dropped.
 * @throws A `TimeoutError` at the limit, which {@link isTimeout} knows; else what the call throws.
 */
export async function withTimeLimit<T>(
  limitMs: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new DOMException("no answer in time", "TimeoutError");
    stop.abort(error);
    reject(error);
  }, limitMs);
  try {
    return await Promise.race([call(stop.signal), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** Whether an error says that a time limit has passed. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

/** Does something beside, once, when a work takes longer than `ms`. */
export async function whenLate<T>(ms: number, work: () => Promise<T> | T, beside: () => void): Promise<T> {
  const timer = setTimeout(beside, ms);
  try {
    return await work();
  } finally {
    clearTimeout(timer);
  }
}
