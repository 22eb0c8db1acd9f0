/** What the tests of webhooks share: receivers that record what they receive, ends of tasks, and the log. */
import { Webhook } from "standardwebhooks";
import { expect, vi } from "vitest";
import { bearer, type GatewayOptions, submitTask, type TestGateway } from "./gateway.ts";

export interface Received {
  url: string;
  headers: Record<string, string>;
  body: string;
}

export interface Receiver {
  url: string;
  received: Received[];
  /** What it answers from now on. */
  status: number;
  hosts: NonNullable<GatewayOptions["hosts"]>;
}

/** Stands in for who listens at this origin, on whatever path. */
export function startReceiver(origin = "https://hooks.example"): Receiver {
  const receiver: Receiver = {
    url: `${origin}/in`,
    received: [],
    status: 200,
    hosts: {
      [origin]: async (request) => {
        const headers = Object.fromEntries(request.headers);
        receiver.received.push({ url: request.url, headers, body: await request.text() });
        return new Response(null, { status: receiver.status });
      },
    },
  };
  return receiver;
}

/** Whether a receiver with this secret takes what it received for the gateway's. */
export function verifies({ headers, body }: Received, secret: string): boolean {
  const clock = vi.spyOn(Date, "now").mockReturnValue(Number(headers["webhook-timestamp"]) * 1000);
  try {
    new Webhook(secret).verify(body, headers);
    return true;
  } catch {
    return false;
  } finally {
    clock.mockRestore();
  }
}

export const signatures = (received: Received | undefined) =>
  received?.headers["webhook-signature"]?.split(" ") ?? [];

/** Has a task end, so that there is an event. */
export async function endTask(gateway: TestGateway, key: string, fields: object = {}): Promise<string> {
  const { id } = await submitTask(gateway, key, fields);
  const response = await gateway.admin("POST", `/tasks/${id}/fail`);
  expect(response.status).toBe(200);
  return id;
}

/** Under which ids a task's end is sent to the tenant's webhook, and to its own callback. */
export const toWebhook = (taskId: string) => `msg-${taskId.slice("task-".length)}-w`;
export const toCallback = (taskId: string) => `msg-${taskId.slice("task-".length)}-c`;

export interface ShownDelivery {
  id: string;
  tenant: string;
  task: string | null;
  target: string;
  status: string;
  attempts: number;
  next_attempt_at: number | null;
  last_status: number | null;
  last_error: string | null;
}

interface Page {
  object: string;
  data: ShownDelivery[];
  next_cursor: string | null;
}

export async function ownDeliveries(gateway: TestGateway, key: string, query = ""): Promise<Page> {
  const response = await gateway.fetch(`/v1/webhook/deliveries${query}`, { headers: bearer(key) });
  expect(response.status).toBe(200);
  return response.json();
}

/** Reads a log page by page, to its end. @param read Reads the page that a query asks for. */
export async function pagesOf(
  read: (query: string) => Promise<Page>,
  limit: number,
): Promise<ShownDelivery[][]> {
  const pages: ShownDelivery[][] = [];
  let cursor: string | null = "";
  while (cursor !== null && pages.length < 50) {
    const page: Page = await read(`?limit=${limit}${cursor && `&cursor=${cursor}`}`);
    expect(page.object).toBe("list");
    pages.push(page.data);
    cursor = page.next_cursor;
  }
  expect(cursor).toBeNull();
  return pages;
}

export interface ShownAuditEntry {
  actor: string;
  act: string;
  tenant: string | null;
  subject: string | null;
  details: Record<string, unknown>;
}

/** The audit log, newest first. */
export async function readAuditLog(gateway: TestGateway): Promise<ShownAuditEntry[]> {
  const response = await gateway.admin("GET", "/audit?acts_limit=100");
  return ((await response.json()) as { acts: { data: ShownAuditEntry[] } }).acts.data;
}

/** Expects that none of the texts is in any reply, in the audit log or in the gateway's log. */
export async function expectHidden(
  gateway: TestGateway,
  replies: string[],
  secrets: string[],
): Promise<void> {
  const everything = [...replies, JSON.stringify(await readAuditLog(gateway)), JSON.stringify(gateway.logs)];
  for (const secret of secrets) {
    for (const text of everything) expect(text).not.toContain(secret.replace("whsec_", ""));
  }
}
