import { describe, expect, it } from "vitest";
import { answered, answeredJson, simulated } from "../helpers/upstream-client.ts";

const busy = (retryAfterMs: number | null) => ({ kind: "busy", retryAfterMs });

describe.each(["submit", "read"] as const)("a %s that is answered 429", (call) => {
  const outcomeWith = (retryAfter: string) =>
    answeredJson({ error: { code: "rate_limit_exceeded" } }, 429, { "retry-after": retryAfter })[call]();

  it("is to be repeated later, at a time that the upstream did not name", async () => {
    expect(await answeredJson({ error: { code: "rate_limit_exceeded" } }, 429)[call]()).toEqual(busy(null));
  });

  it.each([
    ["0", 0],
    ["1", 1_000],
    ["30", 30_000],
    [" 30 ", 30_000],
    ["007", 7_000],
    ["86400", 86_400_000],
  ])("after the seconds of Retry-After: %j", async (text, ms) => {
    expect(await outcomeWith(text)).toEqual(busy(ms));
  });

  it.each(["Sun, 17 Mar 2030 17:47:25 GMT", "Sunday, 17-Mar-30 17:47:25 GMT", "Sun Mar 17 17:47:25 2030"])(
    "at the date of Retry-After, in each of HTTP's three forms: %s",
    async (date) => {
      expect(await outcomeWith(date)).toEqual(busy(45_000));
    },
  );

  it("at once when the date of Retry-After is past", async () => {
    expect(await outcomeWith("Sun, 17 Mar 2030 17:45:40 GMT")).toEqual(busy(0));
  });

  it.each(["soon", "1.5", "-5", "+5", "5s", "5 seconds", "1e3", "0x10", "abc 5", "1,5", "30, 60", "NaN"])(
    "at a time that the upstream did not name when Retry-After is nonsense: %j",
    async (text) => {
      expect(await outcomeWith(text)).toEqual(busy(null));
    },
  );

  it("may name an absurd time, which is the caller's to bound", async () => {
    const outcome = await outcomeWith("9".repeat(30));
    expect(outcome).toMatchObject({ kind: "busy" });
    expect(outcome.kind === "busy" && (outcome.retryAfterMs ?? 0)).toBeGreaterThan(86_400_000);
  });

  it.each(["", "<html>429</html>", "slow down", '{"error":{"code":429}}', '{"error":"slow_down"}'])(
    "with the body %j",
    async (body) => {
      const { [call]: ask } = answered(() => new Response(body, { status: 429 }));
      expect(await ask()).toEqual(busy(null));
    },
  );

  it("though the code would refuse it elsewhere", async () => {
    for (const code of ["insufficient_quota", "content_policy_violation", "task_not_found"]) {
      expect(await answeredJson({ error: { code } }, 429)[call]()).toEqual(busy(null));
    }
  });
});

describe("a submit that was answered 429", () => {
  it("made no task, and makes one when it is repeated", async () => {
    const { submit, simulator } = simulated();
    simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 7 } });
    expect(await submit()).toEqual(busy(7_000));
    expect(simulator.control.tasks()).toEqual([]);
    expect(await submit()).toMatchObject({ kind: "accepted" });
  });
});
