/** A binding that does not answer holds up no request: its outcome stays unknown. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import {
  BindingUnavailable,
  callBinding,
  limitedBucket,
  queueLimitMs,
} from "../../../src/platform/binding.ts";

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

it("a bucket that hangs fails a call after ten seconds, and a Queue after two: who waits goes on", async () => {
  const hangs = () => new Promise<never>(() => undefined);
  const hanging = Object.fromEntries(["put", "get", "head", "list", "delete"].map((name) => [name, hangs]));
  const bucket = limitedBucket(hanging as unknown as R2Bucket);
  const failed: string[] = [];
  const note = (error: Error) => void failed.push(error.message);
  const calls = [
    bucket.put("a", "b").catch(note),
    bucket.head("a").catch(note),
    callBinding("queue", hangs, undefined, queueLimitMs).catch(note),
  ];
  await vi.advanceTimersByTimeAsync(2_000);
  expect(failed).toEqual(["queue: no answer in time"]);
  await vi.advanceTimersByTimeAsync(8_000);
  await Promise.all(calls);
  expect(failed.slice(1)).toEqual(["storage: no answer in time", "storage: no answer in time"]);
});
