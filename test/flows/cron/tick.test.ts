import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { clearTasks, readTask, startGateway, submitTask } from "../../helpers/gateway.ts";

beforeEach(clearTasks);

const upstreamReads = (calls: { method: string; path: string }[]) =>
  calls.filter((call) => call.method === "GET" && call.path.startsWith("/v1/tasks/")).length;

describe("a tick", () => {
  it("goes on in rounds until just before the next one, so that a task of seconds needs no second tick", async () => {
    const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 2 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 20 } });
    const { id } = await submitTask(gateway, key);
    const startMs = gateway.now();
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(gateway.now()).toBeLessThan(Math.ceil((startMs + 1) / 60_000) * 60_000);
    expect(gateway.now() - startMs).toBeGreaterThan(30_000);
  });

  it("costs one read a round, and writes one row a tick, when there is nothing to do", async () => {
    const calls: string[] = [];
    const gateway = startGateway({
      vars: { POLL_ROUND_SECONDS: 2 },
      around: (name, call) => {
        calls.push(name);
        return call();
      },
    });
    // Cron was never here.
    await gateway.tick();
    gateway.advance(60_000 - (gateway.now() % 60_000));
    calls.length = 0;
    gateway.logs.length = 0;
    await gateway.tick();
    const tick = gateway.logs.find((line) => line.event === "tick");
    // That cron was here.
    expect(tick).toMatchObject({ taken: false, rows_written: 1 });
    // One more at the start: what else there is to do.
    expect(calls).toEqual(Array(Number(tick?.rounds) + 1).fill("D1"));
    // That one reads eighteen empty indexes and tables, and a row; what it finds of some counts as a row.
    expect(Number(tick?.rows_read)).toBeLessThanOrEqual(calls.length + 17);
  });

  it("that overlaps another leaves the work to it", async () => {
    const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 2 } });
    const { key } = await gateway.makeTenant();
    for (let i = 0; i < 5; i++) await submitTask(gateway, key);
    gateway.advance(4_000);
    let inside: Promise<void> | undefined;
    const second = startGateway({ beside: gateway, vars: { POLL_ROUND_SECONDS: 2 } });
    const first = startGateway({
      beside: gateway,
      around: async (name, call) => {
        // The second tick comes while the first one is at its first poll.
        if (name === "fetch GET") inside ??= second.tick();
        await inside;
        return call();
      },
    });
    await first.tick();
    expect(upstreamReads(gateway.simulator.control.calls())).toBe(5);
    expect(second.logs.find((line) => line.event === "tick")).toMatchObject({ taken: false });
  });

  it("whose process died holds up the next one by a minute at the most", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    gateway.advance(30_000);
    let dead = false;
    const victim = startGateway({
      beside: gateway,
      around: async (name, call) => {
        dead ||= name === "fetch GET";
        if (dead) throw new Error("died");
        return call();
      },
    });
    await victim.tick().catch(() => undefined);
    gateway.advance(60_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });

  it("goes on after a round that failed", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    let failures = 1;
    const shaky = startGateway({
      beside: gateway,
      vars: { POLL_ROUND_SECONDS: 2, ARCHIVE_TASKS_AFTER_DAYS: 0 },
      around: async (name, call) => {
        if (name === "fetch GET" && failures-- > 0) throw new Error("no network");
        if (name === "D1" && failures === 0 && failures-- === 0) throw new Error("D1 is away");
        return call();
      },
    });
    gateway.advance(10_000);
    await shaky.tick();
    expect(shaky.logs.map((line) => line.event)).toContain("round_failed");
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });
});

describe("the pace of polls", () => {
  it("is every 3 s at first and slower with age, and nothing is written for a poll that changed nothing", async () => {
    const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 3 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "plan", seconds: 7_200, progress: "frozen" },
    });
    const { id } = await submitTask(gateway, key);
    const pollsIn = async (seconds: number) => {
      const before = upstreamReads(gateway.simulator.control.calls());
      const endMs = gateway.now() + seconds * 1000;
      while (gateway.now() < endMs) {
        await gateway.tick();
        // As cron does: the next one starts at the full minute.
        gateway.advance(60_000 - (gateway.now() % 60_000));
      }
      return (upstreamReads(gateway.simulator.control.calls()) - before) / seconds;
    };
    const first = await pollsIn(120);
    expect(first).toBeGreaterThan(1 / 4);
    expect(first).toBeLessThanOrEqual(1 / 3);
    await pollsIn(1_800);
    expect(await pollsIn(600)).toBeLessThanOrEqual(1 / 30);
    const { results } = await env.DB.prepare("SELECT version FROM tasks WHERE id = ?").bind(id).all();
    // Submitted, and seen to be at work: that is all that ever changed.
    expect(Number(results[0]?.version)).toBeLessThanOrEqual(4);
  });

  it("stops for the whole account when the upstream asks for it", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    for (let i = 0; i < 12; i++) await submitTask(gateway, key);
    gateway.advance(4_000);
    gateway.simulator.control.script({ on: "read", do: { kind: "rate_limit", retryAfter: 40 } });
    await gateway.tick();
    const asked = upstreamReads(gateway.simulator.control.calls());
    // Those under way when the first refusal came, and no more.
    expect(asked).toBeLessThanOrEqual(6);
    gateway.advance(30_000);
    await gateway.tick();
    expect(upstreamReads(gateway.simulator.control.calls())).toBe(asked);
    const late = await submitTask(gateway, key);
    expect(late).toMatchObject({ status: "pending", task_info: { can_cancel: true } });
    gateway.simulator.control.script({ on: "read", do: { kind: "pass" } });
    gateway.advance(30_000);
    await gateway.tick();
    expect(upstreamReads(gateway.simulator.control.calls())).toBeGreaterThan(asked);
  });
});

describe("a deadline", () => {
  it("ends a task that the upstream never finishes, with the hold released", async () => {
    const gateway = startGateway({ vars: { TASK_DEADLINE_SECONDS: 600 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 2_000 } });
    const { id } = await submitTask(gateway, key);
    gateway.advance(599_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing" });
    gateway.advance(60_000);
    await gateway.tick();
    const failed = await readTask(gateway, key, id);
    expect(failed).toMatchObject({ status: "failed", error: { code: "task_timeout", charged: "no" } });
    expect(failed.usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
  });

  it("that passed while cron was away still lets a picture that is ready through", async () => {
    const gateway = startGateway({ vars: { TASK_DEADLINE_SECONDS: 600 } });
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    gateway.advance(3_600_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });

  it("polls others before it comes back to a task whose reads pause the whole account", async () => {
    const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 2 } });
    const { key } = await gateway.makeTenant();
    const poison = await submitTask(gateway, key, { prompt: "a boat [sim:seconds=5]" });
    gateway.simulator.control.script({
      on: "read",
      match: { task: gateway.simulator.control.tasks()[0]?.id ?? "" },
      do: { kind: "rate_limit", retryAfter: 30 },
    });
    const others = [];
    for (let i = 0; i < 12; i++) {
      others.push(await submitTask(gateway, key, { prompt: "a boat [sim:seconds=5]" }));
    }
    for (let minute = 0; minute < 3; minute++) {
      await gateway.tick();
      gateway.advance(60_000 - (gateway.now() % 60_000));
    }
    for (const { id } of others) {
      expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
    }
    expect(await readTask(gateway, key, poison.id)).not.toMatchObject({ status: "completed" });
  });
});
