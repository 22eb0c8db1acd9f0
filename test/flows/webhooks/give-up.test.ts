/**
 * Giving up: what is not delivered within 77 hours ends, an endpoint that takes nothing for five days is switched off, and
 * nothing old is sent once it is set again.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { insertBalanceLow } from "../../../src/d1/webhooks/deliveries.ts";
import { verifies } from "../../helpers/delivery-receiver.ts";
import { bearer, finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { type Answer, hook, hookOrigin, startWithReceiver } from "../../helpers/webhook-receiver.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const notifyOrigin = "https://notify.example";
const notify = `${notifyOrigin}/in`;
const limits = { concurrent_tasks: null, images_per_minute: null, requests_per_minute: null };
const id = (task: { id: string }, kind = "w") => `msg-${task.id.slice("task-".length)}-${kind}`;

beforeEach(emptyStores);

async function start(answer: Answer = ({ url }) => (url === notify ? 200 : 500)) {
  const world = startWithReceiver({}, [notifyOrigin]);
  world.answers(answer);
  const webhook = { url: hook, notify_url: notify };
  const tenant = await world.gateway.makeTenant({ webhook, limits });
  return { ...world, tenant, webhook };
}

const count = async (where: string) =>
  (await env.DB.prepare(`SELECT count(*) AS count FROM deliveries WHERE ${where}`).first<{ count: number }>())
    ?.count;
const rowOf = (delivery: string) =>
  env.DB.prepare("SELECT state, attempts, last_problem FROM deliveries WHERE id = ?1").bind(delivery).first();
const shown = async (gateway: TestGateway, key: string) =>
  (await (await gateway.fetch("/v1/webhook", { headers: bearer(key) })).json()) as {
    status: string;
    disabled: { at: number; reason: string } | null;
    notify_url: string | null;
  };

/** Has the endpoint fail since so long, and in back-off no more. */
const failSince = (sinceMs: number, nowMs: number) =>
  env.DB.prepare("UPDATE endpoints SET failing_since_ms = ?1, backoff_until_ms = ?2")
    .bind(sinceMs, nowMs)
    .run();

describe("a webhook that is dead for good, with 480 events a day,", () => {
  it("has each end 77 hours after its event, is off after five days, and is sent nothing old after its repair", async () => {
    const { gateway, tenant, received, answers, webhook } = await start();
    const task = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, task.id);
    const startMs = gateway.now();
    const stepMs = 15 * minute;
    let events = 0;
    let offMs: number | undefined;
    while (gateway.now() < startMs + 6 * day) {
      const nowMs = gateway.now();
      await env.DB.batch(
        [0, 1, 2, 3, 4].map((i) => {
          const event = { id: `msg-${nowMs + i}`, tenantId: tenant.id, taskId: task.id, data: { events } };
          events++;
          return insertBalanceLow(env.DB, event, nowMs);
        }),
      );
      await gateway.tick();
      if (await count(`open = 1 AND created_ms <= ${nowMs - 77 * hour}`))
        throw new Error(
          [
            nowMs,
            JSON.stringify(
              (
                await env.DB.prepare(
                  `SELECT * FROM deliveries where open = 1 AND created_ms <= ${nowMs - 77 * hour}`,
                ).all()
              ).results,
            ),
            JSON.stringify((await env.DB.prepare("SELECT * FROM endpoints").all()).results),
          ].join(" "),
        );
      expect(await count(`open = 1 AND created_ms <= ${nowMs - 77 * hour}`)).toBe(0);
      if (offMs === undefined && (await shown(gateway, tenant.key)).disabled) offMs = nowMs;
      gateway.advance(stepMs);
    }
    expect(events).toBe(6 * 480);
    expect((offMs ?? 0) - startMs).toBeGreaterThanOrEqual(5 * day);
    expect((offMs ?? 0) - startMs).toBeLessThanOrEqual(5 * day + stepMs);
    // Those of the last day were not even put into the outbox.
    expect(await count("endpoint = 'webhook'")).toBeLessThanOrEqual(5 * 480 + 11);
    expect(await count("open = 1")).toBe(0);
    expect(await count("state = 'failed' AND attempts = 0")).toBeGreaterThan(0);
    expect(received.filter(({ url }) => url === notify)).toHaveLength(1);
    answers(() => 200);
    const before = received.length;
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, { webhook });
    for (let i = 0; i < 24; i++) {
      gateway.advance(hour);
      await gateway.tick();
    }
    expect(received).toHaveLength(before);
    const next = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, next.id);
    expect(received.slice(before).map((one) => one.id)).toEqual([id(next)]);
  }, 240_000);
});

describe("a webhook that failed for five days", () => {
  it("notifies its tenant, signed, at the second address, and the operator in the log and the overview", async () => {
    const { gateway, tenant, webhook } = await start();
    const receiver: { headers: Record<string, string>; body: string; url: string }[] = [];
    const listen = async (request: Request) => {
      const headers = Object.fromEntries(request.headers);
      receiver.push({ url: request.url, headers, body: await request.text() });
      return new Response(null, { status: request.url === notify ? 200 : 500 });
    };
    const hosts = { [hookOrigin]: listen, [notifyOrigin]: listen };
    const beside = startGateway({ beside: gateway, hosts });
    await finishTask(beside, tenant.key, (await submitTask(beside, tenant.key)).id);
    await failSince(gateway.now() - 5 * day, gateway.now());
    const second = await submitTask(beside, tenant.key);
    await finishTask(beside, tenant.key, second.id);
    gateway.advance(minute);
    await beside.tick();
    const at = (await shown(gateway, tenant.key)).disabled?.at;
    expect(await shown(gateway, tenant.key)).toMatchObject({
      status: "off",
      disabled: { at: expect.any(Number), reason: "failing" },
      notify_url: notify,
    });
    const notices = receiver.filter(({ url }) => url === notify);
    expect(notices.map(({ body }) => JSON.parse(body))).toEqual([
      {
        type: "webhook.disabled",
        timestamp: expect.any(String),
        data: { object: "webhook", target: "webhook", reason: "failing", at },
      },
    ]);
    const set = await gateway.admin("PATCH", `/tenants/${tenant.id}`, {
      webhook: { ...webhook, secret: "" },
    });
    expect(set.status).toBe(400);
    const secret = await env.DB.prepare("SELECT webhook_secret AS text FROM tenants").first<{
      text: string;
    }>();
    expect(notices.every((one) => verifies(one, secret?.text ?? ""))).toBe(true);
    expect(beside.logs.filter(({ event }) => event === "endpoint_off")).toMatchObject([
      { level: "error", tenant: tenant.id, target: "webhook", reason: "failing" },
    ]);
    const overview = (await (await gateway.admin("GET", "/overview")).json()) as { webhooks_off: object[] };
    expect(overview.webhooks_off).toEqual([{ tenant: tenant.id, at, reason: "failing" }]);
  });

  it("is notified of once, though it answered 410 to two senders", async () => {
    const { gateway, tenant, answers, received } = await start();
    answers(({ url }) => (url === notify ? 200 : 410));
    await Promise.all([submitTask(gateway, tenant.key), submitTask(gateway, tenant.key)]);
    gateway.advance(30_000);
    await gateway.tick();
    await gateway.tick();
    expect(received.filter(({ url }) => url === notify)).toHaveLength(1);
  });

  it("is tried again by hand, which sends that one alone and switches it on", async () => {
    const { gateway, tenant, answers, received } = await start();
    const first = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, first.id);
    gateway.advance(78 * hour);
    await gateway.tick();
    expect(await rowOf(id(first))).toMatchObject({ state: "failed" });
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key)).id);
    await failSince(gateway.now() - 5 * day, gateway.now());
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key)).id);
    expect((await shown(gateway, tenant.key)).status).toBe("off");
    answers(() => 200);
    const before = received.length;
    const path = `/v1/webhook/deliveries/${id(first)}/retry`;
    expect((await gateway.post(path, undefined, bearer(tenant.key))).status).toBe(202);
    gateway.advance(minute);
    await gateway.tick();
    expect(received.slice(before).map((one) => one.id)).toEqual([id(first)]);
    expect((await shown(gateway, tenant.key)).status).toBe("on");
  });
});

describe("an endpoint that fails once a week", () => {
  it("is not switched off: its failures are not in a row", async () => {
    const { gateway, tenant } = await start();
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key)).id);
    await failSince(gateway.now() - 7 * day, gateway.now() - 7 * day);
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key)).id);
    expect((await shown(gateway, tenant.key)).status).toBe("on");
    const row = await env.DB.prepare("SELECT failing_since_ms AS sinceMs FROM endpoints").first();
    expect(row).toEqual({ sinceMs: expect.any(Number) });
    expect(Number(row?.sinceMs)).toBeGreaterThan(gateway.now() - hour);
  });
});

describe("an origin of callbacks that failed for five days", () => {
  it("is sent nothing of tasks of the next day, and has one attempt with the first task after it", async () => {
    const { gateway, tenant, received, answers } = await start();
    const to = { callback_url: `${hookOrigin}/one` };
    const end = async (body: object = to) => {
      const task = await submitTask(gateway, tenant.key, body);
      await finishTask(gateway, tenant.key, task.id);
      return task;
    };
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, { webhook: null });
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, {
      webhook: { url: `${notify}/own`, notify_url: notify },
    });
    answers(({ url }) => (url.startsWith(notify) ? 200 : 500));
    await end();
    await failSince(gateway.now() - 5 * day, gateway.now());
    await end();
    const sent = () => received.filter(({ url }) => url.startsWith(hookOrigin)).length;
    const notices = () => received.filter(({ body }) => body.type === "webhook.disabled");
    const before = sent();
    gateway.advance(minute);
    await gateway.tick();
    expect(await count("open = 1")).toBe(0);
    expect(notices()).toMatchObject([{ body: { data: { target: hookOrigin, reason: "failing" } } }]);
    gateway.advance(12 * hour);
    await end({ callback_url: `${hookOrigin}/two` });
    expect(sent()).toBe(before);
    gateway.advance(13 * hour);
    await end({ callback_url: `${hookOrigin}/two` });
    expect(sent()).toBe(before + 1);
    expect(await count("open = 1")).toBe(0);
    await end();
    expect(sent()).toBe(before + 1);
    expect(notices()).toHaveLength(1);
    gateway.advance(25 * hour);
    answers(() => 200);
    const last = await end();
    expect(await rowOf(id(last, "c"))).toMatchObject({ state: "delivered" });
  });
});
