/** `/v1/webhook/deliveries`: a tenant reads its deliveries, page by page, and has a delivery attempted again. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  endTask,
  ownDeliveries,
  pagesOf,
  readAuditLog,
  type ShownDelivery,
  startReceiver,
  toCallback,
  toWebhook,
} from "../../helpers/delivery-receiver.ts";
import { bearer, finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

const receiver = startReceiver();
const callback = startReceiver("https://callback.example");
const gateway = startGateway({ hosts: { ...receiver.hosts, ...callback.hosts } });
const seconds = () => Math.floor(gateway.now() / 1000);
beforeEach(() => {
  [receiver.status, callback.status] = [200, 200];
});

const withWebhook = () => gateway.makeTenant({ webhook: { url: receiver.url } });
const retry = (key: string, id: string) =>
  gateway.fetch(`/v1/webhook/deliveries/${id}/retry`, { method: "POST", headers: bearer(key) });
const lowBalanceData = (id: string) =>
  receiver.received.filter(({ headers }) => headers["webhook-id"] === id);

async function delivery(key: string, id: string): Promise<ShownDelivery> {
  const { data } = await ownDeliveries(gateway, key, "?limit=100");
  const [found] = data.filter((one) => one.id === id);
  if (!found) throw new Error(`${id} is not in the log`);
  return found;
}

/** A delivery that has failed on all of its ten attempts. */
async function givenUp(key: string): Promise<string> {
  receiver.status = 500;
  const id = toWebhook(await endTask(gateway, key));
  for (let attempts = 1; attempts < 10; attempts++) {
    const { next_attempt_at } = await delivery(key, id);
    gateway.advance(((next_attempt_at ?? 0) + 1) * 1000 - gateway.now());
    // An endpoint that fails is in back-off as well, for two minutes by then.
    gateway.advance(120_000);
    await gateway.invocation().lanes.start("deliver", 0);
  }
  receiver.status = 200;
  return id;
}

describe("the log of deliveries", () => {
  it("shows one that was taken", async () => {
    const { id: tenant, key } = await withWebhook();
    const { id: task } = await submitTask(gateway, key);
    await finishTask(gateway, key, task);
    expect(await ownDeliveries(gateway, key)).toEqual({
      object: "list",
      next_cursor: null,
      data: [
        {
          id: toWebhook(task),
          object: "webhook.delivery",
          tenant,
          event: "task.completed",
          task,
          target: "webhook",
          status: "delivered",
          attempts: 1,
          created: seconds(),
          next_attempt_at: null,
          last_attempt_at: seconds(),
          last_status: 200,
          last_error: null,
        },
      ],
    });
  });

  it("shows one that was not, with its next attempt, and of a callback the origin alone", async () => {
    const { key } = await withWebhook();
    [receiver.status, callback.status] = [503, 302];
    const task = await endTask(gateway, key, { callback_url: `${callback.url}/a-path-of-its-own` });
    const { data } = await ownDeliveries(gateway, key);
    const waiting = { status: "pending", attempts: 1, next_attempt_at: seconds() + 5 };
    expect(data).toMatchObject([
      { ...waiting, id: toWebhook(task), target: "webhook", last_status: 503, last_error: "status 503" },
      { ...waiting, id: toCallback(task), target: "https://callback.example", last_status: 302 },
    ]);
    expect(JSON.stringify(data)).not.toContain("a-path-of-its-own");
  });

  it("shows one without an answer", async () => {
    const { key } = await gateway.makeTenant({ webhook: { url: receiver.url } });
    const alone = startGateway({
      beside: gateway,
      hosts: { "https://hooks.example": () => Promise.reject(new TypeError("connection refused")) },
    });
    await endTask(alone, key);
    const { data } = await ownDeliveries(gateway, key);
    expect(data).toMatchObject([{ status: "pending", last_status: null, last_error: "connection failed" }]);
  });
});

describe("the log of deliveries in parts", () => {
  let key = "";
  const tasks: string[] = [];
  beforeAll(async () => {
    ({ key } = await withWebhook());
    for (const status of [200, 200, 410, 500, 200]) {
      gateway.advance(1_000);
      receiver.status = status;
      // One that answered 410 is set again.
      if (status === 500) {
        const headers = { ...bearer(key), "content-type": "application/json" };
        const body = JSON.stringify({ url: receiver.url });
        await gateway.fetch("/v1/webhook", { method: "PUT", headers, body });
      }
      tasks.push(await endTask(gateway, key));
    }
  });
  const at = (...places: number[]) => places.map((place) => toWebhook(tasks[place] ?? ""));
  const idsOf = async (query: string) => (await ownDeliveries(gateway, key, query)).data.map(({ id }) => id);

  it("comes newest first, in pages that together hold each once", async () => {
    const pages = await pagesOf((query) => ownDeliveries(gateway, key, query), 2);
    expect(pages.map((page) => page.map(({ id }) => id))).toEqual([at(4, 3), at(2, 1), at(0)]);
    expect(await pagesOf((query) => ownDeliveries(gateway, key, query), 5)).toHaveLength(1);
  });

  it("can be asked for by status", async () => {
    expect(await idsOf("?status=delivered")).toEqual(at(4, 1, 0));
    expect(await idsOf("?status=dropped")).toEqual(at(2));
    expect(await idsOf("?status=pending")).toEqual(at(3));
    expect(await idsOf("?status=failed")).toEqual([]);
    const [first = ""] = at(4);
    expect(await idsOf(`?status=delivered&limit=1&cursor=${first}`)).toEqual(at(1));
  });

  it("can be asked for by task", async () => {
    expect(await idsOf(`?task=${tasks[1]}`)).toEqual(at(1));
    expect(await idsOf(`?task=${tasks[1]}&status=dropped`)).toEqual([]);
    expect(await idsOf("?task=task-unknowns")).toEqual([]);
  });

  it("begins behind any cursor", async () => {
    expect(await idsOf("?cursor=msg-")).toEqual([]);
    expect(await idsOf("?cursor=zzzz")).toHaveLength(5);
    expect(await idsOf("?cursor=%27%20OR%201=1")).toEqual([]);
  });

  it.each([
    ["status", ["", "sending", "Delivered", "delivered,failed"]],
    ["task", ["x".repeat(101)]],
    ["limit", ["", "0", "101", "-1", "1.5", "x"]],
    ["cursor", ["x".repeat(101)]],
  ])("refuses a bad %s", async (field, values) => {
    for (const value of values) {
      const path = `/v1/webhook/deliveries?${field}=${value}`;
      await expectError(await gateway.fetch(path, { headers: bearer(key) }), "invalid_request", field);
    }
  });
});

describe("trying a delivery again", () => {
  it("that has failed for good sends it at once, under its id and with all its attempts before it", async () => {
    const { key, keyId } = await withWebhook();
    const id = await givenUp(key);
    const last = { status: "failed", attempts: 10, next_attempt_at: null, last_status: 500 };
    expect(await delivery(key, id)).toMatchObject(last);
    expect(lowBalanceData(id)).toHaveLength(10);
    const response = await retry(key, id);
    expect(response.status).toBe(202);
    expect(await response.json()).toMatchObject({
      id,
      status: "pending",
      attempts: 0,
      next_attempt_at: seconds(),
    });
    expect(await delivery(key, id)).toMatchObject({ status: "delivered", attempts: 1, last_status: 200 });
    expect(lowBalanceData(id)).toHaveLength(11);
    const entries = (await readAuditLog(gateway)).filter(({ subject }) => subject === id);
    expect(entries).toMatchObject([{ act: "webhook.retry", actor: keyId, details: {} }]);
  });

  it("that fails once more is attempted by the schedule, from its start", async () => {
    const { key } = await withWebhook();
    const id = await givenUp(key);
    receiver.status = 500;
    expect((await retry(key, id)).status).toBe(202);
    const waiting = { status: "pending", attempts: 1, next_attempt_at: seconds() + 5 };
    expect(await delivery(key, id)).toMatchObject(waiting);
  });

  it("that waits for its next attempt does not wait any longer", async () => {
    const { key } = await withWebhook();
    receiver.status = 500;
    const id = toWebhook(await endTask(gateway, key));
    receiver.status = 200;
    await retry(key, id);
    expect(await delivery(key, id)).toMatchObject({ status: "delivered", attempts: 1 });
  });

  it("that was taken sends it a second time", async () => {
    const { key } = await withWebhook();
    const id = toWebhook(await endTask(gateway, key));
    await retry(key, id);
    expect(lowBalanceData(id).map(({ body }) => body)).toEqual(Array(2).fill(lowBalanceData(id)[0]?.body));
  });

  it("that was answered 410 turns the endpoint on", async () => {
    const { key } = await withWebhook();
    receiver.status = 410;
    const id = toWebhook(await endTask(gateway, key));
    receiver.status = 200;
    const hook = async () => (await gateway.fetch("/v1/webhook", { headers: bearer(key) })).json();
    expect(await hook()).toMatchObject({ url: receiver.url, status: "off" });
    const unheard = toWebhook(await endTask(gateway, key));
    expect(lowBalanceData(unheard)).toEqual([]);
    await retry(key, id);
    expect(await delivery(key, id)).toMatchObject({ status: "delivered" });
    expect(await hook()).toMatchObject({ url: receiver.url, status: "on" });
    expect(lowBalanceData(toWebhook(await endTask(gateway, key)))).toHaveLength(1);
  });

  it("that was answered 410 by a task's callback turns that URL on", async () => {
    const { key } = await gateway.makeTenant();
    callback.status = 410;
    const id = toCallback(await endTask(gateway, key, { callback_url: callback.url }));
    expect(await delivery(key, id)).toMatchObject({ status: "dropped", last_status: 410 });
    callback.status = 200;
    await retry(key, id);
    expect(await delivery(key, id)).toMatchObject({ status: "delivered" });
  });

  it("whose webhook is no more comes to nothing", async () => {
    const { key } = await withWebhook();
    const id = toWebhook(await endTask(gateway, key));
    await gateway.fetch("/v1/webhook", { method: "DELETE", headers: bearer(key) });
    expect((await retry(key, id)).status).toBe(202);
    expect(await delivery(key, id)).toMatchObject({ status: "dropped" });
    expect(lowBalanceData(id)).toHaveLength(1);
  });

  it("that is not there is not found, and leaves no line", async () => {
    const { key } = await withWebhook();
    const before = await readAuditLog(gateway);
    for (const id of ["msg-0000000000000000000000000000000-w", "msg-", "%25", "x".repeat(500)]) {
      await expectError(await retry(key, id), "not_found");
    }
    expect(await readAuditLog(gateway)).toEqual(before);
  });
});
