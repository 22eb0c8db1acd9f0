/** Readers bring a task on, at a pace that does not depend on how many they are. */
import { beforeEach, describe, expect, it } from "vitest";
import { readTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { deleteTasks, read, recordBindings, upstreamCalls } from "../../helpers/routes.ts";

beforeEach(deleteTasks);

/** A task that runs for ten minutes, so that only reads move it. */
async function running(): Promise<{ gateway: TestGateway; key: string; id: string; reads: () => number }> {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant();
  gateway.simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 600 } });
  const { id } = await submitTask(gateway, key);
  return { gateway, key, id, reads: () => upstreamCalls(gateway, "GET").length };
}

async function readFor(gateway: TestGateway, key: string, id: string, times: number, everyMs: number) {
  for (let i = 0; i < times; i++) {
    gateway.advance(everyMs);
    expect((await read(gateway, key, id)).status).toBe(200);
  }
}

describe("reading an unfinished task", () => {
  it("200 times in 10 s has the upstream read four times at the most", async () => {
    const { gateway, key, id, reads } = await running();
    await readFor(gateway, key, id, 200, 50);
    expect(reads()).toBeLessThanOrEqual(4);
    expect(reads()).toBeGreaterThanOrEqual(3);
  });

  it("after its first minute has the upstream read once in 10 s", async () => {
    const { gateway, key, id, reads } = await running();
    gateway.advance(61_000);
    await readFor(gateway, key, id, 1, 0);
    const before = reads();
    await readFor(gateway, key, id, 200, 100);
    expect(reads() - before).toBe(2);
  });

  it("by fifty at once has the upstream read once", async () => {
    const { gateway, key, id, reads } = await running();
    gateway.advance(3_000);
    await Promise.all(Array.from({ length: 50 }, () => read(gateway, key, id)));
    expect(reads()).toBe(1);
  });

  it("asks for no refresh under a condition that still holds, and yet gets one", async () => {
    const { gateway, key, id, reads } = await running();
    gateway.advance(3_000);
    const response = await read(gateway, key, id, { "if-none-match": "*" });
    expect([response.status, reads()]).toEqual([304, 1]);
  });

  it("leaves the upstream alone while its account cools down", async () => {
    const { gateway, key, id, reads } = await running();
    gateway.simulator.control.script({ on: "read", times: 1, do: { kind: "rate_limit", retryAfter: 20 } });
    await readFor(gateway, key, id, 1, 3_000);
    expect(reads()).toBe(1);
    await readFor(gateway, key, id, 19, 1_000);
    expect(reads()).toBe(1);
    await readFor(gateway, key, id, 1, 1_000);
    expect(reads()).toBe(2);
  });

  it("shows what the refresh found to the next reader", async () => {
    const { gateway, key, id } = await running();
    gateway.advance(120_000);
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "pending", progress: 0 });
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing", progress: 20 });
  });

  it("is answered as ever when the upstream is not there", async () => {
    const { gateway, key, id, reads } = await running();
    for (const fault of [{ kind: "reset" }, { kind: "error", status: 500, code: "x" }] as const) {
      gateway.simulator.control.script({ on: "read", times: 1, do: fault });
      const before = reads();
      gateway.advance(10_000);
      expect(await readTask(gateway, key, id)).toMatchObject({ status: "pending", error: null });
      expect(reads()).toBe(before + 1);
    }
  });
});

describe("a reader alone, without cron", () => {
  it("brings a task to its pictures", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key, { n: 2 });
    let task = await readTask(gateway, key, id);
    for (let i = 0; i < 10 && task.status !== "completed"; i++) {
      gateway.advance(3_000);
      task = await readTask(gateway, key, id);
    }
    expect(task).toMatchObject({ status: "completed", progress: 100 });
    expect(task.images).toHaveLength(2);
  });

  it("costs the upstream nothing once the task has ended", async () => {
    const bindings = recordBindings();
    const gateway = startGateway({ around: bindings.around });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", end: "failed", seconds: 3 } });
    const { id } = await submitTask(gateway, key);
    await readFor(gateway, key, id, 2, 3_000);
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "failed" });
    bindings.calls.length = 0;
    await readFor(gateway, key, id, 10, 10_000);
    expect(new Set(bindings.calls)).toEqual(new Set(["D1"]));
    expect(bindings.calls).toHaveLength(10);
  });
});
