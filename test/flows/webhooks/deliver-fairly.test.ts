/**
 * Many deliveries at once: of one tenant two at a time, whatever else waits; a failing endpoint is in back-off, and holds up
 * no other; what waits for it costs the others no rows.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { claimDeliveries, selectNextDelivery } from "../../../src/d1/webhooks/deliveries.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import { clearTasks, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { hook, hookOrigin, startWithReceiver } from "../../helpers/webhook-receiver.ts";

const otherOrigin = "https://other.example";

beforeEach(async () => {
  await clearTasks();
  await env.DB.batch([env.DB.prepare("DELETE FROM deliveries"), env.DB.prepare("DELETE FROM endpoints")]);
});

/** Brings tasks of a tenant to their end while no delivery is sent. */
async function endUnnotified(
  gateway: TestGateway,
  key: string,
  count: number,
  body: object = {},
): Promise<void> {
  const silent = startGateway({ beside: gateway, lanes: { deliver: async () => undefined } });
  for (let i = 0; i < count; i++) await submitTask(silent, key, body);
  gateway.advance(30_000);
  await silent.tick();
}

const limits = { concurrent_tasks: null, images_per_minute: null, requests_per_minute: null };

describe("deliveries of one tenant", () => {
  it("are under way two at a time, however many senders there are", async () => {
    const { gateway, hosts, answers, received } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook: { url: hook }, limits });
    await endUnnotified(gateway, key, 12);
    let underWay = 0;
    let most = 0;
    answers(async () => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 1));
      underWay--;
      return 200;
    });
    const tick = () => startGateway({ beside: gateway, hosts }).tick();
    await Promise.all([tick(), tick(), tick()]);
    await gateway.tick();
    expect(received).toHaveLength(12);
    expect(new Set(received.map(({ id }) => id)).size).toBe(12);
    expect(most).toBe(2);
  });

  it("that hang keep no other tenant waiting", async () => {
    const { gateway, answers, received } = startWithReceiver({}, [otherOrigin]);
    const hanging = await gateway.makeTenant({ webhook: { url: hook }, limits });
    const other = await gateway.makeTenant({ webhook: { url: `${otherOrigin}/hook` }, limits });
    await endUnnotified(gateway, hanging.key, 10);
    await endUnnotified(gateway, other.key, 3);
    const release = Promise.withResolvers<number>();
    const all = Promise.withResolvers<void>();
    answers(({ url }) => {
      const others = received.filter((one) => one.url.startsWith(otherOrigin)).length;
      if (others === 3) all.resolve();
      return url.startsWith(otherOrigin) ? 200 : release.promise;
    });
    const tick = gateway.tick();
    await all.promise;
    expect(received.filter(({ url }) => url.startsWith(hookOrigin)).length).toBeLessThanOrEqual(2);
    release.resolve(200);
    await tick;
    expect(received).toHaveLength(13);
  });
});

describe("an endpoint that fails again and again", () => {
  it("is in back-off as a whole, and what waits for it goes on once it works", async () => {
    const { gateway, answers, received } = startWithReceiver();
    const { key } = await gateway.makeTenant({ webhook: { url: hook }, limits });
    answers(() => 500);
    await endUnnotified(gateway, key, 20);
    await gateway.tick();
    // Five in a row, and the one that was under way beside the fifth.
    expect(received.length).toBeGreaterThanOrEqual(5);
    expect(received.length).toBeLessThanOrEqual(6);
    answers(() => 200);
    for (let i = 0; i < 10; i++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    expect(new Set(received.map(({ id }) => id)).size).toBe(20);
    const row = await env.DB.prepare("SELECT count(*) AS open FROM deliveries WHERE open = 1").first();
    expect(row).toEqual({ open: 0 });
  });

  it("does not slow down another one of the same tenant", async () => {
    const { gateway, answers, received } = startWithReceiver({}, [otherOrigin]);
    const { key } = await gateway.makeTenant({ limits });
    answers(({ url }) => (url.startsWith(hookOrigin) ? 500 : 200));
    await endUnnotified(gateway, key, 10, { callback_url: hook });
    await gateway.tick();
    await endUnnotified(gateway, key, 5, { callback_url: `${otherOrigin}/hook` });
    await gateway.tick();
    expect(received.filter(({ url }) => url.startsWith(otherOrigin))).toHaveLength(5);
  });

  it("costs the others no rows, however much waits for it", async () => {
    const now = 1_900_000_000_000;
    const insert = env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
       INSERT INTO deliveries (id, tenant_id, endpoint, event, created_ms, due_ms)
       SELECT ?1 || i, ?1, 'webhook', 'task.completed', ?2, ?2 FROM n`,
    );
    await env.DB.batch([
      insert.bind("dead", now, 5_000),
      insert.bind("well", now, 3),
      env.DB.prepare("INSERT INTO endpoints VALUES ('dead', 'webhook', 9, ?1, NULL)").bind(now + 60_000),
    ]);
    let rows = 0;
    const metered = measureDatabase(
      env.DB,
      (call) => call(),
      (cost) => {
        rows = Math.max(rows, cost.rowsRead);
      },
    );
    const [next] = await metered.batch([selectNextDelivery(metered)]);
    expect(next?.results).toEqual([{ dueMs: now }]);
    await claimDeliveries(metered, { nowMs: now, leaseUntilMs: now + 30_000, limit: 6, failing: 3 });
    const { results } = await env.DB.prepare("SELECT id FROM deliveries WHERE state = 'sending'").all();
    expect(results).toEqual([{ id: "well1" }, { id: "well2" }]);
    expect(rows).toBeLessThanOrEqual(60);
  });
});
