/**
 * How much is erased in how long, in virtual time: each call takes as long as one does on the platform, six at a time in an
 * invocation. Real rows, objects and buckets of workerd; what is not modelled is D1's own pace, whose statements here take some
 * hundred tasks each.
 */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { eraseDue, roomOfConsumer } from "../../../src/flows/erasure/erase-due.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import { erasedTasks, insertEndedTasks, insertTenants, namesOf } from "../../helpers/ended-tasks.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { type VirtualTime, virtualTime, withCron } from "../../helpers/virtual-time.ts";

beforeEach(emptyStores);

const minuteMs = 60_000;
const dayMs = 86_400_000;
const startMs = 1_900_000_020_000;

/** Times of calls between a Worker and what it is bound to, milliseconds. */
const callMs = (name: string) => (name === "D1" ? 20 : name === "R2 put" ? 50 : name === "Queue" ? 50 : 5);

/** Erases so many overdue tasks of one tenant, which is the least that can be shared out. */
async function measured(total: number) {
  let [puts, most] = [0, 0];
  const virtual = virtualTime({ startMs, takes: callMs });
  const time: VirtualTime = {
    ...virtual,
    async during(name, call) {
      if (name === "R2 put") most = Math.max(most, ++puts);
      const result = await virtual.during(name, call);
      if (name === "R2 put") puts--;
      return result;
    },
  };
  const gateway = startGateway({ time, vars: { POLL_ROUND_SECONDS: 2 } });
  await insertTenants(["acme"], 2);
  await insertEndedTasks({ tenantId: "acme", count: total, fromMs: startMs - 3 * dayMs, hasPicture: true });
  const seconds = await withCron(gateway, async () => {
    for (;;) {
      await gateway.sleep(1_000);
      const { done = 0 } = await erasedTasks();
      const after = (gateway.now() - startMs) / 1000;
      if (done === total || after > 120) return after;
    }
  });
  return { gateway, perSecond: total / seconds, most };
}

it("a million overdue tasks with pictures are erased within the hour, of which consumers work five sixths", async () => {
  const total = 4_500;
  const { gateway, perSecond, most } = await measured(total);
  expect(perSecond * 3_600 * (5 / 6)).toBeGreaterThanOrEqual(1_000_000);
  // Six by the tick, and by each of six consumers.
  expect(most).toBeGreaterThan(30);
  expect(most).toBeLessThanOrEqual(42);
  expect(await erasedTasks()).toEqual({ done: total });
  expect(gateway.logs.filter(({ level }) => level === "error")).toEqual([]);
  const { objects } = await env.IMAGES.list({ limit: 1_000 });
  expect(objects.every(({ size }) => size === 0)).toBe(true);
}, 240_000);

it("a consumer stays within the platform's 1,000 queries and 10,000 calls, however much is due", async () => {
  const gateway = startGateway();
  const tenants = namesOf(90);
  await insertTenants(tenants, 2);
  for (const tenantId of tenants)
    await insertEndedTasks({ tenantId, count: 1, fromMs: gateway.now() - 3 * dayMs });
  const made = gateway.invocation();
  let queries = 0;
  const db = measureDatabase(
    made.db,
    (call) => call(),
    () => queries++,
  );
  const room = { ...roomOfConsumer, untilMs: gateway.now() + minuteMs };
  expect(await eraseDue({ ...made, db }, room)).toBe(true);
  expect(queries).toBeGreaterThan(300);
  expect(queries).toBeLessThanOrEqual(1_000);
  await insertTenants(["large"], 2);
  const large = { tenantId: "large", count: 9_000, hasPicture: true };
  await insertEndedTasks({ ...large, fromMs: gateway.now() - 3 * dayMs });
  let puts = 0;
  const bucket = { put: async () => void puts++ } as unknown as R2Bucket;
  const roomy = { ...roomOfConsumer, untilMs: gateway.now() + minuteMs };
  expect(await eraseDue({ ...gateway.invocation(), bucket }, roomy)).toBe(true);
  expect(puts).toBeGreaterThan(5_000);
  expect(puts).toBeLessThanOrEqual(8_000);
}, 60_000);
