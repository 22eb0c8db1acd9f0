/**
 * Switching an endpoint off, while another sender of it records its attempt or its tenant sets it again: the interleavings of
 * `src/flows/webhooks/give-up.ts`, step by step.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { updateTenant } from "../../../src/d1/tenants/tenants.ts";
import { type AttemptResult, recordAttempt } from "../../../src/d1/webhooks/attempts.ts";
import { claimDeliveries, insertEnds, type Sending } from "../../../src/d1/webhooks/deliveries.ts";
import { retryDelivery } from "../../../src/d1/webhooks/delivery-log.ts";
import { switchOff as switchOffFor } from "../../../src/d1/webhooks/switch-off.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import { emptyStores } from "../../helpers/setup.ts";

const now = 1_900_000_000_000;
const day = 86_400_000;
const url = "https://well.example/hook";
const notice = { id: "msg-off", data: { reason: "failing" } };
const delivered: AttemptResult = { status: 200, problem: null, outcome: { kind: "delivered" } };
const failed: AttemptResult = {
  status: 500,
  problem: "status 500",
  outcome: { kind: "failed", againMs: now + 5_000 },
};

beforeEach(async () => {
  await emptyStores();
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO tenants (id, name, limits, created_ms, webhook_url, webhook_secret, webhook_notify_url)
       VALUES ('well', 'w', '{}', 0, ?1, 'whsec_AAAA', 'https://notify.example')`,
    ).bind(url),
    env.DB.prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits,
         created_ms, deadline_ms, due_ms, finished_ms, open, attempts)
       VALUES ('task-1', 'well', 'key-1', 'req-1', 'https://gateway.example', 'completed', 'wan-2.7-image',
         '{"prompt":"a boat","n":1,"callback_url":"https://well.example/c"}', '{}', 30, ?1, ?1, ?1, ?1, 0, 1)`,
    ).bind(now),
    env.DB.prepare(
      `INSERT INTO endpoints (tenant_id, endpoint, failures, backoff_until_ms, failing_since_ms)
       VALUES ('well', 'webhook', 9, ?1, ?2)`,
    ).bind(now - 1, now - 5 * day),
    env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
       VALUES ('msg-a', 'well', 'webhook', 'balance.low', '{}', ?1, ?1),
         ('msg-b', 'well', 'webhook', 'balance.low', '{}', ?1, ?1), ('msg-c', 'well', 'webhook', 'balance.low', '{}', ?1, ?1)`,
    ).bind(now - 1),
  ]);
});

async function claimTwo(): Promise<[Sending, Sending]> {
  const [a, b] = await claimDeliveries(env.DB, {
    nowMs: now,
    leaseUntilMs: now + 30_000,
    limit: 6,
    failing: 3,
  });
  if (!a || !b) throw new Error("two are to be claimed");
  return [a, b];
}
const record = (one: Sending, result: AttemptResult) => recordAttempt(env.DB, one, result, now);
const switchOff = (one: Sending, atMs = now) => switchOffFor(env.DB, one, "failing", atMs, notice);
const rows = async (statement: string) => (await env.DB.prepare(statement).raw()).map((row) => row.join(" "));
const states = () => rows("SELECT id, state FROM deliveries ORDER BY id");
const off = () => rows("SELECT url, reason FROM gone_urls");

it("is looked up in few rows, however many URLs of its tenant are gone", async () => {
  await env.DB.prepare(
    `INSERT INTO gone_urls (tenant_id, url, at_ms) WITH RECURSIVE n (i) AS (
       SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) SELECT 'well', 'https://' || i || '.example', ?1 FROM n`,
  )
    .bind(now)
    .run();
  let rows = 0;
  const db = measureDatabase(
    env.DB,
    (call) => call(),
    ({ rowsRead }) => {
      rows += rowsRead;
    },
  );
  const lease = { nowMs: now, leaseUntilMs: now + 30_000, limit: 6, failing: 3 };
  expect(await claimDeliveries(db, lease)).toHaveLength(2);
  await insertEnds(db, ["task-1"], null).run();
  expect(rows).toBeLessThanOrEqual(150);
});

it("changes nothing where another sender has delivered since", async () => {
  const [a, b] = await claimTwo();
  expect(await record(a, failed)).toBe(now - 5 * day);
  await record(b, delivered);
  expect(await switchOff(a)).toBe(false);
  expect(await off()).toEqual([]);
  expect(await states()).toEqual(["msg-a pending", "msg-b delivered", "msg-c pending"]);
});

it("stays where another sender delivers afterwards, whose delivery counts", async () => {
  const [a, b] = await claimTwo();
  await record(a, failed);
  expect(await switchOff(a)).toBe(true);
  await record(b, delivered);
  expect(await off()).toEqual(["webhook/* failing"]);
  expect(await states()).toEqual(["msg-a dropped", "msg-b delivered", "msg-c dropped", "msg-off pending"]);
});

it("changes nothing where the endpoint has failed for a millisecond less", async () => {
  const [a] = await claimTwo();
  await record(a, failed);
  expect(await switchOff(a, now - 1)).toBe(false);
});

it("changes nothing where the webhook was set again since its last attempt", async () => {
  const [a] = await claimTwo();
  await record(a, failed);
  await updateTenant(env.DB, "well", { webhook: { url } });
  expect(await switchOff(a)).toBe(false);
});

it("leaves nothing that is sent once the webhook is set again, also of what is being sent", async () => {
  const [a, b] = await claimTwo();
  await record(a, failed);
  await switchOff(a);
  const tenant = await updateTenant(env.DB, "well", { webhook: { url: "https://new.example" } });
  expect(tenant?.webhook.off).toBeNull();
  await record(b, failed);
  expect(await states()).toEqual(["msg-a dropped", "msg-b dropped", "msg-c dropped", "msg-off pending"]);
});

it("leaves the one that is retried by hand alone", async () => {
  const [a] = await claimTwo();
  await record(a, failed);
  await switchOff(a);
  await retryDelivery(env.DB, "well", "msg-c", now);
  expect(await off()).toEqual([]);
  expect((await states()).filter((one) => one.endsWith("pending"))).toEqual([
    "msg-c pending",
    "msg-off pending",
  ]);
});

it("notifies once of a webhook that two senders switch off", async () => {
  const [a, b] = await claimTwo();
  await Promise.all([record(a, failed), record(b, failed)]);
  await Promise.all([
    switchOff(a),
    switchOffFor(env.DB, b, "failing", now, { ...notice, id: "msg-off-again" }),
  ]);
  expect((await states()).filter((one) => one.startsWith("msg-off"))).toHaveLength(1);
});
