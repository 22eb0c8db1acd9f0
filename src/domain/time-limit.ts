/** The one race between a call and the clock. */

/**
 * Waits `limitMs` milliseconds for a call. Its timer ends with it: an invocation may have only so many.
 * @param call It goes on after the limit, and its outcome is dropped.
 * @param atLimit Called at the limit, with the error.
 * @throws A `TimeoutError` at the limit, which {@link isTimeout} knows; else what the call throws.
 */
export async function withTimeLimit<T>(
  limitMs: number,
  call: () => Promise<T>,
  atLimit?: (error: DOMException) => void,
): Promise<T> {
  const { promise: limit, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new DOMException("no answer in time", "TimeoutError");
    atLimit?.(error);
    reject(error);
  }, limitMs);
  try {
    return await Promise.race([call(), limit]);
  } finally {
    clearTimeout(timer);
  }
}

/** The same for a call that can be stopped: it gets a signal that aborts at the limit. A signal costs as much as a timer. */
export function stoppedAfter<T>(limitMs: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  return withTimeLimit(
    limitMs,
    () => call(stop.signal),
    (error) => stop.abort(error),
  );
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
