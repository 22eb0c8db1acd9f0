/** What one call of each kind costs at the most, which the table of what a caller can cost in an hour is computed from. */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { callCosts } from "../../bench/worst-hour.ts";
import { bearer, startGateway, submitTask } from "../../helpers/gateway.ts";
import { generations, goodBody, recordBindings } from "../../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
const tenant = await gateway.makeTenant();
const { id: task } = await submitTask(gateway, tenant.key);

/** As many tasks and audit entries as a tenant can have read by one call. */
await env.DB.batch([
  env.DB.prepare(
    `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits,
       created_ms, deadline_ms, due_ms, finished_ms, open, attempts)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
     SELECT 'task-0' || printf('%030d', i), ?1, 'key-1', 'req-1', 'https://gateway.example', 'completed', 'wan-2.7-image',
       '{"prompt":"a boat","n":1}', '{}', 30, ?2, ?2, ?2, ?2, 0, 1 FROM n`,
  ).bind(tenant.id, gateway.now() - 60_000),
  env.DB.prepare(
    `INSERT INTO audit_log (id, at_ms, actor, action, tenant_id, subject, details, request_id)
     WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1100)
     SELECT 'act-' || printf('%05d', i), 0, 'key-0', 'key.create', ?1, NULL, '{}', 'req-1' FROM n`,
  ).bind(tenant.id),
]);

const body = { headers: { ...bearer(tenant.key), "content-type": "application/json" } };
const post = (path: string, sent: object) => gateway.post(path, sent, bearer(tenant.key));
const get = (path: string) => gateway.fetch(path, { headers: bearer(tenant.key) });

it.each([
  ["failures", () => gateway.fetch(`/v1/tasks/${task}`, { headers: bearer(revokedKey) })],
  ["submits", () => gateway.post(generations, goodBody, { ...bearer(tenant.key), "idempotency-key": "a" })],
  ["reads", () => get(`/v1/tasks/${task}`)],
  ["lists", () => get("/v1/tasks?limit=100")],
  ["lists", () => get("/v1/tasks?status=failed")],
  ["lists", () => get("/v1/webhook/deliveries?status=failed")],
  ["lists", () => get("/v1/ledger")],
  ["lists", () => get("/v1/keys?limit=100")],
  ["manage", () => post("/v1/keys", { name: "one", kind: "secret" })],
  ["revokes", () => gateway.fetch("/v1/keys/none", { method: "DELETE", ...body })],
  ["manage", () => gateway.fetch("/v1/webhook", { method: "DELETE", ...body })],
  ["mints", () => post("/v1/client-tokens", { allowed_origins: ["https://shop.example"] })],
] as const)("%s cost no more than is said", async (kind, call) => {
  const [logged, called] = [gateway.logs.length, bindings.calls.length];
  const response = await call();
  await response.body?.cancel();
  const line = gateway.logs.slice(logged).find(({ event }) => event === "request");
  const objectCalls = bindings.calls.slice(called).filter((name) => name.startsWith("object")).length;
  const most = callCosts[kind];
  expect(Number(line?.rows_read)).toBeLessThanOrEqual(most.rowsRead);
  expect(Number(line?.rows_written)).toBeLessThanOrEqual(most.rowsWritten);
  expect(objectCalls).toBeLessThanOrEqual(most.objectCalls);
});

const made = (await (await post("/v1/keys", { name: "two", kind: "secret" })).json()) as {
  id: string;
  key: string;
};
const revokedKey = made.key;
await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${made.id}`);
