/** What the tests of the HTTP side share: the error table as callers know it, recorded calls to bindings, pictures. */
import { env } from "cloudflare:workers";
import { parseList } from "structured-headers";
import { expect } from "vitest";
import { type Around, bearer, clearTasks, finishTask, submitTask, type TestGateway } from "./gateway.ts";

export const generations = "/v1/images/generations";
export const goodBody = { model: "wan-2.7-image", prompt: "a lighthouse at dusk" };

/** Written down a second time on purpose: a table taken from the sources would agree with any mistake in them. */
export const errorTable = {
  invalid_json: [400, "invalid_request_error"],
  invalid_request: [400, "invalid_request_error"],
  content_policy_violation: [400, "invalid_request_error"],
  invalid_parameters: [400, "invalid_request_error"],
  invalid_media_url: [400, "invalid_request_error"],
  missing_key: [401, "authentication_error"],
  invalid_key: [401, "authentication_error"],
  insufficient_balance: [402, "insufficient_quota"],
  origin_not_allowed: [403, "permission_error"],
  secret_key_in_browser: [403, "permission_error"],
  model_not_allowed: [403, "permission_error"],
  token_spent: [403, "permission_error"],
  scope_denied: [403, "permission_error"],
  tenant_suspended: [403, "permission_error"],
  not_found: [404, "invalid_request_error"],
  task_not_found: [404, "invalid_request_error"],
  method_not_allowed: [405, "invalid_request_error"],
  key_limit: [409, "conflict_error"],
  already_exists: [409, "conflict_error"],
  tenant_busy: [409, "conflict_error"],
  deleted: [410, "invalid_request_error"],
  task_not_cancellable: [409, "conflict_error"],
  balance_held: [409, "conflict_error"],
  idempotency_in_progress: [409, "conflict_error"],
  task_not_finished: [409, "conflict_error"],
  idempotency_key_reused: [422, "invalid_request_error"],
  too_many_tasks: [429, "rate_limit_error"],
  quota_exceeded: [429, "rate_limit_error"],
  body_too_large: [413, "invalid_request_error"],
  unsupported_media_type: [415, "invalid_request_error"],
  range_not_satisfiable: [416, "invalid_request_error"],
  rate_limited: [429, "rate_limit_error"],
  internal_error: [500, "api_error"],
  misconfigured: [500, "api_error"],
  upstream_rejected: [502, "upstream_error"],
  migrations_missing: [503, "api_error"],
  unavailable: [503, "api_error"],
} as const;

export type Code = keyof typeof errorTable;

const neverRetried = ["insufficient_balance", "quota_exceeded", "upstream_rejected"];

/** Expects exactly this error: status, the whole envelope and the headers of every error. Gives its message. */
export async function expectError(
  response: Response,
  code: Code,
  param: string | null = null,
  charged: "no" | "held" | "yes" | "unknown" = "no",
): Promise<string> {
  const text = await response.text();
  const [status, type] = errorTable[code];
  expect({ status: response.status, text }).toMatchObject({ status, text: expect.stringContaining(code) });
  const body = JSON.parse(text) as { error: { message: string } };
  expect(body).toEqual({
    error: {
      code,
      message: expect.stringMatching(/\S/),
      type,
      param,
      retryable: expect.any(Boolean),
      charged,
    },
    request_id: response.headers.get("x-request-id"),
  });
  expect(response.headers.get("content-type")).toMatch(/^application\/json\b/);
  expect(response.headers.get("access-control-allow-origin")).toBe("*");
  expect(response.headers.get("x-should-retry")).toBe(
    neverRetried.includes(code) || status === 403 || ["held", "yes"].includes(charged) ? "false" : null,
  );
  return body.error.message;
}

/** The reply to a submission that may have made a task. @returns the id that the task has, if there is one. */
export async function expectUnknown(response: Response): Promise<string> {
  const body = await response.json();
  expect({ status: response.status, body }).toMatchObject({
    status: 503,
    body: { error: { code: "unavailable", type: "api_error", retryable: false, charged: "unknown" } },
  });
  const id = response.headers.get("x-task-id") ?? "";
  expect(id).toMatch(/^task-/);
  expect(response.headers.get("access-control-expose-headers") ?? "x-task-id").toContain("x-task-id");
  return id;
}

/** A message that names a field, as a word of its own. */
export const naming = (field: string) => new RegExp(`(?<![\\w.])${field}(?!\\w)`);

/** What a binding says when it is broken; none of it may be in a reply or a log line. */
export const rawErrorText =
  "D1_ERROR: no such table: ledger_v7 at https://internal.example/trace?sig=5f2c77aa91b04d3e6c, token internal-51NfHq8d0Zk3vXw9Lb2TcYp7";

export interface RecordedBindings {
  /** Names of the calls to bindings and to the network so far. */
  calls: string[];
  /** Calls whose names start with one of these fail. */
  broken: Set<string>;
  around: Around;
}

export function recordBindings(): RecordedBindings {
  const calls: string[] = [];
  const broken = new Set<string>();
  const around: Around = async (name, call) => {
    calls.push(name);
    if ([...broken].some((start) => name.startsWith(start))) throw new Error(rawErrorText);
    return call();
  };
  return { calls, broken, around };
}

export async function countTasks(): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS count FROM tasks").first<{ count: number }>();
  return row?.count ?? Number.NaN;
}

/** Expects this refusal, and that nothing came of the request: no call upstream, no row. Gives its message. */
export async function expectNothingBut(
  gateway: TestGateway,
  ask: () => Promise<Response>,
  code: Code,
  param: string | null = null,
): Promise<string> {
  const rows = await countTasks();
  const calls = gateway.simulator.control.calls().length;
  const message = await expectError(await ask(), code, param);
  expect(gateway.simulator.control.calls()).toHaveLength(calls);
  expect(await countTasks()).toBe(rows);
  return message;
}

/** Leaves no task and no pause of the upstream's account to the next test: a file's tests share one database. */
export const deleteTasks = clearTasks;

/** Makes a key beside the one that a tenant starts with. */
export async function makeKey(
  gateway: TestGateway,
  tenantId: string,
  fields: object,
): Promise<{ id: string; key: string }> {
  const body = { name: "another", kind: "secret", ...fields };
  const response = await gateway.admin("POST", `/tenants/${tenantId}/keys`, body);
  expect(response.status).toBe(201);
  return response.json();
}

export type Format = "png" | "jpeg" | "webp";

export interface StoredPicture {
  path: string;
  /** As the upstream drew it. */
  bytes: Uint8Array;
  type: string;
}

/** Brings a task to its end; gives the picture's path, and its bytes from the one who drew it. */
export async function storePicture(
  gateway: TestGateway,
  key: string,
  format: Format,
): Promise<StoredPicture> {
  const size = { width: 800, height: 768 };
  gateway.simulator.control.script({ on: "submit", do: { kind: "plan", format } });
  const { id } = await submitTask(gateway, key, { size, seed: 7 });
  const { images } = await finishTask(gateway, key, id);
  const query = `format=${format}&width=${size.width}&height=${size.height}&seed=7`;
  const drawn = await env.PICTURES.fetch(`http://pictures/?${query}`);
  return {
    path: new URL(images[0]?.url ?? "").pathname,
    bytes: new Uint8Array(await drawn.arrayBuffer()),
    type: `image/${format}`,
  };
}

/** A reply with what differs between any two replies taken out. */
export async function comparable(response: Response): Promise<object> {
  const requestId = response.headers.get("x-request-id") ?? "";
  expect(requestId).not.toBe("");
  const strip = (text: string) => text.replaceAll(requestId, "<request id>");
  return {
    status: response.status,
    headers: [...response.headers].map(([name, value]) => [name, strip(value)]),
    body: strip(await response.text()),
  };
}

export const submit = (gateway: TestGateway, key: string, fields: object = {}) =>
  gateway.post(generations, { ...goodBody, ...fields }, bearer(key));

export const read = (gateway: TestGateway, key: string, id: string, headers: Record<string, string> = {}) =>
  gateway.fetch(`/v1/tasks/${id}`, { headers: { ...bearer(key), ...headers } });

/** How often the upstream was asked, by method. */
export const upstreamCalls = (gateway: TestGateway, method: string) =>
  gateway.simulator.control.calls().filter((call) => call.method === method && call.path.startsWith("/v1/"));

/** One policy's parameters out of a structured field; undefined when the field does not have it. */
export function policy(headers: Headers, field: string, name: string): Record<string, unknown> | undefined {
  const items = parseList(headers.get(field) ?? "");
  const found = items.find(([item]) => item === name);
  return found && Object.fromEntries(found[1]);
}
