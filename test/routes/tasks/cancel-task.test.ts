/** Calling a task off: only one that the upstream cannot have, and then nothing is held or charged for it. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { claimSends } from "../../../src/d1/tasks/due-tasks.ts";
import {
  bearer,
  clearTasks,
  finishTask,
  readTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, upstreamCalls } from "../../helpers/routes.ts";

beforeEach(clearTasks);

const cancel = (gateway: TestGateway, key: string, id: string) =>
  gateway.fetch(`/v1/tasks/${id}/cancel`, { method: "POST", headers: bearer(key) });

/** A task that waits, since the upstream is busy. */
async function queued() {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant({ balance: 100 });
  gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 30 } });
  const { id } = await submitTask(gateway, tenant.key);
  const money = () => gateway.invocation().tenant(tenant.id).summary(tenant.id, gateway.now());
  return { gateway, ...tenant, taskId: id, money };
}

describe("a task that waits in the queue", () => {
  it("can be called off, which releases its hold and sends nothing", async () => {
    const { gateway, key, taskId, money } = await queued();
    expect(await readTask(gateway, key, taskId)).toMatchObject({ task_info: { can_cancel: true } });
    expect(await money()).toMatchObject({ held: 30 });
    const response = await cancel(gateway, key, taskId);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      id: taskId,
      status: "cancelled",
      task_info: { can_cancel: false },
      usage: { images: 0, credits_held: 0, credits_charged: 0 },
      error: null,
    });
    expect(await money()).toMatchObject({ held: 0, balance: 100 });
    const sent = upstreamCalls(gateway, "POST").length;
    gateway.advance(120_000);
    await gateway.tick();
    expect(upstreamCalls(gateway, "POST")).toHaveLength(sent);
    expect((await cancel(gateway, key, taskId)).status).toBe(200);
  });

  it("is either cancelled or sent, however the two race", async () => {
    for (let round = 0; round < 5; round++) {
      const { gateway, key, taskId, money } = await queued();
      gateway.advance(60_000);
      const [response] = await Promise.all([cancel(gateway, key, taskId), gateway.tick()]);
      const task =
        response.status === 200
          ? await readTask(gateway, key, taskId)
          : await finishTask(gateway, key, taskId);
      const isCancelled = response.status === 200;
      expect(task.status).toBe(isCancelled ? "cancelled" : "completed");
      expect(gateway.simulator.control.tasks()).toHaveLength(isCancelled ? 0 : 1);
      expect(await money()).toMatchObject({ held: 0, balance: isCancelled ? 100 : 70 });
    }
  });
});

describe("a task that cannot be called off", () => {
  it("is one that a sender has claimed since it was read", async () => {
    const { gateway, key, taskId, money } = await queued();
    gateway.advance(60_000);
    let calls = 0;
    const slow = startGateway({
      beside: gateway,
      around: async (name, call) => {
        // The first call to D1 reads the task as queued; the second one would cancel it.
        if (name === "D1" && ++calls === 2)
          await claimSends(env.DB, gateway.now(), gateway.now() + 60_000, 1, () => undefined);
        return call();
      },
    });
    await expectError(await cancel(slow, key, taskId), "task_not_cancellable");
    expect(calls).toBeGreaterThanOrEqual(2);
    expect(await readTask(gateway, key, taskId)).toMatchObject({ status: "pending" });
    expect(await money()).toMatchObject({ held: 30 });
  });

  it("is one that the upstream has, may have, or had", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const running = await submitTask(gateway, key);
    const unknown = await submitTask(gateway, key, { prompt: "a boat [sim:reset-after]" });
    for (const { id } of [running, unknown]) {
      await expectError(await cancel(gateway, key, id), "task_not_cancellable");
    }
    await finishTask(gateway, key, running.id);
    await expectError(await cancel(gateway, key, running.id), "task_not_cancellable");
  });

  it("is another tenant's, which is like none", async () => {
    const { gateway, taskId } = await queued();
    const other = await gateway.makeTenant();
    await expectError(await cancel(gateway, other.key, taskId), "task_not_found");
    await expectError(await cancel(gateway, other.key, "task-none"), "task_not_found");
  });
});
