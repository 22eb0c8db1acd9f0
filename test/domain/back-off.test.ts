import { describe, expect, it } from "vitest";
import { accountPauseMs, retryPauseMs } from "../../src/domain/back-off.ts";

describe("the pause before a retry", () => {
  it("doubles up to a minute, between half and the whole of it", () => {
    expect([1, 2, 3, 4, 5, 6, 60].map((attempt) => retryPauseMs(attempt, 1))).toEqual([
      2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ]);
    expect(retryPauseMs(3, 0)).toBe(4_000);
  });
});

describe("the pause of the whole account", () => {
  it("is what the upstream asks for, between a second and a minute", () => {
    expect([0, 500, 7_000, 1e12].map(accountPauseMs)).toEqual([1_000, 1_000, 7_000, 60_000]);
  });

  it("is half a minute when the upstream names no time", () => {
    expect(accountPauseMs(null)).toBe(30_000);
  });
});
