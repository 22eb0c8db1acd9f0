/** Calls to bindings, within a time limit: D1, R2 and tenants' objects have stalled for half a minute and more. */
import { withTimeLimit } from "../domain/time-limit.ts";

/** The database, the bucket or a tenant's object failed or did not answer in time: nothing may be concluded from it. */
export class BindingUnavailable extends Error {
  override name = "BindingUnavailable";
  /** The platform says that the same call may succeed at once, over a new stub. */
  readonly isRetryable: boolean;

  constructor(message: string, isRetryable = false) {
    super(message);
    this.isRetryable = isRetryable;
  }
}

const bindingLimitMs = 10_000;
/** Who sends messages can do their work itself. */
export const queueLimitMs = 2_000;

/**
 * Calls a binding and waits ten seconds at most, or `limitMs`.
 * @param binding Names the binding in the error.
 * @param readAnswer Recognizes errors that are the binding's answer; they are thrown as it returns them.
 * @throws BindingUnavailable when it fails or does not answer in time. The call may have taken effect all the same.
 */
export async function callBinding<T>(
  binding: string,
  call: () => Promise<T>,
  readAnswer: (error: unknown) => Error | undefined = () => undefined,
  limitMs = bindingLimitMs,
): Promise<T> {
  try {
    return await withTimeLimit(limitMs, call);
  } catch (error) {
    const answer = readAnswer(error);
    if (answer) throw answer;
    // Of a call within this one.
    if (error instanceof BindingUnavailable) throw error;
    const { retryable = false, overloaded = false } = error as { retryable?: boolean; overloaded?: boolean };
    const message = `${binding}: ${error instanceof Error ? error.message : "failed"}`;
    throw new BindingUnavailable(message, retryable && !overloaded);
  }
}

const bucketMethods = ["put", "get", "head", "list", "delete"] as const;

/** A bucket each of whose calls may throw {@link BindingUnavailable}. What it gives is read without a limit here. */
export function limitedBucket(bucket: R2Bucket): R2Bucket {
  type Call = (...args: unknown[]) => Promise<unknown>;
  const calls = bucket as unknown as Record<(typeof bucketMethods)[number], Call>;
  const limited = bucketMethods.map((method): [string, Call] => [
    method,
    (...args) => callBinding("storage", () => calls[method](...args)),
  ]);
  return Object.fromEntries(limited) as unknown as R2Bucket;
}
