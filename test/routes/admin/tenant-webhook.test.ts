/**
 * A tenant's webhook as the operator sets it: where it may lead, that its secret is shown this once, and what a change
 * does to the secret, to the events that are sent and to their receiver.
 */
import { describe, expect, it } from "vitest";
import { formatSecret } from "../../../src/domain/webhooks.ts";
import { allEvents } from "../../helpers/contract.ts";
import {
  endTask,
  expectHidden,
  ownDeliveries,
  readAuditLog,
  signatures,
  startReceiver,
  toCallback,
  toWebhook,
  verifies,
} from "../../helpers/delivery-receiver.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

interface Hook {
  url: string | null;
  events: string[];
  status: string;
  secret?: string;
}
interface Shown {
  id: string;
  webhook: Hook;
}

const receiver = startReceiver();
const other = startReceiver("https://other.example");
const gateway = startGateway({ hosts: { ...receiver.hosts, ...other.hosts } });
const givenSecret = (first: number) => formatSecret(new Uint8Array(32).fill(first));
const hidden = "hidden-in-the-path";
const day = 86_400_000;

async function shown(response: Response, status: number): Promise<Hook & { tenantId: string }> {
  expect(response.status).toBe(status);
  expect(response.headers.get("cache-control")).toBe("no-store");
  const { id, webhook }: Shown = await response.json();
  return { ...webhook, tenantId: id };
}
const make = async (webhook?: unknown) =>
  shown(await gateway.admin("POST", "/tenants", { name: "Shop", webhook }), 201);
const change = async (id: string, body: object) =>
  shown(await gateway.admin("PATCH", `/tenants/${id}`, body), 200);

async function tenantWith(webhook: object | null) {
  const { secret = "", tenantId } = await make(webhook);
  const made = await gateway.admin("POST", `/tenants/${tenantId}/keys`, { name: "test", kind: "secret" });
  const { key } = (await made.json()) as { key: string };
  return { id: tenantId, key, secret };
}

/** Has a task of the tenant's end, and gives what its webhook received about it. */
async function nextSent(key: string, fields: object = {}) {
  const taskId = await endTask(gateway, key, fields);
  return [...receiver.received, ...other.received].find(
    ({ headers }) => headers["webhook-id"] === toWebhook(taskId),
  );
}

describe("the secret of a webhook", () => {
  it("is taken when it is given", async () => {
    const secret = givenSecret(1);
    expect(await make({ url: receiver.url, secret })).toMatchObject({ url: receiver.url, secret });
  });

  it("is made when it is left out, and another one for each", async () => {
    const [first, second] = [await make({ url: receiver.url }), await make({ url: receiver.url })];
    for (const { secret } of [first, second]) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(first.secret).not.toBe(second.secret);
  });

  it("is one that a tenant has from its creation, webhook or not, which signs its tasks' callbacks", async () => {
    const { key, secret } = await tenantWith(null);
    const taskId = await endTask(gateway, key, { callback_url: other.url });
    const sent = other.received.find(({ headers }) => headers["webhook-id"] === toCallback(taskId));
    expect(sent && verifies(sent, secret)).toBe(true);
    expect(sent && verifies(sent, givenSecret(1))).toBe(false);
  });

  it.each([
    ["given", givenSecret(2)],
    ["made", undefined],
  ])("is shown once and never again, nor is the URL's path in any log: %s", async (_what, given) => {
    const url = `${receiver.url}/${hidden}`;
    const { id, key, secret } = await tenantWith({ url, secret: given });
    expect(secret).not.toBe("");
    await nextSent(key);
    const text = async (response: Response | Promise<Response>) => (await response).text();
    const own = (path: string) => text(gateway.fetch(path, { headers: bearer(key) }));
    const replies = [
      await text(gateway.admin("GET", `/tenants/${id}`)),
      await text(gateway.admin("GET", "/tenants?limit=100")),
      await text(gateway.admin("PATCH", `/tenants/${id}`, { name: "Renamed" })),
      await text(gateway.admin("PATCH", `/tenants/${id}`, { webhook: { url } })),
      await text(gateway.admin("GET", `/webhooks?tenant=${id}`)),
      await own("/v1/webhook"),
      await own("/v1/webhook/deliveries"),
    ];
    expect(replies[5]).toContain(hidden);
    await expectHidden(gateway, replies, [secret]);
    await expectHidden(gateway, [], [hidden]);
  });
});

describe("changing a webhook", () => {
  it("keeps the secret when only the URL or the events change", async () => {
    const { id, key, secret } = await tenantWith({ url: receiver.url, events: ["task.failed"] });
    const changed = await change(id, { webhook: { url: other.url } });
    expect(changed).toEqual({
      tenantId: id,
      object: "webhook",
      url: other.url,
      events: allEvents,
      status: "on",
      disabled: null,
      notify_url: null,
    });
    const sent = await nextSent(key);
    expect(sent?.url).toBe(other.url);
    expect(signatures(sent)).toHaveLength(1);
    expect(sent && verifies(sent, secret)).toBe(true);
  });

  it("leaves it alone when it is left out", async () => {
    const { id } = await tenantWith({ url: receiver.url, events: ["task.failed"] });
    const expected = { url: receiver.url, events: ["task.failed"], status: "on" };
    expect(await change(id, { name: "Renamed" })).toMatchObject(expected);
    const response = await gateway.admin("GET", `/tenants/${id}`);
    expect(((await response.json()) as Shown).webhook).toMatchObject(expected);
  });

  it("to null removes it: what still waited is dropped, and nothing more is sent", async () => {
    const { id, key } = await tenantWith({ url: receiver.url });
    receiver.status = 500;
    const waiting = await endTask(gateway, key);
    receiver.status = 200;
    expect(await change(id, { webhook: null })).toMatchObject({ url: null, status: "off" });
    const before = receiver.received.length;
    await endTask(gateway, key);
    gateway.advance(10_000);
    await gateway.tick();
    expect(receiver.received).toHaveLength(before);
    const { data } = await ownDeliveries(gateway, key);
    expect(data).toMatchObject([{ id: toWebhook(waiting), status: "dropped", next_attempt_at: null }]);
  });

  it("signs with the old secret too for 24 hours, then with the new one alone", async () => {
    const { id, key, secret: old } = await tenantWith({ url: receiver.url });
    const fresh = givenSecret(3);
    const body = { webhook: { url: receiver.url, secret: fresh } };
    expect(await change(id, body)).toMatchObject({ secret: fresh });
    gateway.advance(day - 1);
    const during = await nextSent(key);
    expect(signatures(during)).toHaveLength(2);
    for (const secret of [old, fresh]) expect(during && verifies(during, secret)).toBe(true);
    gateway.advance(1);
    const after = await nextSent(key);
    expect(signatures(after)).toHaveLength(1);
    expect([old, fresh].map((secret) => after && verifies(after, secret))).toEqual([false, true]);
  });

  it("to the secret that it has already leaves the old one's day as it was", async () => {
    const { id, key, secret: old } = await tenantWith({ url: receiver.url });
    const body = { webhook: { url: receiver.url, secret: givenSecret(4) } };
    await change(id, body);
    gateway.advance(day / 2);
    await change(id, body);
    const during = await nextSent(key);
    expect(signatures(during)).toHaveLength(2);
    expect(during && verifies(during, old)).toBe(true);
    gateway.advance(day / 2);
    expect(signatures(await nextSent(key))).toHaveLength(1);
  });

  it("to one secret after another has the newest four sign at the most: headers have an end", async () => {
    const { id, key, secret: first } = await tenantWith({ url: receiver.url });
    const secrets = [first, ...[11, 12, 13, 14].map(givenSecret)];
    for (const secret of secrets.slice(1)) await change(id, { webhook: { url: receiver.url, secret } });
    const during = await nextSent(key);
    expect(signatures(during)).toHaveLength(4);
    expect(secrets.map((secret) => during && verifies(during, secret))).toEqual([
      false,
      true,
      true,
      true,
      true,
    ]);
  });

  it("leaves a line that names the origin and hides the rest", async () => {
    const { id } = await tenantWith(null);
    gateway.advance(1);
    await change(id, { webhook: { url: `${receiver.url}/${hidden}`, secret: givenSecret(5) } });
    expect((await readAuditLog(gateway)).find(({ subject }) => subject === id)).toMatchObject({
      act: "tenant.change",
      actor: "admin",
      details: { webhook: { origin: "https://hooks.example", secret: "…" } },
    });
  });

  it("of a tenant that is not there, or not any more, is not found", async () => {
    const { id } = await tenantWith({ url: receiver.url });
    await gateway.admin("DELETE", `/tenants/${id}`);
    for (const gone of ["no-such", id]) {
      for (const webhook of [{ url: other.url }, null]) {
        await expectError(await gateway.admin("PATCH", `/tenants/${gone}`, { webhook }), "not_found");
      }
    }
  });
});

describe("the events of a webhook", () => {
  it("are all that it receives", async () => {
    const { id, key } = await tenantWith({ url: receiver.url, events: ["task.completed"] });
    expect(await nextSent(key)).toBeUndefined();
    await change(id, { webhook: { url: receiver.url, events: ["task.failed", "balance.low"] } });
    expect(JSON.parse((await nextSent(key))?.body ?? "{}")).toMatchObject({ type: "task.failed" });
  });
});

describe("a deleted tenant", () => {
  it("receives nothing any more, at its webhook or at a callback", async () => {
    const { id, key } = await tenantWith({ url: receiver.url });
    [receiver.status, other.status] = [500, 500];
    const taskId = await endTask(gateway, key, { callback_url: other.url });
    [receiver.status, other.status] = [200, 200];
    const before = [receiver.received.length, other.received.length];
    expect((await gateway.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
    gateway.advance(5_000);
    // Before cron erases the task.
    await gateway.invocation().lanes.start("deliver", 0);
    expect([receiver.received.length, other.received.length]).toEqual(before);
    const log = await gateway.admin("GET", `/webhooks?tenant=${id}&task=${taskId}`);
    const { data } = (await log.json()) as { data: { status: string }[] };
    expect(data.map(({ status }) => status)).toEqual(["dropped", "dropped"]);
  });
});
