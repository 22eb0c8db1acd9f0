/**
 * What a tenant does costs its neighbours nothing: beside one that has done its worst their submissions, reads, lists,
 * statements and cron's rounds read as many rows and make as many calls as on an idle gateway.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { insertKey } from "../../../src/d1/tenants/keys.ts";
import { bearer, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { read, recordBindings, submit } from "../../helpers/routes.ts";
import { startAnew } from "../../helpers/setup.ts";
import { keyOf } from "../../helpers/tenant-object.ts";

beforeEach(startAnew);

/** Finished tasks, open erasures and failing callbacks of the hostile tenant's. */
const many = { tasks: 20_000, erasures: 500, callbacks: 2_000, keys: 99 };
const numbers = (count: number) =>
  `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;

async function doTheWorst(gateway: TestGateway, tenant: string): Promise<void> {
  const nowMs = gateway.now();
  const key = keyOf("key-00000000000000x0", { createdMs: nowMs });
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, end_user, price_credits,
         created_ms, deadline_ms, due_ms, finished_ms, open, attempts)
       ${numbers(many.tasks)} SELECT 'task-0' || printf('%030d', i), ?1, 'key-1', 'req-1', 'https://gateway.example',
         'completed', 'wan-2.7-image', '{"prompt":"a boat","n":1}', '{}', 'someone-' || (i % 100), 30, ?2, ?2, ?2, ?2, 0, 1 FROM n`,
    ).bind(tenant, nowMs - 3_600_000),
    env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, created_ms, due_ms)
       ${numbers(many.callbacks)} SELECT 'msg-' || i, ?1, 'https://' || i || '.example', 'task.completed', ?2, ?2 FROM n`,
    ).bind(tenant, nowMs - 60_000),
    env.DB.prepare(
      `INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms)
       ${numbers(many.callbacks)} SELECT ?1, 'https://' || i || '.example', 9, ?2 FROM n`,
    ).bind(tenant, nowMs + 3_600_000),
    ...Array.from({ length: many.keys }, (_, i) =>
      insertKey(env.DB, tenant, { ...key, id: `key-${String(i).padStart(16, "0")}` }),
    ),
  ]);
}

/** Rows and calls of each thing that a tenant does, and of a tick. */
async function costs(calls: string[], gateway: TestGateway, key: string) {
  const found: Record<string, { rows: number; calls: number }> = {};
  const cost = async (name: string, work: () => Promise<unknown>) => {
    const [logged, called] = [gateway.logs.length, calls.length];
    await work();
    const lines = gateway.logs.slice(logged).filter(({ event }) => event === "request" || event === "tick");
    found[name] = {
      rows: lines.reduce((sum, line) => sum + Number(line.rows_read ?? 0), 0),
      calls: calls.length - called,
    };
  };
  const get =
    (path: string, by = key, headers = {}) =>
    async () => {
      const response = await gateway.fetch(path, { headers: { ...bearer(by), ...headers } });
      expect(response.status).toBe(200);
      await response.body?.cancel();
    };
  const token = await mintToken(gateway, key, { end_user: "visitor-7" });
  const { id } = await submitTask(gateway, key);
  await cost("submit", () => submit(gateway, key));
  await cost("read", () => read(gateway, key, id));
  await cost("list", get("/v1/tasks"));
  await cost("list of an end user", get("/v1/tasks", token, page));
  await cost("usage", get("/v1/usage"));
  await cost("ledger", get("/v1/ledger"));
  await cost("keys", get("/v1/keys"));
  await cost("tick", () => gateway.tick());
  return found;
}

it("a tenant's worst leaves its neighbours' rows and calls within half more of those on an idle gateway", async () => {
  const bindings = recordBindings();
  const gateway = startGateway({ around: bindings.around });
  const idle = await costs(bindings.calls, gateway, (await gateway.makeTenant()).key);
  const hostile = await gateway.makeTenant();
  await doTheWorst(gateway, hostile.id);
  // What comes once, as that old tasks are added up.
  await gateway.tick();
  const beside = await costs(bindings.calls, gateway, (await gateway.makeTenant()).key);
  for (const [name, { rows, calls }] of Object.entries(beside)) {
    // A row or two is the place between two neighbours in an index.
    expect([name, rows <= 1.5 * (idle[name]?.rows ?? 0) + 2]).toEqual([name, true]);
    expect([name, calls <= 1.5 * (idle[name]?.calls ?? 0)]).toEqual([name, true]);
  }
});
