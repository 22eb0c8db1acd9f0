/**
 * Notifying tenants. What races here:
 *
 *   - who ends a task, and another that ends it again: one event, since its id is the task's
 *   - two senders of one delivery: the lease, and the stable id where it ran out
 *   - a sender that dies before or after the receiver has heard: the next one says it again, under the same id
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { retryPausesMs } from "../../../src/domain/webhooks.ts";
import {
  type Around,
  bearer,
  clearTasks,
  finishTask,
  startGateway,
  submitTask,
} from "../../helpers/gateway.ts";
import { hook, hookOrigin, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(clearTasks);

const webhook = { url: hook };
const id = (task: { id: string }, kind = "w") => `msg-${task.id.slice("task-".length)}-${kind}`;

async function rowOf(delivery: string): Promise<Record<string, unknown> | null> {
  return env.DB.prepare("SELECT * FROM deliveries WHERE id = ?1").bind(delivery).first();
}

describe("the end of a task", () => {
  it("is sent in the tick that stores its picture, once however often cron comes", async () => {
    const { gateway, received, of } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    const task = await submitTask(gateway, key);
    gateway.advance(30_000);
    await Promise.all([gateway.tick(), gateway.tick()]);
    expect(of(task.id)).toMatchObject([
      { id: id(task), body: { type: "task.completed", data: { status: "completed" } } },
    ]);
    for (let i = 0; i < 5; i++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    expect(received).toHaveLength(1);
  });

  it("goes to the tenant's webhook and to the task's callback, each under an id of its own", async () => {
    const { gateway, of } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    const task = await submitTask(gateway, key, { callback_url: `${hookOrigin}/one` });
    const shown = await finishTask(gateway, key, task.id);
    const received = of(task.id).toSorted((a, b) => (a.url < b.url ? -1 : 1));
    expect(received.map(({ id, url }) => [id, url])).toEqual([
      [id(task, "c"), `${hookOrigin}/one`],
      [id(task), hook],
    ]);
    const { input: _hidden, links, ...rest } = shown as typeof shown & { links: { self: string } };
    expect(received[0]?.body).toEqual({ ...rest, links: { self: links.self } });
    expect(received[1]?.body.data).toEqual(received[0]?.body);
  });

  it("gets the events that it asked for only", async () => {
    const { gateway, received } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook: { ...webhook, events: ["task.failed"] } });
    await finishTask(gateway, key, (await submitTask(gateway, key)).id);
    expect(received).toEqual([]);
    const failing = await submitTask(gateway, key, { prompt: "a reef [sim:fail=generation_failed]" });
    await finishTask(gateway, key, failing.id);
    expect(received).toMatchObject([{ body: { type: "task.failed", data: { id: failing.id } } }]);
  });

  it("that the waiting caller got is not sent by webhook", async () => {
    const { gateway, received } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    const body = { model: "wan-2.7-image", prompt: "x" };
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    const refused = await gateway.post("/v1/images/generations", body, bearer(key));
    expect(refused.status).toBe(400);
    await gateway.tick();
    expect(received).toEqual([]);
  });
});

describe("a receiver that fails", () => {
  it.each([301, 302, 307, 308, 404, 503])("answers %i, which is no success", async (status) => {
    const { gateway, answers } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    answers(() => status);
    const task = await submitTask(gateway, key);
    await finishTask(gateway, key, task.id);
    expect(await rowOf(id(task))).toMatchObject({ state: "pending", open: 1, last_status: status });
  });

  it("is on a private address by now, and is sent nothing", async () => {
    const inside = "https://10.0.0.8";
    const { gateway, received } = startWithReceiver({}, [inside]);
    const tenant = await gateway.makeTenant({ webhook });
    await env.DB.prepare("UPDATE tenants SET webhook_url = ?2 WHERE id = ?1")
      .bind(tenant.id, `${inside}/hook`)
      .run();
    const task = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, task.id);
    expect(received).toEqual([]);
    expect(await rowOf(id(task))).toMatchObject({ state: "pending", open: 1, last_status: null });
  });

  it("is sent again by the schedule, under the same id, and no more after ten attempts", async () => {
    const { gateway, received, answers } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    answers(() => 500);
    const task = await submitTask(gateway, key);
    gateway.advance(30_000);
    await gateway.tick();
    for (const pauseMs of retryPausesMs) {
      const before = received.length;
      gateway.advance(pauseMs - 1);
      await gateway.tick();
      expect(received).toHaveLength(before);
      gateway.advance(1);
      await gateway.tick();
      expect(received).toHaveLength(before + 1);
    }
    gateway.advance(20 * 86_400_000);
    await gateway.tick();
    expect(received).toHaveLength(10);
    expect(new Set(received.map((one) => one.id))).toEqual(new Set([id(task)]));
    expect(await rowOf(id(task))).toMatchObject({ state: "failed", open: 0, attempts: 10, last_status: 500 });
  });

  it("that says 410 gets nothing more, until it is set again", async () => {
    const { gateway, received, answers } = startWithReceiver();
    const { id: tenant, key } = await gateway.makeTenant({ webhook });
    answers(() => 410);
    const first = await submitTask(gateway, key);
    await finishTask(gateway, key, first.id);
    expect(await rowOf(id(first))).toMatchObject({ state: "dropped", last_status: 410 });
    answers(() => 200);
    await finishTask(gateway, key, (await submitTask(gateway, key)).id);
    expect(received).toHaveLength(1);
    await gateway.admin("PATCH", `/tenants/${tenant}`, { webhook });
    const third = await submitTask(gateway, key);
    await finishTask(gateway, key, third.id);
    expect(received.map((one) => one.id)).toEqual([id(first), id(third)]);
  });

  it("at a task's callback with 410 gets events of later tasks that name it again", async () => {
    const { gateway, received, answers } = startWithReceiver();
    const { key } = await gateway.makeTenant();
    answers(() => 410);
    const both = [0, 1].map(() => submitTask(gateway, key, { callback_url: hook }));
    const [first, second] = await Promise.all(both);
    gateway.advance(60_000);
    await gateway.tick();
    await finishTask(gateway, key, first?.id ?? "");
    await finishTask(gateway, key, second?.id ?? "");
    expect(received.length).toBeLessThanOrEqual(2);
    const before = received.length;
    answers(() => 200);
    await finishTask(gateway, key, (await submitTask(gateway, key, { callback_url: hook })).id);
    expect(received).toHaveLength(before + 1);
  });
});

describe("a sender", () => {
  it.each(["before", "after"] as const)(
    "that dies %s the receiver heard is followed by another",
    async (side) => {
      const { gateway, hosts, received, of } = startWithReceiver();
      const { key } = await gateway.makeTenant({ webhook });
      const task = await submitTask(gateway, key);
      let dead = false;
      const around: Around = async (name, call) => {
        dead ||= name === "fetch POST" && side === "before";
        if (dead) throw new Error("died");
        const result = await call();
        dead ||= name === "fetch POST";
        if (dead) throw new Error("died");
        return result;
      };
      gateway.advance(30_000);
      await startGateway({ beside: gateway, around, hosts })
        .tick()
        .catch(() => undefined);
      expect(dead).toBe(true);
      expect(received).toHaveLength(side === "before" ? 0 : 1);
      for (let i = 0; i < 3; i++) {
        gateway.advance(300_000);
        await gateway.tick();
      }
      expect(new Set(of(task.id).map((one) => one.id))).toEqual(new Set([id(task)]));
      expect(received).toHaveLength(side === "before" ? 1 : 2);
      expect(await rowOf(id(task))).toMatchObject({ state: "delivered", open: 0 });
    },
  );

  it("whose lease ran out changes nothing when it comes back", async () => {
    const { gateway, answers, received } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    const task = await submitTask(gateway, key);
    const late = Promise.withResolvers<number>();
    const heard = Promise.withResolvers<void>();
    answers(() => {
      if (received.length > 1) return 200;
      heard.resolve();
      return late.promise;
    });
    gateway.advance(30_000);
    const slow = gateway.tick();
    await heard.promise;
    gateway.advance(31_000);
    await startGateway({ beside: gateway, hosts: { [hookOrigin]: () => new Response() } }).tick();
    expect(await rowOf(id(task))).toMatchObject({ state: "delivered", attempts: 2 });
    late.resolve(500);
    await slow;
    expect(await rowOf(id(task))).toMatchObject({ state: "delivered", attempts: 2, last_status: 200 });
  });
});

describe("what was erased", () => {
  it("is sent to no receiver", async () => {
    const { gateway, received, answers } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    answers(() => 500);
    const task = await submitTask(gateway, key);
    await finishTask(gateway, key, task.id);
    const attempts = received.length;
    await gateway.fetch(`/v1/tasks/${task.id}`, { method: "DELETE", headers: bearer(key) });
    gateway.advance(3_600_000);
    await gateway.tick();
    expect(received).toHaveLength(attempts);
    expect(await rowOf(id(task))).toMatchObject({ state: "dropped" });
  });

  it("is sent to no receiver by the next sender, where one was about to send it and died", async () => {
    const { gateway, received, answers } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook });
    answers(() => 500);
    const task = await submitTask(gateway, key);
    await finishTask(gateway, key, task.id);
    const attempts = received.length;
    await env.DB.prepare("UPDATE deliveries SET state = 'sending' WHERE id = ?1").bind(id(task)).run();
    await gateway.fetch(`/v1/tasks/${task.id}`, { method: "DELETE", headers: bearer(key) });
    expect(await rowOf(id(task))).toMatchObject({ state: "sending" });
    gateway.advance(3_600_000);
    await gateway.tick();
    expect(received).toHaveLength(attempts);
    expect(await rowOf(id(task))).toMatchObject({ state: "dropped" });
  });
});

describe("a balance that runs low", () => {
  it("is sent with what is left, once each time that it falls below the line", async () => {
    const { gateway, received } = startWithReceiver();
    const { id: tenant, key } = await gateway.makeTenant({ webhook, balance: 160, low_balance: 100 });
    const low = () => received.filter(({ body }) => body.type === "balance.low").map(({ body }) => body.data);
    for (let i = 0; i < 4; i++) await submitTask(gateway, key);
    expect(low()).toEqual([{ object: "balance", balance: 160, held: 90, available: 70, low_balance: 100 }]);
    const topUp = { amount: 100, type: "topup", reference: "again" };
    await gateway.admin("POST", `/tenants/${tenant}/credits`, topUp);
    await submitTask(gateway, key);
    await submitTask(gateway, key);
    expect(low()).toHaveLength(2);
  });
});
