/** Rows that cannot be read: a request gets an internal error, a sweep of cron goes on, and the log names the place. */

import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { findTask } from "../../../src/d1/tasks/reconciled-tasks.ts";
import {
  bearer,
  finishTask,
  startGateway,
  storedKeys,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf } from "../../helpers/tenant-object.ts";
import { failedEvents, garbage, setColumn as set, unreadable } from "../../helpers/unreadable.ts";
import { hook, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(emptyStores);

/** Asks for something that holds the data, and expects the error and its log line, without the contents. */
async function expectInternalError(gateway: TestGateway, response: Response, place: string): Promise<void> {
  expect(response.status).toBe(500);
  expect(await response.json()).toMatchObject({ error: { code: "internal_error", charged: "no" } });
  expect(new Set(unreadable(gateway))).toEqual(new Set([place]));
  expect(JSON.stringify(gateway.logs)).not.toContain("unreadable contents");
}

describe("a request that reads what cannot be read", () => {
  it.each([
    ["input", "{unreadable contents"],
    ["input.n", '{"prompt":"unreadable contents"}'],
    ["metadata.a", '{"a":["unreadable contents"]}'],
    ["images.0.state", '[{"id":"img-1","state":"unreadable contents"}]'],
    ["state", "unreadable contents"],
    ["erasure", "unreadable contents"],
  ])("of a task is an internal error: %s", async (field, value) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    await set("tasks", field.split(".")[0] ?? "", value, id);
    const response = await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) });
    await expectInternalError(gateway, response, `tasks ${field} ${id}`);
  });

  it.each([
    ["settings.limits.images_per_day", '{"limits":{"images_per_day":"unreadable contents"}}'],
    ["scopes", '"unreadable contents"'],
  ])("of a key is an internal error: %s", async (field, value) => {
    const gateway = startGateway();
    const { key, keyId } = await gateway.makeTenant();
    await set("keys", field.split(".")[0] ?? "", value, keyId);
    const response = await gateway.fetch("/v1/models", { headers: bearer(key) });
    await expectInternalError(gateway, response, `keys ${field} ${keyId}`);
  });

  it("of a tenant's object is an internal error and no outage, under the tenant's id", async () => {
    const gateway = startGateway();
    const { id, key } = await gateway.makeTenant();
    await submitTask(gateway, key);
    await runInDurableObject(objectOf(id), (_object, { storage }) => {
      storage.sql.exec("UPDATE config SET body = '{unreadable contents'");
    });
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    const response = await gateway.post("/v1/images/generations", asked, bearer(key));
    await expectInternalError(gateway, response, `config body ${id}`);
  });

  it.each([
    ["metadata", "{unreadable contents", 500],
    ["input", "{unreadable contents", 500],
    ["images", "{unreadable contents", 200],
  ])(
    "of an open task does not keep the operator from failing it, which releases its hold: %s",
    async (column, value, status) => {
      const gateway = startGateway();
      const { id: tenantId, key } = await gateway.makeTenant({ balance: 1_000 });
      const { id } = await submitTask(gateway, key);
      await set("tasks", column, value, id);
      expect((await gateway.admin("POST", `/tasks/${id}/fail`)).status).toBe(status);
      const { results } = await env.DB.prepare("SELECT state, open FROM tasks WHERE id = ?1").bind(id).all();
      expect(results).toEqual([{ state: "failed", open: 0 }]);
      expect(await (await gateway.admin("GET", `/tenants/${tenantId}`)).json()).toMatchObject({ held: 0 });
      expect((await gateway.admin("POST", `/tasks/${id}/fail`)).status).toBe(status);
    },
  );

  it("opens a task whose failure or model is of another version", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    await set("tasks", "state", "failed", id);
    await set("tasks", "error_code", "of_another_version", id);
    await set("tasks", "model", "wan-1", id);
    expect(await findTask(env.DB, { id })).toMatchObject({ model: "wan-1", errorCode: "unknown_error" });
  });
});

describe("a request beside what cannot be read", () => {
  it("sums up the usage without the images of that task", async () => {
    const gateway = startGateway();
    const { id: tenant, key } = await gateway.makeTenant();
    const tasks = [await submitTask(gateway, key), await submitTask(gateway, key, { n: 2 })];
    for (const { id } of tasks) await finishTask(gateway, key, id);
    await set("tasks", "images", garbage, tasks[0]?.id ?? "");
    const sums = { images: 2, credits: 60, tasks: 2 };
    const own = await gateway.fetch("/v1/usage", { headers: bearer(key) });
    expect(await own.json()).toMatchObject({ days: [{ images: 2, credits: 60 }] });
    const all = await gateway.admin("GET", `/usage?tenant=${tenant}&group=tenant`);
    expect(await all.json()).toMatchObject({ data: [{ tenant, ...sums }] });
    expect(await (await gateway.admin("GET", "/overview")).json()).toMatchObject({ days: [sums] });
  });

  it("has the delivery of a task attempted again whose input is no JSON", async () => {
    const { gateway, received } = startWithReceiver();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key, { callback_url: hook });
    await finishTask(gateway, key, id);
    expect(received).toHaveLength(1);
    const input = await env.DB.prepare("SELECT input FROM tasks").first("input");
    await set("tasks", "input", garbage, id);
    const delivery = `msg-${id.slice("task-".length)}-c`;
    expect((await gateway.admin("POST", `/webhooks/${delivery}/retry`)).status).toBe(202);
    await set("tasks", "input", input, id);
    gateway.advance(60_000);
    await gateway.tick();
    expect(received).toHaveLength(2);
  });

  it("sets limits anew that are no JSON, and a new secret over former ones that are none", async () => {
    const gateway = startGateway();
    const { id } = await gateway.makeTenant({ webhook: { url: hook } });
    const change = (body: object) => gateway.admin("PATCH", `/tenants/${id}`, body);
    await set("tenants", "limits", garbage, id);
    await expectInternalError(gateway, await change({ name: "Renamed" }), `tenants limits ${id}`);
    expect(await (await change({ limits: { images_per_day: 7 } })).json()).toMatchObject({
      name: "Renamed",
      limits: { images_per_day: 7 },
    });
    await set("tenants", "webhook_secrets_before", garbage, id);
    expect((await change({ webhook: { url: hook, secret: `whsec_${"A".repeat(32)}` } })).status).toBe(200);
  });
});

describe("a tick that finds a row that cannot be read", () => {
  it.each([
    ["while it is polled", "input", "{unreadable contents", "images_asked"],
    ["when its pictures are to be stored", "metadata", "{unreadable contents", "metadata"],
  ])("ends the other tasks, and logs it: %s", async (_when, column, value, field) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const broken = await submitTask(gateway, key);
    const others = [await submitTask(gateway, key), await submitTask(gateway, key)];
    await set("tasks", column, value, broken.id);
    for (const { id } of others) expect((await finishTask(gateway, key, id)).status).toBe("completed");
    expect(new Set(unreadable(gateway))).toEqual(new Set([`tasks ${field} ${broken.id}`]));
    expect(gateway.logs.filter(({ event }) => event === "round_failed")).toEqual([]);
    expect(JSON.stringify(gateway.logs)).not.toContain("unreadable contents");
    expect(await storedKeys()).not.toEqual([]);
  });

  it("ends a task that has lost the upstream's id at its deadline, and logs it once", async () => {
    const gateway = startGateway();
    const { id: tenantId, key } = await gateway.makeTenant({ balance: 1_000 });
    const { id } = await submitTask(gateway, key);
    await set("tasks", "upstream_id", null, id);
    const ended = await finishTask(gateway, key, id, 120);
    expect(ended).toMatchObject({ status: "failed", error: { code: "task_timeout" } });
    expect(unreadable(gateway)).toEqual([`tasks upstream_id ${id}`]);
    expect(await (await gateway.admin("GET", `/tenants/${tenantId}`)).json()).toMatchObject({ held: 0 });
  });

  it("sends the others of those that wait", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const tasks = [await submitTask(gateway, key), await submitTask(gateway, key)];
    const [broken, other] = tasks.map(({ id }) => id) as [string, string];
    await env.DB.prepare(
      "UPDATE tasks SET state = 'queued', due_ms = 0, upstream_id = NULL, submitted_ms = NULL",
    ).run();
    await set("tasks", "metadata", "{unreadable contents", broken);
    gateway.advance(60_000);
    await gateway.tick();
    expect(unreadable(gateway)).toContain(`tasks metadata ${broken}`);
    expect((await finishTask(gateway, key, other)).status).toBe("completed");
  });

  it("erases the others of those that are to be erased", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const tasks = [await submitTask(gateway, key), await submitTask(gateway, key)];
    const [broken, other] = tasks.map(({ id }) => id) as [string, string];
    for (const { id } of tasks) await finishTask(gateway, key, id);
    await env.DB.prepare("UPDATE tasks SET erasure = 'pending', due_ms = 0").run();
    await set("tasks", "images", "{unreadable contents", broken);
    await gateway.tick();
    expect(unreadable(gateway)).toContain(`tasks images ${broken}`);
    const { results } = await env.DB.prepare("SELECT id FROM tasks WHERE erasure = 'done'").all<{
      id: string;
    }>();
    expect(results.map(({ id }) => id)).toEqual([other]);
  });

  it("sends the others of the deliveries that are due", async () => {
    const received: string[] = [];
    const receiver = (request: Request) => {
      received.push(request.headers.get("webhook-id") ?? "");
      return new Response("ok");
    };
    const hosts = { "https://receiver.example": receiver };
    const gateway = startGateway({ hosts });
    const { id: tenantId } = await gateway.makeTenant({ webhook: { url: "https://receiver.example/hook" } });
    const deliveries = { "msg-broken": "{unreadable contents", "msg-other": "{}" };
    for (const [id, data] of Object.entries(deliveries)) {
      await env.DB.prepare(
        `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
         VALUES (?1, ?2, 'webhook', 'balance.low', ?3, ?4, ?4)`,
      )
        .bind(id, tenantId, data, gateway.now())
        .run();
    }
    await gateway.tick();
    expect(received).toEqual(["msg-other"]);
    expect(unreadable(gateway)).toContain("deliveries data msg-broken");
    expect(JSON.stringify(gateway.logs)).not.toContain("unreadable contents");
  });

  describe.each([
    ["prices", '{"wan-2.7-image":"unreadable contents"}', "prices.wan-2.7-image"],
    ["models", "{unreadable contents", "models"],
    ["limits", "{unreadable contents", "limits"],
  ])("of a tenant's %s", (column, value, field) => {
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    const ask = async (gateway: TestGateway, key: string) =>
      (await gateway.post("/v1/images/generations", asked, bearer(key))).status;

    it("revokes its keys, and lets none in until it can be read", async () => {
      const gateway = startGateway();
      const { id, key, keyId } = await gateway.makeTenant();
      const other = await (
        await gateway.admin("POST", `/tenants/${id}/keys`, { name: "b", kind: "secret" })
      ).json<{ key: string }>();
      const bystander = await gateway.makeTenant();
      await submitTask(gateway, key);
      const { stored } = (await env.DB.prepare(`SELECT ${column} AS stored FROM tenants WHERE id = ?1`)
        .bind(id)
        .first<{ stored: unknown }>()) ?? { stored: undefined };
      await set("tenants", column, value, id);
      expect((await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`)).status).toBe(204);
      expect(unreadable(gateway)).toEqual([`tenants ${field} ${id}`]);
      expect(JSON.stringify(gateway.logs)).not.toContain("unreadable contents");
      expect(await ask(gateway, key)).toBe(401);
      expect(await ask(gateway, other.key)).toBe(403);
      expect(await ask(gateway, bystander.key)).toBe(200);
      await set("tenants", column, stored, id);
      gateway.advance(60_000);
      await gateway.tick();
      expect(await ask(gateway, key)).toBe(401);
      expect(await ask(gateway, other.key)).toBe(200);
    });

    it("suspends it", async () => {
      const gateway = startGateway();
      const { id, key } = await gateway.makeTenant();
      await submitTask(gateway, key);
      await set("tenants", column, value, id);
      await gateway.admin("PATCH", `/tenants/${id}`, { status: "suspended" });
      expect(await ask(gateway, key)).toBe(403);
    });
  });

  it("revokes a key of a tenant whose settings cannot be read and whose version was restored to an earlier one", async () => {
    const gateway = startGateway();
    const { id, key, keyId } = await gateway.makeTenant();
    for (const name of ["A", "B", "C"]) await gateway.admin("PATCH", `/tenants/${id}`, { name });
    await submitTask(gateway, key);
    await set("tenants", "prices", garbage, id);
    await set("tenants", "config_version", 1, id);
    await set("tenants", "pushed_version", 1, id);
    expect((await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`)).status).toBe(204);
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    expect((await gateway.post("/v1/images/generations", asked, bearer(key))).status).toBe(401);
  });

  it("revokes a key of a tenant whose version is no number", async () => {
    const gateway = startGateway();
    const { id, key, keyId } = await gateway.makeTenant();
    await submitTask(gateway, key);
    await set("tenants", "config_version", "unreadable contents", id);
    expect((await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`)).status).toBe(204);
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    expect((await gateway.post("/v1/images/generations", asked, bearer(key))).status).toBe(401);
  });

  it("revokes a key that it cannot read", async () => {
    const gateway = startGateway();
    const { id, key, keyId } = await gateway.makeTenant();
    await submitTask(gateway, key);
    await set("keys", "scopes", "{unreadable contents", keyId);
    expect((await gateway.admin("DELETE", `/tenants/${id}/keys/${keyId}`)).status).toBe(204);
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    expect((await gateway.post("/v1/images/generations", asked, bearer(key))).status).toBe(401);
  });

  it("ends tasks all the same where a tenant's events cannot be read, and sends its own once they can", async () => {
    const { gateway, received } = startWithReceiver();
    const [broken, other] = [
      await gateway.makeTenant({ webhook: { url: hook } }),
      await gateway.makeTenant({ balance: 100 }),
    ];
    await set("tenants", "webhook_events", garbage, broken.id);
    const failing = { prompt: "a lighthouse [sim:fail=generation_failed]" };
    const unsent = await submitTask(gateway, broken.key, failing);
    const { id } = await submitTask(gateway, other.key, failing);
    expect((await finishTask(gateway, other.key, id)).status).toBe("failed");
    gateway.advance(60_000);
    await gateway.tick();
    expect(received).toEqual([]);
    const delivery = `msg-${unsent.id.slice("task-".length)}-w`;
    expect(new Set(unreadable(gateway))).toEqual(new Set([`deliveries webhook_events ${delivery}`]));
    expect(failedEvents(gateway)).toEqual([]);
    await set("tenants", "webhook_events", '["task.failed"]', broken.id);
    gateway.advance(60_000);
    await gateway.tick();
    expect(received.map(({ id: sent }) => sent)).toEqual([delivery]);
  });

  it("takes a submit that makes the balance low where the events cannot be read", async () => {
    const { gateway } = startWithReceiver();
    const { id, key } = await gateway.makeTenant({ webhook: { url: hook }, balance: 100, low_balance: 90 });
    await set("tenants", "webhook_events", garbage, id);
    await submitTask(gateway, key);
  });

  it("polls the others, and those of a work item that it cannot read", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key);
    await env.DB.prepare("INSERT INTO work_items (name, task_ids, until_ms) VALUES ('poll:1:x', ?1, ?2)")
      .bind(garbage, gateway.now() + 86_400_000)
      .run();
    expect((await finishTask(gateway, key, id)).status).toBe("completed");
    expect(failedEvents(gateway)).toEqual([]);
  });

  it("pushes a tenant without the key that it cannot read, which is refused", async () => {
    const gateway = startGateway();
    const { id, key, keyId } = await gateway.makeTenant();
    const other = await (
      await gateway.admin("POST", `/tenants/${id}/keys`, { name: "b", kind: "secret" })
    ).json<{ key: string }>();
    await set("keys", "scopes", "{unreadable contents", keyId);
    expect((await gateway.admin("PATCH", `/tenants/${id}`, { limits: { images_per_day: 1 } })).status).toBe(
      200,
    );
    expect(unreadable(gateway)).toEqual([`keys scopes ${keyId}`]);
    await submitTask(gateway, other.key);
    const asked = { model: "wan-2.7-image", prompt: "a lighthouse" };
    expect((await gateway.post("/v1/images/generations", asked, bearer(other.key))).status).toBe(429);
    expect((await gateway.post("/v1/images/generations", asked, bearer(key))).status).toBe(401);
  });
});
