import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { claimSends } from "../../../src/d1/tasks/due-tasks.ts";
import type { Task } from "../../../src/domain/task.ts";
import { recordSend, type Sent, send } from "../../../src/flows/tasks/send.ts";
import {
  bearer,
  clearTasks,
  finishTask,
  readTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";

beforeEach(clearTasks);

const submits = (gateway: TestGateway) =>
  gateway.simulator.control.calls().filter((call) => call.method === "POST");

describe("a submit whose outcome is unknown", () => {
  it.each([
    ["a connection that broke before", { kind: "reset" }],
    ["a connection that broke after the upstream took it", { kind: "reset", created: true }],
    ["an answer that never came", { kind: "hang", created: true }],
    [
      "a 500 though the upstream took it",
      { kind: "error", status: 500, code: "internal_error", created: true },
    ],
    ["a 503 in HTML", { kind: "reply", status: 503, html: "<h1>busy</h1>" }],
    ["a 200 without an id", { kind: "reply", status: 200, json: { ok: true }, created: true }],
    ["a 200 that is no object", { kind: "reply", status: 200, json: ["task"], created: true }],
  ] as const)("is attempted again under the same key: %s", async (_case, fault) => {
    const gateway = startGateway({ vars: { UPSTREAM_TIMEOUT_MS: 60 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", times: 1, do: fault });
    const task = await submitTask(gateway, key);
    expect(task).toMatchObject({ status: "pending", task_info: { can_cancel: false } });
    expect(await finishTask(gateway, key, task.id)).toMatchObject({
      status: "completed",
      usage: { images: 1 },
    });
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
    expect(new Set(submits(gateway).map((call) => call.headers["idempotency-key"]))).toEqual(
      new Set([task.id]),
    );
  });

  it("is attempted until the deadline, at most a minute apart, and then fails as unknown with nothing charged", async () => {
    const gateway = startGateway({ vars: { TASK_DEADLINE_SECONDS: 900 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "reset" } });
    const task = await submitTask(gateway, key);
    const failed = await finishTask(gateway, key, task.id, 20);
    expect(failed).toMatchObject({
      status: "failed",
      error: { code: "submit_outcome_unknown", charged: "no" },
    });
    expect(failed.usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
    const times = submits(gateway).map((call) => call.at);
    const pauses = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(times.length).toBeGreaterThan(10);
    // Ticks are 15 s apart here, which adds to the pause.
    expect(Math.max(...pauses)).toBeLessThanOrEqual(75_000);
  });

  it("does not become a refusal of the account's by a later attempt", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 402, code: "insufficient_quota" },
    });
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "reset", created: true } });
    const task = await submitTask(gateway, key);
    expect(await finishTask(gateway, key, task.id)).toMatchObject({ status: "completed" });
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });
});

describe("a submit that finds the upstream busy", () => {
  it("waits its turn, and can be called off until it is sent", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 20 } });
    const task = await submitTask(gateway, key);
    expect(task).toMatchObject({ status: "pending", task_info: { can_cancel: true } });
    gateway.advance(19_000);
    await gateway.tick();
    expect(submits(gateway)).toHaveLength(1);
    gateway.advance(2_000);
    await gateway.tick();
    expect(submits(gateway)).toHaveLength(2);
    expect(await finishTask(gateway, key, task.id)).toMatchObject({ status: "completed" });
  });

  it("is not kept away for longer than a minute, whatever the upstream asks for", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 1e9 } });
    await submitTask(gateway, key);
    gateway.advance(60_000);
    await gateway.tick();
    expect(submits(gateway)).toHaveLength(2);
  });
});

type Outcome = "accept" | "busy" | "refuse";

function script({ simulator: { control } }: TestGateway, outcome: Outcome): void {
  if (outcome === "busy")
    control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 5 } });
  if (outcome === "refuse") {
    const refusal = { kind: "error", status: 400, code: "content_policy_violation" } as const;
    control.script({ on: "submit", times: 1, do: refusal });
  }
}

/** Two senders of one task: `late` has lost its lease, `current` has taken the task over. Nothing is written yet. */
async function twoSenders(gateway: TestGateway, [first, second]: readonly [Outcome, Outcome]) {
  const { key } = await gateway.makeTenant();
  gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "reset" } });
  const { id } = await submitTask(gateway, key);
  const claim = async (): Promise<Task> => {
    gateway.advance(120_000);
    const [task] = await claimSends(env.DB, gateway.now(), gateway.now() + 60_000, 1);
    if (!task) throw new Error("not claimed");
    return task;
  };
  const held = [await claim(), await claim()] as const;
  script(gateway, first);
  const late = { task: held[0], sent: await send(gateway.invocation(), held[0]) };
  script(gateway, second);
  const current = { task: held[1], sent: await send(gateway.invocation(), held[1]) };
  return { late, current, id, key };
}

const write = (gateway: TestGateway, { task, sent }: { task: Task; sent: Sent }) =>
  recordSend(gateway.invocation(), task, sent);

async function stateOf(id: string): Promise<unknown> {
  const { results } = await env.DB.prepare("SELECT state FROM tasks WHERE id = ?").bind(id).all();
  return results[0]?.state;
}

describe("two senders of one task", () => {
  it.each([
    { outcomes: ["accept", "accept"], ends: "submitted" },
    { outcomes: ["busy", "accept"], ends: "submitted" },
    { outcomes: ["accept", "busy"], ends: "submitted" },
    { outcomes: ["busy", "busy"], ends: "submitting" },
  ] as const)("$outcomes, in either order, ends as $ends", async (row) => {
    for (const lateFirst of [true, false]) {
      await clearTasks();
      const gateway = startGateway();
      const { late, current, id, key } = await twoSenders(gateway, row.outcomes);
      for (const result of lateFirst ? [late, current] : [current, late]) await write(gateway, result);
      expect(await stateOf(id)).toBe(row.ends);
      // Never `queued`: the upstream may have it, so it cannot be called off.
      expect(await readTask(gateway, key, id)).toMatchObject({ task_info: { can_cancel: false } });
      expect(gateway.simulator.control.tasks().length).toBeLessThanOrEqual(1);
    }
  });

  it("keep to the lease: the one that lost it does not move the other's", async () => {
    const gateway = startGateway();
    const { late, id } = await twoSenders(gateway, ["busy", "accept"]);
    const leaseOf = async () =>
      (await env.DB.prepare("SELECT due_ms FROM tasks WHERE id = ?").bind(id).all()).results;
    const before = await leaseOf();
    await write(gateway, late);
    expect(await leaseOf()).toEqual(before);
  });

  it("of which the first died without a word: the task cannot be called off even if the second finds it busy", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const dying = startGateway({
      beside: gateway,
      around: async (name, call) => {
        const result = await call();
        if (name === "fetch POST") await new Promise(() => undefined);
        return result;
      },
    });
    void submitTask(dying, key).catch(() => undefined);
    await vi.waitUntil(() => gateway.simulator.control.tasks().length === 1, { timeout: 20_000 });
    script(gateway, "busy");
    gateway.advance(120_000);
    await gateway.tick();
    const { results } = await env.DB.prepare("SELECT id, state FROM tasks").all<{
      id: string;
      state: string;
    }>();
    expect(results).toEqual([{ id: expect.any(String), state: "submitting" }]);
    const id = results[0]?.id ?? "";
    expect(await readTask(gateway, key, id)).toMatchObject({ task_info: { can_cancel: false } });
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });

  it("whose outcomes are written twice end it once", async () => {
    const gateway = startGateway();
    const { late, current, id, key } = await twoSenders(gateway, ["refuse", "refuse"]);
    for (const result of [late, current, late, current]) await write(gateway, result);
    const first = await readTask(gateway, key, id);
    expect(first).toMatchObject({ status: "failed", error: { code: "content_policy_violation" } });
    gateway.advance(60_000);
    await write(gateway, current);
    const response = await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) });
    const { links: _signedAnew, ...same } = (await response.json()) as typeof first;
    expect(first).toMatchObject(same);
  });
});
