import { describe, expect, it } from "vitest";
import { emptyBucket, maxLimit, takeFromBucket } from "../../src/domain/rate-bucket.ts";

const t0 = 1_800_000_000_000;

/** Takes one event after the other at one moment; how many were admitted. */
function admitAll(limit: number, attempts: number, nowMs: number, bucket = emptyBucket) {
  let admitted = 0;
  let current = bucket;
  for (let i = 0; i < attempts; i++) {
    const take = takeFromBucket(current, limit, 1, nowMs);
    current = take.bucket;
    if (take.admitted) admitted++;
  }
  return { admitted, bucket: current };
}

describe("a limit per minute", () => {
  it.each([1, 7, 37, 600])("of %i admits exactly that many at once", (limit) => {
    expect(admitAll(limit, limit * 2, t0).admitted).toBe(limit);
  });

  it("admits again exactly when it said, and not a millisecond before", () => {
    const { bucket } = admitAll(37, 37, t0);
    const { retryMs } = takeFromBucket(bucket, 37, 1, t0);
    expect(takeFromBucket(bucket, 37, 1, t0 + retryMs - 1).admitted).toBe(false);
    expect(takeFromBucket(bucket, 37, 1, t0 + retryMs).admitted).toBe(true);
  });

  it("refuses without consuming", () => {
    const { bucket } = admitAll(5, 5, t0);
    const refused = admitAll(5, 1_000, t0, bucket);
    expect(refused.admitted).toBe(0);
    expect(takeFromBucket(refused.bucket, 5, 1, t0 + 12_000).admitted).toBe(true);
  });

  it("is whole again after a minute, and never more than whole", () => {
    const { bucket } = admitAll(37, 37, t0);
    expect(admitAll(37, 100, t0 + 60_000, bucket).admitted).toBe(37);
    expect(admitAll(37, 100, t0 + 86_400_000, bucket).admitted).toBe(37);
  });

  it("counts an event by its images", () => {
    const take = takeFromBucket(emptyBucket, 10, 4, t0);
    expect(take.remaining).toBe(6);
    expect(takeFromBucket(take.bucket, 10, 7, t0).admitted).toBe(false);
    expect(takeFromBucket(take.bucket, 10, 6, t0).admitted).toBe(true);
  });

  it("gives nothing back to a clock that runs behind", () => {
    const { bucket } = admitAll(5, 5, t0);
    expect(takeFromBucket(bucket, 5, 1, t0 - 30_000).admitted).toBe(false);
    // And the late clock has not moved the bucket's own.
    expect(takeFromBucket(bucket, 5, 1, t0 - 30_000).bucket.atMs).toBe(t0);
  });

  it("gives a clock that runs behind the moment by that clock", () => {
    const { bucket } = admitAll(5, 5, t0);
    const { retryMs, resetMs } = takeFromBucket(bucket, 5, 1, t0 - 250);
    expect([retryMs, resetMs]).toEqual([12_250, 60_250]);
    expect(takeFromBucket(bucket, 5, 1, t0 - 250 + retryMs - 1).admitted).toBe(false);
    expect(takeFromBucket(bucket, 5, 1, t0 - 250 + retryMs).admitted).toBe(true);
    expect(takeFromBucket({ level: 0, atMs: t0 }, 5, 0, t0 - 250).resetMs).toBe(0);
  });

  it("counts exactly at the largest limit", () => {
    let bucket = emptyBucket;
    const take = takeFromBucket(bucket, maxLimit, maxLimit - 1, t0);
    bucket = take.bucket;
    expect(take.remaining).toBe(1);
    const last = takeFromBucket(bucket, maxLimit, 1, t0);
    expect([last.admitted, last.remaining]).toEqual([true, 0]);
    expect(takeFromBucket(last.bucket, maxLimit, 1, t0).admitted).toBe(false);
  });

  it("that was lowered is full at once, and free again within a minute", () => {
    const { bucket } = admitAll(600, 600, t0);
    expect(takeFromBucket(bucket, 10, 1, t0).admitted).toBe(false);
    expect(admitAll(10, 20, t0 + 60_000, bucket).admitted).toBe(10);
  });
});
