/** Figures are taken by this clock, so it has to be right itself. */
import { describe, expect, it } from "vitest";
import { startGateway } from "./gateway.ts";
import { virtualTime, withCron } from "./virtual-time.ts";

/** A call that the test ends. */
function openCall() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { call: () => promise, end: resolve };
}

const someTurns = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 0));
};

describe("virtual time", () => {
  it("wakes sleepers in order, each at its moment", async () => {
    const { now, sleep } = virtualTime({ startMs: 0 });
    const woken: string[] = [];
    const sleeper = async (name: string, ...pauses: number[]) => {
      for (const ms of pauses) {
        await sleep(ms);
        woken.push(`${name} ${now()}`);
      }
    };
    await Promise.all([sleeper("slow", 2_000, 2_000), sleeper("quick", 500, 1_000, 1_000)]);
    expect(woken).toEqual(["quick 500", "quick 1500", "slow 2000", "quick 2500", "slow 4000"]);
  });

  it("stands while a call is under way, and while a reader waits for a reply's bytes", async () => {
    const time = virtualTime({ startMs: 0 });
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const hosts = { "https://slow.example": () => new Response(body.readable) };
    const gateway = startGateway({ time, hosts });
    const slept = gateway.sleep(1_000);
    const { call, end } = openCall();
    const called = time.during("call", call);
    await someTurns();
    expect(time.now()).toBe(0);
    const response = await gateway.invocation().fetch("https://slow.example/", {});
    const read = response.text();
    end();
    await called;
    await someTurns();
    expect(time.now()).toBe(0);
    const writer = body.writable.getWriter();
    await writer.write(new TextEncoder().encode("late"));
    await writer.close();
    expect(await read).toBe("late");
    await slept;
    expect(time.now()).toBe(1_000);
  });

  it("is what a call takes, if that is given", async () => {
    const time = virtualTime({ startMs: 0, takes: (name) => (name === "slow" ? 70 : 0) });
    await Promise.all([
      time.during("slow", async () => undefined),
      time.during("slow", async () => undefined),
    ]);
    await time.during("quick", async () => undefined);
    expect(time.now()).toBe(70);
  });

  it("has cron tick at each full minute, beside what goes on", async () => {
    const gateway = startGateway({ time: virtualTime(), vars: { POLL_ROUND_SECONDS: 2 } });
    const startMs = gateway.now();
    const worked = await withCron(gateway, async () => {
      await gateway.sleep(150_000);
      return gateway.now() - startMs;
    });
    expect(worked).toBe(150_000);
    expect(gateway.logs.filter((line) => line.event === "tick")).toHaveLength(3);
  });
});
