/**
 * Webhooks as their receivers get them: over HTTP, from the built Worker, verified by the library that receivers use,
 * and with receivers that fail in all the ways that receivers do.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type BuiltGateway, secrets, startOwnGateway } from "../helpers/node/built-gateway.ts";
import { type Answer, type Received, type Receiver, startReceiver } from "../helpers/node/http-receiver.ts";
import { makeNotifiedTenant, query, verify } from "../helpers/node/notified-tenant.ts";

let gateway: BuiltGateway;
let receiver: Receiver;
/** A word in every path that is called: what must show nowhere. */
const pathWord = "between-us-alone";
let paths = 0;

beforeAll(async () => {
  // Its own: an isolate remembers that the upstream asks for a pause.
  gateway = await startOwnGateway();
  receiver = await startReceiver();
});
afterAll(async () => {
  await receiver.close();
  await gateway.close();
});

/** A path of the receiver that no other test uses. */
function newPath(...answers: Answer[]): string {
  const path = `/${pathWord}/${++paths}`;
  if (answers.length > 0) receiver.answer(path, ...answers);
  return path;
}

const makeTenant = (path: string | null, settings?: object) =>
  makeNotifiedTenant(gateway, path === null ? null : receiver.url + path, settings);

const done = "a lighthouse [sim:seconds=0]";

/** The first that comes to a path. */
async function first(path: string): Promise<Received> {
  const [one] = await receiver.hasReceived(path, 1);
  if (!one) throw new Error("nothing came");
  return one;
}

const signatures = ({ headers }: Received) => `${headers["webhook-signature"]}`.split(" ");

describe("what is sent", () => {
  it("comes with the one tick that finds the task done, verified by the secret of the tenant's creation", async () => {
    const [hook, callback] = [newPath(), newPath()];
    const tenant = await makeTenant(hook);
    const id = await tenant.start(done, { callback_url: receiver.url + callback, metadata: { order: "7" } });
    expect(receiver.received(hook)).toEqual([]);
    await gateway.tick();

    const task = await tenant.notified(id);
    expect(task).toMatchObject({ id, status: "completed", metadata: { order: "7" } });
    const event = await first(hook);
    const timestamp = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    expect(verify(tenant.secret, event)).toEqual({ type: "task.completed", timestamp, data: task });
    const bare = await first(callback);
    expect(verify(tenant.secret, bare)).toEqual(task);
    for (const { method, headers } of [event, bare]) {
      expect([method, headers["content-type"]]).toEqual(["POST", "application/json"]);
    }
    expect(event.headers["webhook-id"]).not.toBe(bare.headers["webhook-id"]);
    expect((await tenant.log(id)).map(({ status, target, attempts }) => [status, target, attempts])).toEqual([
      ["delivered", "webhook", 1],
      ["delivered", receiver.url, 1],
    ]);
  });

  it("is refused by its receiver when it was changed, is old, or is signed with another secret", async () => {
    const hook = newPath();
    const [tenant, other] = [await makeTenant(hook), await makeTenant(null)];
    await tenant.start(done);
    await gateway.tick();
    const event = await first(hook);
    expect(() => verify(tenant.secret, event)).not.toThrow();

    const noMatch = "No matching signature found";
    const changed = event.body.replace('"completed"', '"failed"');
    expect(changed).not.toBe(event.body);
    expect(() => verify(tenant.secret, { ...event, body: changed })).toThrow(noMatch);
    expect(() => verify(other.secret, event)).toThrow(noMatch);
    const otherId = { ...event.headers, "webhook-id": `${event.headers["webhook-id"]}0` };
    expect(() => verify(tenant.secret, { ...event, headers: otherId })).toThrow(noMatch);
    vi.useFakeTimers({ now: event.atMs + 301_000, toFake: ["Date"] });
    try {
      expect(() => verify(tenant.secret, event)).toThrow("Message timestamp too old");
    } finally {
      vi.useRealTimers();
    }
  });

  it("of a failed task says so, to the callback of a tenant without a webhook too", async () => {
    const callback = newPath();
    const tenant = await makeTenant(null);
    const id = await tenant.start("a failure [sim:leak] [sim:seconds=0]", {
      callback_url: receiver.url + callback,
    });
    const task = await tenant.notified(id);
    expect(task).toMatchObject({ status: "failed", error: { type: "task_error" }, images: [] });
    expect(verify(tenant.secret, await first(callback))).toEqual(task);
    expect(await tenant.log(id)).toMatchObject([{ event: "task.failed", status: "delivered" }]);
  });

  it("of a balance that falls below its bound is what is left", async () => {
    const hook = newPath();
    const price = { "wan-2.7-image": 30 };
    const tenant = await makeTenant(hook, { balance: 100, low_balance: 80, prices: price });
    const id = await tenant.start(done);
    const low = await first(hook);
    const data = { object: "balance", balance: 100, held: 30, available: 70, low_balance: 80 };
    expect(verify(tenant.secret, low)).toMatchObject({ type: "balance.low", data });
    await gateway.tick();
    const [, event] = await receiver.hasReceived(hook, 2);
    expect(event && verify(tenant.secret, event)).toMatchObject({ type: "task.completed", data: { id } });
  });

  it("is signed with both secrets while one is replaced, and with the new one alone without an overlap", async () => {
    const hook = newPath();
    const tenant = await makeTenant(hook);
    const notified = async (count: number): Promise<Received> => {
      await tenant.start(done);
      await gateway.tick();
      const event = (await receiver.hasReceived(hook, count))[count - 1];
      if (!event) throw new Error("nothing came");
      return event;
    };
    const rotate = (body: object) => tenant.call<{ secret: string }>("POST", "/webhook/rotate", body);

    const second = (await rotate({})).secret;
    expect(second).toMatch(/^whsec_/);
    const both = await notified(1);
    expect(signatures(both)).toHaveLength(2);
    for (const secret of [tenant.secret, second]) expect(() => verify(secret, both)).not.toThrow();

    const third = (await rotate({ overlap_seconds: 0 })).secret;
    const one = await notified(2);
    expect(signatures(one)).toHaveLength(1);
    expect(() => verify(third, one)).not.toThrow();
    for (const secret of [tenant.secret, second]) expect(() => verify(secret, one)).toThrow();
  });
});

describe("a receiver", () => {
  it("that takes it on the third attempt gets it under one id, each attempt signed anew, 5 s and 5 min later", async () => {
    const hook = newPath({ status: 500 }, { status: 500 }, { status: 200 });
    const tenant = await makeTenant(hook);
    const id = await tenant.start(done);
    await gateway.tick();
    await receiver.hasReceived(hook, 1);
    const pauses: number[] = [];
    const failed = async (attempts: number) => {
      const [delivery] = await tenant.log(id);
      expect(delivery).toMatchObject({ status: "pending", attempts, last_status: 500 });
      pauses.push((delivery?.next_attempt_at ?? 0) - (delivery?.last_attempt_at ?? 0));
    };
    await failed(1);
    await gateway.tick();
    expect(receiver.received(hook)).toHaveLength(1);

    // The one wait in real time, so that the second attempt has another time to sign.
    await sleep(5_100);
    await gateway.tick();
    await receiver.hasReceived(hook, 2);
    await failed(2);
    await gateway.tick();
    expect(receiver.received(hook)).toHaveLength(2);
    await query(gateway, `UPDATE deliveries SET due_ms = 0 WHERE task_id = '${id}'`);
    await gateway.tick();
    const attempts = await receiver.hasReceived(hook, 3);
    expect(await tenant.log(id)).toMatchObject([{ status: "delivered", attempts: 3, next_attempt_at: null }]);

    expect(pauses).toEqual([5, 300]);
    expect(new Set(attempts.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    expect(new Set(attempts.map(({ body }) => body)).size).toBe(1);
    const signed = attempts.map(({ headers }) => Number(headers["webhook-timestamp"]));
    for (const [at, one] of attempts.entries()) {
      expect(() => verify(tenant.secret, one)).not.toThrow();
      expect(Math.abs(one.atMs / 1000 - (signed[at] ?? 0))).toBeLessThan(2);
    }
    expect((signed[1] ?? 0) - (signed[0] ?? 0)).toBeGreaterThanOrEqual(5);
    expect(attempts[1]?.headers["webhook-signature"]).not.toBe(attempts[0]?.headers["webhook-signature"]);
  });

  it("that redirects has failed, and is not followed", async () => {
    const elsewhere = newPath();
    const hook = newPath({ status: 301, location: elsewhere });
    const tenant = await makeTenant(hook);
    const id = await tenant.start(done);
    await gateway.tick();
    await receiver.hasReceived(hook, 1);
    expect(await tenant.log(id)).toMatchObject([{ status: "pending", attempts: 1, last_status: 301 }]);
    expect(receiver.received(elsewhere)).toEqual([]);
  });

  it("that answers 410 gets nothing more until it is set again", async () => {
    const hook = newPath({ status: 410 }, { status: 204 });
    const tenant = await makeTenant(hook);
    const show = () => tenant.call<{ status: string; secret?: string }>("GET", "/webhook");
    expect(await show()).toMatchObject({ status: "on" });
    const gone = await tenant.start(done);
    await gateway.tick();
    await receiver.hasReceived(hook, 1);
    expect(await tenant.log(gone)).toMatchObject([{ status: "dropped", last_status: 410 }]);
    expect(await show()).toMatchObject({ status: "off" });

    const unnotified = await tenant.start(done);
    await gateway.tick();
    expect(await tenant.notified(unnotified)).toMatchObject({ status: "completed" });
    expect(await tenant.log(unnotified)).toEqual([]);

    const set = await tenant.call("PUT", "/webhook", { url: receiver.url + hook });
    expect(set).toMatchObject({ status: "on" });
    const notified = await tenant.start(done);
    await gateway.tick();
    const events = await receiver.hasReceived(hook, 2);
    expect(events.map((event) => verify(tenant.secret, event))).toMatchObject([
      { data: { id: gone } },
      { data: { id: notified } },
    ]);
  });

  it("that says nothing is given up after 15 s, and notified at once when its tenant asks", async () => {
    const hook = newPath("hang", { status: 200 });
    const tenant = await makeTenant(hook);
    const id = await tenant.start(done);
    await gateway.tick();
    const { atMs } = await first(hook);
    const [delivery] = await tenant.log(id);
    const seconds = (Date.now() - atMs) / 1000;
    expect([seconds > 14, seconds < 20]).toEqual([true, true]);
    expect(delivery).toMatchObject({
      status: "pending",
      attempts: 1,
      last_status: null,
      last_error: "time-out",
    });
    await tenant.call("POST", `/webhook/deliveries/${delivery?.id}/retry`);
    await receiver.hasReceived(hook, 2);
    expect(await tenant.log(id)).toMatchObject([{ status: "delivered", last_error: null }]);
  });

  it("that answers 200 has taken it, though its body is of ten megabytes and never ends", async () => {
    const hook = newPath("endless");
    const tenant = await makeTenant(hook);
    const id = await tenant.start(done);
    await gateway.tick();
    await first(hook);
    expect(await tenant.log(id)).toMatchObject([{ status: "delivered", attempts: 1, last_status: 200 }]);
  });

  // Behind all that needs the upstream, since all wait after a 429.
  it("is notified of a task that was cancelled", async () => {
    const hook = newPath();
    const tenant = await makeTenant(hook);
    const id = await tenant.start("a busy upstream [sim:429=60]");
    await tenant.call("POST", `/tasks/${id}/cancel`);
    const data = await tenant.notified(id);
    expect(data).toMatchObject({ status: "cancelled" });
    expect(verify(tenant.secret, await first(hook))).toMatchObject({ type: "task.cancelled", data });
  });
});

// Last, over all that was sent above.
describe("no webhook shows", () => {
  it("anything of the upstream", () => {
    const { host } = new URL(gateway.upstreamUrl);
    const ids = gateway.simulator.control.tasks().map((task) => task.id);
    const notified = receiver.all().map(({ headers, body }) => JSON.stringify([headers, body]));
    expect([notified.length > 10, ids.length > 5]).toEqual([true, true]);
    for (const secret of [secrets.UPSTREAM_API_KEY, host, ...ids, "lighthouse", '"input"']) {
      expect(notified.filter((text) => text.includes(secret))).toEqual([]);
    }
  });

  it("a secret, or where a receiver is, by the log", () => {
    const logs = gateway.logs();
    expect(logs.filter((line) => line.includes('"event":"delivery"')).length).toBeGreaterThan(10);
    for (const secret of ["whsec_", pathWord, new URL(receiver.url).host]) {
      expect(logs.filter((line) => line.includes(secret))).toEqual([]);
    }
  });
});
