/** The log of webhooks comes down to a tenant's newest 100,000, at whatever rate they are made and however ticks come. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { readMaintenance } from "../../../src/d1/cron/maintenance.ts";
import { idBound } from "../../../src/domain/ids.ts";
import { boundLogs } from "../../../src/flows/webhooks/give-up.ts";
import { startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";

const minute = 60_000;
const hour = 60 * minute;
const kept = 100_000;
let gateway: TestGateway;
let made = 0;
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
});

/** Deliveries that are made now; `open` ones end when a test says so. */
async function log(tenant: string, count: number, open = 0) {
  await env.DB.prepare(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?4)
     INSERT INTO deliveries (id, tenant_id, endpoint, event, open, state, created_ms, due_ms, attempts)
     SELECT ?1 || printf('%021d', ?5 + i), ?2, 'webhook', 'balance.low', ?6, iif(?6, 'pending', 'delivered'), ?3, ?3 + ?6 * 1e12, 1 FROM n`,
  )
    .bind(idBound("delivery", gateway.now()), tenant, gateway.now(), count, made, open)
    .run();
  made += count;
}
const countOf = async (tenant: string) => {
  const counted = env.DB.prepare("SELECT count(*) AS n FROM deliveries WHERE tenant_id = ?1").bind(tenant);
  return (await counted.first<{ n: number }>())?.n ?? 0;
};
async function tick(ms = minute) {
  gateway.advance(ms);
  await gateway.tick();
}
async function ticks(count: number, ms = minute) {
  for (let i = 0; i < count; i++) await tick(ms);
}

describe("a log of webhooks", () => {
  it("comes down from 190,000 of one hour, its newest stay, and others keep theirs", async () => {
    const [{ id }, other] = [await gateway.makeTenant(), await gateway.makeTenant()];
    await log(other.id, 1);
    await tick();
    await log(other.id, 2_000);
    await log(id, 60_000);
    await tick();
    await log(id, 130_000);
    await tick(hour);
    const counts: number[] = [];
    for (let i = 0; i < 4; i++) {
      counts.push(await countOf(id));
      await tick();
    }
    // Each tick deletes 50,000 at the most, in twenty statements, of which one was the other's.
    expect(counts).toEqual([190_000, 142_500, kept, kept]);
    expect(await countOf(other.id)).toBe(2_001);
    const first = await env.DB.prepare("SELECT min(id) AS id FROM deliveries WHERE tenant_id = ?1")
      .bind(id)
      .first<{ id: string }>();
    expect(Number(first?.id.slice(-21))).toBe(made - kept + 1);
  });

  it.each([
    ["late, each hour and 31 minutes", 91 * minute, 16],
    ["missing for a day", 26 * hour, 3],
  ])("comes down where ticks are %s", async (_how, ms, count) => {
    const { id } = await gateway.makeTenant();
    await tick();
    await log(id, 120_000);
    await ticks(count, ms);
    expect(await countOf(id)).toBe(kept);
  });

  it("comes down with the next day where no hour had much", async () => {
    const { id } = await gateway.makeTenant();
    await tick();
    await log(id, kept);
    await ticks(2, hour);
    for (let i = 0; i < 24; i++) {
      await log(id, 100);
      await tick(hour);
    }
    await tick();
    expect(await countOf(id)).toBeGreaterThanOrEqual(kept);
    expect(await countOf(id)).toBeLessThan(kept + 2_400);
  });

  it("comes down once what was open has ended", async () => {
    const { id } = await gateway.makeTenant();
    await tick();
    await log(id, 20_000, 1);
    await tick();
    await log(id, kept);
    await ticks(4, hour);
    expect(await countOf(id)).toBe(kept + 20_000);
    await env.DB.prepare("UPDATE deliveries SET open = 0, state = 'failed' WHERE open = 1").run();
    await ticks(26, hour);
    expect(await countOf(id)).toBe(kept);
  }, 30_000);

  it("costs a few rows while nothing is to be done, and once an hour what is new", async () => {
    const { id } = await gateway.makeTenant();
    await log(id, 1);
    await tick();
    await log(id, 150);
    const isDue = async () => (await readMaintenance(env.DB, gateway.now())).areLogsDue;
    const read = async (ms: number) => {
      gateway.advance(ms);
      const invocation = gateway.invocation();
      await boundLogs(invocation);
      return invocation.spent.rowsRead;
    };
    const idle = await read(minute);
    expect(idle).toBeLessThanOrEqual(1);
    const [noted, cut] = [await read(hour), await read(minute)];
    // Grouping counts each twice.
    expect(noted).toBeLessThanOrEqual(2 * 150 + 10);
    expect(cut).toBeLessThanOrEqual(150 + 10);
    expect([await read(minute), await isDue()]).toEqual([idle, false]);
    gateway.advance(hour);
    expect(await isDue()).toBe(true);
    expect(await read(0)).toBeLessThanOrEqual(10);
    await env.DB.prepare("DELETE FROM deliveries").run();
    gateway.advance(hour);
    expect(await isDue()).toBe(false);
  });
});
