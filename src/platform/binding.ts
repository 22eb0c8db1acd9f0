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

/**
 * Calls a binding and waits ten seconds at most.
 * @param binding Names the binding in the error.
 * @param readAnswer Recognizes errors that are the binding's answer; they are thrown as it returns them.
 * @throws BindingUnavailable when it fails or does not answer in time. The call may have taken effect all the same.
 */
export async function callBinding<T>(
  binding: string,
  call: () => Promise<T>,
  readAnswer: (error: unknown) => Error | undefined = () => undefined,
): Promise<T> {
  try {
    return await withTimeLimit(bindingLimitMs, call);
  } catch (error) {
    const answer = readAnswer(error);
    if (answer) throw answer;
    const { retryable = false, overloaded = false } = error as { retryable?: boolean; overloaded?: boolean };
    const message = `${binding}: ${error instanceof Error ? error.message : "failed"}`;
    throw new BindingUnavailable(message, retryable && !overloaded);
  }
}
