/** A tenant with a webhook, as tests of it need one: its tasks, its own routes, and its delivery log. */
import { Webhook } from "standardwebhooks";
import { expect, vi } from "vitest";
import { type BuiltGateway, read, submit } from "./built-gateway.ts";
import type { Received } from "./http-receiver.ts";

interface Delivery {
  id: string;
  event: string;
  target: string;
  status: string;
  attempts: number;
  next_attempt_at: number | null;
  last_attempt_at: number | null;
  last_status: number | null;
  last_error: string | null;
}

export type NotifiedTenant = Awaited<ReturnType<typeof makeNotifiedTenant>>;

/** Makes a tenant. @param url Its webhook's; null: it has none. */
export async function makeNotifiedTenant(gateway: BuiltGateway, url: string | null, settings: object = {}) {
  const webhook = url === null ? undefined : { url };
  const made = await gateway.admin("POST", "/tenants", { name: "E2E", webhook, ...settings });
  const tenant = (await made.json()) as { id: string; webhook: { secret: string } };
  const keyMade = await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "e2e", kind: "secret" });
  const { key } = (await keyMade.json()) as { key: string };
  const call = async <Reply>(method: string, route: string, body?: object): Promise<Reply> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const response = await fetch(`${gateway.url}/v1${route}`, init);
    expect(response.ok, `${method} ${route}`).toBe(true);
    return (await response.json()) as Reply;
  };
  return {
    key,
    secret: tenant.webhook.secret,
    call,
    /** Submits a task, and waits until the gateway has written down what the upstream said. */
    async start(prompt: string, body: object = {}): Promise<string> {
      const { id } = (await (await submit(gateway, key, { prompt, ...body })).json()) as { id: string };
      await vi.waitUntil(
        () => isThere(gateway, `tasks WHERE id = '${id}' AND state <> 'submitting'`),
        patience,
      );
      return id;
    },
    /** A task as its receivers get it: as a read shows it, without what was asked and the signed link. */
    async notified(id: string): Promise<object> {
      const shown = (await (await read(gateway, key, id)).json()) as { input: object; links: object };
      const { input, links, ...task } = shown;
      expect([input, links]).toMatchObject([{ n: 1 }, { events: expect.any(String) }]);
      return { ...task, links: { self: `${gateway.url}/v1/tasks/${id}` } };
    },
    /** The log of a task's deliveries, once nothing of it is being sent any more. */
    async log(id: string): Promise<Delivery[]> {
      const sending = `deliveries WHERE task_id = '${id}' AND (state = 'sending' OR attempts = 0)`;
      await vi.waitUntil(async () => !(await isThere(gateway, sending)), patience);
      return (await call<{ data: Delivery[] }>("GET", `/webhook/deliveries?task=${id}`)).data;
    },
  };
}

const patience = { timeout: 20_000, interval: 20 };

export async function query(gateway: BuiltGateway, sql: string): Promise<Record<string, unknown>[]> {
  const { DB } = await gateway.bindings();
  return (await DB.prepare(sql).all()).results;
}

async function isThere(gateway: BuiltGateway, what: string): Promise<boolean> {
  return (await query(gateway, `SELECT 1 FROM ${what} LIMIT 1`)).length > 0;
}

/** What a receiver does with what comes: throws when it is not from the gateway. */
export function verify(secret: string, { body, headers }: Pick<Received, "body" | "headers">): unknown {
  return new Webhook(secret).verify(body, headers);
}
