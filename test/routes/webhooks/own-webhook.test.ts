/** `/v1/webhook`: a tenant's server sees to its own webhook. No key that a page could hold, or of images only, does. */
import { beforeAll, describe, expect, it } from "vitest";
import { formatSecret } from "../../../src/domain/webhooks.ts";
import { allEvents as events } from "../../helpers/contract.ts";
import {
  endTask,
  expectHidden,
  ownDeliveries,
  readAuditLog,
  signatures,
  startReceiver,
  toWebhook,
  verifies,
} from "../../helpers/delivery-receiver.ts";
import { bearer, origin, startGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey, mintToken, page } from "../../helpers/page-visitor.ts";
import { expectError, makeKey } from "../../helpers/routes.ts";

const receiver = startReceiver();
const gateway = startGateway({ hosts: receiver.hosts });

interface Hook {
  notify_url: string | null;
  object: string;
  url: string | null;
  events: string[];
  status: string;
  secret?: string;
}

function ask(key: string, method: string, path = "", body?: object, more: Record<string, string> = {}) {
  const headers = { ...bearer(key), ...more };
  const init = body
    ? { headers: { ...headers, "content-type": "application/json" }, body: JSON.stringify(body) }
    : { headers };
  return gateway.fetch(`/v1/webhook${path}`, { method, ...init });
}

async function shown(response: Response): Promise<Hook> {
  expect(response.status).toBe(200);
  return response.json();
}
const readHook = async (key: string) => shown(await ask(key, "GET"));

/** Sets what may hold a secret, which no cache may keep. */
async function set(key: string, body: object, method = "PUT", path = ""): Promise<Hook> {
  const response = await ask(key, method, path, body);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return shown(response);
}

/** Has a task end, and gives what the webhook received about it. */
async function nextSent(key: string) {
  const taskId = await endTask(gateway, key);
  return receiver.received.find(({ headers }) => headers["webhook-id"] === toWebhook(taskId));
}

const notDisabled = { disabled: null, notify_url: null };

describe("a tenant's webhook", () => {
  it("is off until it is set, which shows its secret this once", async () => {
    const { key } = await gateway.makeTenant();
    expect(await readHook(key)).toEqual({
      object: "webhook",
      url: null,
      events,
      status: "off",
      ...notDisabled,
    });
    const { secret = "", ...hook } = await set(key, { url: receiver.url });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(hook).toEqual({ object: "webhook", url: receiver.url, events, status: "on", ...notDisabled });
    expect(await readHook(key)).toEqual(hook);
    const sent = await nextSent(key);
    expect(sent && verifies(sent, secret)).toBe(true);
    const again = JSON.stringify(await set(key, { url: receiver.url, events }));
    await expectHidden(gateway, [again, JSON.stringify(await ownDeliveries(gateway, key))], [secret]);
  });

  it.each(["PUT", "PATCH"])("is set by %s with the secret and the events that are given", async (method) => {
    const { key } = await gateway.makeTenant();
    const secret = formatSecret(new Uint8Array(24).fill(9));
    const wanted = { url: receiver.url, events: ["task.failed"], secret };
    expect(await set(key, wanted, method)).toEqual({
      object: "webhook",
      ...wanted,
      status: "on",
      ...notDisabled,
    });
    const sent = await nextSent(key);
    expect(sent && verifies(sent, secret)).toBe(true);
  });

  it.each(["PUT", "PATCH"])("keeps its secret when %s gives none", async (method) => {
    const { key } = await gateway.makeTenant();
    const { secret = "" } = await set(key, { url: "https://before.example/in" });
    // Until then what the tenant began with signs as well.
    gateway.advance(86_400_000);
    expect(await set(key, { url: receiver.url }, method)).not.toHaveProperty("secret");
    const sent = await nextSent(key);
    expect(signatures(sent)).toHaveLength(1);
    expect(sent && verifies(sent, secret)).toBe(true);
  });

  it("is set as a whole by PUT, and changed in part by PATCH", async () => {
    const { key } = await gateway.makeTenant();
    await expectError(await ask(key, "PATCH", "", { events: ["task.failed"] }), "invalid_request", "url");
    await expectError(await ask(key, "PUT", "", { events: ["task.failed"] }), "invalid_request", "url");
    await set(key, { url: receiver.url, events: ["task.failed"] });
    expect(await set(key, { url: "https://moved.example/in" }, "PATCH")).toMatchObject({
      url: "https://moved.example/in",
      events: ["task.failed"],
    });
    expect(await set(key, { events: ["balance.low"] }, "PATCH")).toMatchObject({
      url: "https://moved.example/in",
      events: ["balance.low"],
    });
    expect(await set(key, { url: receiver.url }, "PUT")).toMatchObject({ events });
  });

  it("keeps its second address until that is changed, removed, or the webhook is", async () => {
    const { key } = await gateway.makeTenant();
    const url = receiver.url;
    const notify_url = "https://notify.example/in";
    const sets = [{ url, notify_url }, { url }, { url, notify_url: null }, { url, notify_url }];
    const found = [];
    for (const body of sets) found.push((await set(key, body)).notify_url);
    expect(found).toEqual([notify_url, notify_url, null, notify_url]);
    await ask(key, "DELETE");
    expect((await readHook(key)).notify_url).toBeNull();
  });

  it("that is removed leaves nothing that waits for the next one", async () => {
    const { key } = await gateway.makeTenant();
    await set(key, { url: "https://unused.example/in" });
    await nextSent(key);
    const states = async () => (await ownDeliveries(gateway, key)).data.map(({ status }) => status);
    expect(await states()).toEqual(["pending"]);
    await ask(key, "DELETE");
    expect(await states()).toEqual(["dropped"]);
  });

  it("is removed, and then nothing is sent, until it is set again with a new secret", async () => {
    const { key } = await gateway.makeTenant();
    const { secret: first } = await set(key, { url: receiver.url, events: ["task.failed"] });
    for (let times = 0; times < 2; times++) {
      const removed = await ask(key, "DELETE");
      expect([removed.status, await removed.text()]).toEqual([204, ""]);
    }
    expect(await readHook(key)).toEqual({
      object: "webhook",
      url: null,
      events,
      status: "off",
      ...notDisabled,
    });
    expect(await nextSent(key)).toBeUndefined();
    const { secret: second = "" } = await set(key, { url: receiver.url });
    expect(second).toMatch(/^whsec_/);
    expect(second).not.toBe(first);
    expect(await nextSent(key)).toBeDefined();
  });

  it.each([
    ["url", { url: "http://hooks.example/in" }],
    ["url", { url: "https://192.168.1.1/in" }],
    ["url", { url: null }],
    ["url", { url: `${origin}/in` }],
    ["url", { url: "https://gateway.example.:8443/in" }],
    ["events", { url: receiver.url, events: [] }],
    ["events", { url: receiver.url, events: ["task.done"] }],
    ["secret", { url: receiver.url, secret: "whsec_short" }],
    ["status", { url: receiver.url, status: "on" }],
    ["notify_url", { url: receiver.url, notify_url: "http://notify.example/in" }],
    ["notify_url", { url: receiver.url, notify_url: `${origin}/in` }],
  ])("is refused, and stays as it was, for a bad %s: %j", async (field, body) => {
    const { key } = await gateway.makeTenant({ webhook: { url: receiver.url, events: ["balance.low"] } });
    const before = [await readHook(key), await readAuditLog(gateway)];
    for (const method of ["PUT", "PATCH"]) {
      await expectError(await ask(key, method, "", body), "invalid_request", field);
    }
    expect([await readHook(key), await readAuditLog(gateway)]).toEqual(before);
  });

  it("leaves lines in the audit log that name the key and hide URL and secret", async () => {
    const tenant = await gateway.makeTenant();
    const { secret = "" } = await set(tenant.key, { url: `${receiver.url}/a-path-of-its-own` });
    gateway.advance(1);
    const rotated = await set(tenant.key, {}, "POST", "/rotate");
    gateway.advance(1);
    await ask(tenant.key, "DELETE");
    const lines = (await readAuditLog(gateway)).filter((act) => act.actor === tenant.keyId);
    expect(lines).toMatchObject([
      { act: "tenant.change", subject: tenant.id, details: { webhook: { origin: null, events: null } } },
      { act: "tenant.change", subject: tenant.id, details: { webhook: { secret: "…" } } },
      { act: "tenant.change", details: { webhook: { origin: "https://hooks.example", secret: "…" } } },
    ]);
    await expectHidden(gateway, [], [secret, rotated.secret ?? "", "a-path-of-its-own"]);
  });
});

describe("rotating the secret", () => {
  it("gives a new one; both sign for the overlap, then the new one alone", async () => {
    const { key } = await gateway.makeTenant();
    const { secret: old = "" } = await set(key, { url: receiver.url });
    const rotated = await set(key, { overlap_seconds: 600 }, "POST", "/rotate");
    const { secret: fresh = "" } = rotated;
    expect(rotated).toMatchObject({ url: receiver.url, events, status: "on", ...notDisabled });
    expect(fresh).not.toBe(old);
    gateway.advance(599_999);
    const during = await nextSent(key);
    expect([old, fresh].map((secret) => during && verifies(during, secret))).toEqual([true, true]);
    gateway.advance(1);
    const after = await nextSent(key);
    expect([old, fresh].map((secret) => after && verifies(after, secret))).toEqual([false, true]);
  });

  it("without an overlap ends the old one at once", async () => {
    const { key } = await gateway.makeTenant();
    const { secret: old = "" } = await set(key, { url: receiver.url });
    await set(key, { overlap_seconds: 0 }, "POST", "/rotate");
    const sent = await nextSent(key);
    expect(signatures(sent)).toHaveLength(1);
    expect(sent && verifies(sent, old)).toBe(false);
  });

  it("overlaps by a day when nothing is said, and needs no webhook: callbacks are signed too", async () => {
    const { key } = await gateway.makeTenant();
    expect(await set(key, {}, "POST", "/rotate")).toMatchObject({ url: null, status: "off" });
    await set(key, { url: receiver.url, secret: formatSecret(new Uint8Array(32).fill(8)) });
    await set(key, {}, "POST", "/rotate");
    gateway.advance(86_399_999);
    // The one that the tenant began with, and each that took over since: a holder of any of them can verify.
    expect(signatures(await nextSent(key))).toHaveLength(4);
    gateway.advance(1);
    expect(signatures(await nextSent(key))).toHaveLength(1);
  });

  it.each([-1, 2_592_001, 0.5, "60", null])("refuses an overlap of %j", async (overlap_seconds) => {
    const { key } = await gateway.makeTenant();
    const response = await ask(key, "POST", "/rotate", { overlap_seconds });
    await expectError(response, "invalid_request", "overlap_seconds");
  });
});

describe("who may see to a webhook", () => {
  let tenant = { id: "", key: "" };
  let delivery = "";
  beforeAll(async () => {
    tenant = await gateway.makeTenant({ webhook: { url: receiver.url } });
    delivery = toWebhook(await endTask(gateway, tenant.key));
  });

  const calls = (): [string, string, object?][] => [
    ["GET", ""],
    ["GET", "/deliveries"],
    ["PUT", "", { url: "https://taken-over.example/in" }],
    ["PATCH", "", { url: "https://taken-over.example/in" }],
    ["POST", "/rotate", {}],
    ["POST", `/deliveries/${delivery}/retry`, {}],
    ["POST", "/deliveries/msg-nobodys/retry", {}],
    ["DELETE", ""],
  ];

  const life = { ttl_seconds: 600 };
  it.each<[string, () => Promise<string>]>([
    [
      "a secret key of scope images",
      async () => (await makeKey(gateway, tenant.id, { scopes: ["images"] })).key,
    ],
    ["a browser key", async () => (await makeBrowserKey(gateway, tenant.id)).key],
    ["a client token", () => mintToken(gateway, tenant.key, life)],
    ["an end user's token", () => mintToken(gateway, tenant.key, { ...life, end_user: "ada" })],
  ])("is not %s", async (what, keyOf) => {
    const key = await keyOf();
    const from: Record<string, string> = what.startsWith("a secret") ? {} : page;
    const before = [await readHook(tenant.key), receiver.received.length, await readAuditLog(gateway)];
    for (const [method, path, body] of calls()) {
      await expectError(await ask(key, method, path, body, from), "scope_denied");
    }
    expect([await readHook(tenant.key), receiver.received.length, await readAuditLog(gateway)]).toEqual(
      before,
    );
  });

  it("is a secret key of scope manage, with images or without", async () => {
    for (const scopes of [["manage"], ["images", "manage"]]) {
      const { key } = await makeKey(gateway, tenant.id, { scopes });
      for (const [method, path, body] of calls()) {
        const response = await ask(key, method, path, body);
        if (path.includes("nobodys")) await expectError(response, "not_found");
        else expect([method, path, response.ok]).toEqual([method, path, true]);
      }
    }
  });

  it("needs a key", async () => {
    for (const [method, path] of calls()) {
      await expectError(await gateway.fetch(`/v1/webhook${path}`, { method }), "missing_key");
    }
  });
});
