/** A call has so much time, and leaves no timer behind. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { isTimeout, stoppedAfter, withTimeLimit } from "../../src/domain/time-limit.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const never = () => new Promise<never>(() => undefined);

it("a call that does not end is given up at the limit, and not before", async () => {
  let outcome: unknown = "waiting";
  const call = withTimeLimit(5_000, never).catch((error: unknown) => {
    outcome = error;
  });
  await vi.advanceTimersByTimeAsync(4_999);
  expect(outcome).toBe("waiting");
  await vi.advanceTimersByTimeAsync(1);
  await call;
  expect(isTimeout(outcome)).toBe(true);
});

it("one that can be stopped gets a signal that aborts at the limit, so that a fetch ends too", async () => {
  let given: AbortSignal | undefined;
  const call = stoppedAfter(5_000, (signal) => {
    given = signal;
    return never();
  });
  const ended = expect(call).rejects.toThrow("no answer in time");
  expect(given?.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(5_000);
  await ended;
  expect(given?.aborted).toBe(true);
  expect(isTimeout(given?.reason)).toBe(true);
});

it("an answer, a rejection and an exception come through, and no timer stays", async () => {
  expect(await withTimeLimit(5_000, async () => 7)).toBe(7);
  await expect(withTimeLimit(5_000, () => Promise.reject(new Error("reset")))).rejects.toThrow("reset");
  const thrown = withTimeLimit(5_000, () => {
    throw new TypeError("refused");
  });
  await expect(thrown).rejects.toThrow("refused");
  expect(isTimeout(await thrown.catch((error: unknown) => error))).toBe(false);
  expect(vi.getTimerCount()).toBe(0);
});
