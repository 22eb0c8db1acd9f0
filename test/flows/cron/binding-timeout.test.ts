/** A binding that does not answer holds up no request: its outcome stays unknown. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { BindingUnavailable, callBinding } from "../../../src/platform/binding.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("a binding that stalls is unavailable after ten seconds, and not before", async () => {
  let outcome = "waiting";
  const call = callBinding("database", () => new Promise(() => undefined)).catch((error: unknown) => {
    outcome = error instanceof BindingUnavailable ? error.message : "another error";
  });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(outcome).toBe("waiting");
  await vi.advanceTimersByTimeAsync(1);
  await call;
  expect(outcome).toBe("database: no answer in time");
});

it("one that answers leaves no timer behind", async () => {
  expect(await callBinding("database", async () => 7)).toBe(7);
  await expect(callBinding("tenant", () => Promise.reject(new Error("reset")))).rejects.toThrow(
    "tenant: reset",
  );
  expect(vi.getTimerCount()).toBe(0);
});
