/** Files share a Worker: whatever one has stored, the next one starts without. */
import { evictAllDurableObjects, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { startGateway, storedKeys, submitTask } from "./gateway.ts";
import { emptyStores, startAnew } from "./setup.ts";
import { objectOf } from "./tenant-object.ts";

const tables = ["tenants", "keys", "tasks", "files", "deliveries", "work_items"];
const tenant = "kept";
const address = "https://gateway.example/images/kept.png";

async function rowsIn(table: string): Promise<unknown> {
  return env.DB.prepare(`SELECT count(*) AS rows FROM ${table}`).first("rows");
}

/** What is there of each kind of storage. */
async function found() {
  const rows = await Promise.all(tables.map(rowsIn));
  const holds = await runInDurableObject(objectOf(tenant), (_tenant, { storage }) =>
    storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'entries'").toArray().length > 0
      ? storage.sql.exec("SELECT * FROM entries").toArray().length
      : 0,
  );
  const cached = await caches.default.match(address);
  await cached?.body?.cancel();
  let allowed = 0;
  while ((await env.SUBMISSIONS_BY_IP.limit({ key: tenant })).success) allowed += 1;
  return { rows, keys: await storedKeys(), holds, cached: cached !== undefined, allowed };
}

// The end of the one before has used up what the limit allows.
beforeEach(startAnew);

it.each([
  ["in memory", async () => undefined],
  ["idle", evictAllDurableObjects],
])("leaves nothing of what a file has stored, while that is %s", async (_, rest) => {
  const untouched = await found();
  expect(untouched).toEqual({
    rows: tables.map(() => 0),
    keys: [],
    holds: 0,
    cached: false,
    allowed: 10,
  });
  const gateway = startGateway();
  const { key } = await gateway.makeTenant({ id: tenant, balance: 1_000 });
  await submitTask(gateway, key);
  await env.IMAGES.put("kept", "a picture");
  const headers = { "cache-control": "max-age=3600" };
  await caches.default.put(address, new Response("a picture", { headers }));
  const stored = await found();
  expect(stored).toMatchObject({ keys: ["kept"], cached: true, allowed: 0 });
  expect(stored.rows.slice(0, 3)).toEqual([1, 1, 1]);
  expect(stored.holds).toBeGreaterThan(0);

  await rest();
  await startAnew();
  expect(await found()).toEqual(untouched);
});

it("empties the stores alone in between, with the leases free", async () => {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant({ id: tenant, balance: 1_000 });
  await submitTask(gateway, key);
  await gateway.tick();
  await env.IMAGES.put("kept", "a picture");
  await emptyStores();
  expect(await found()).toMatchObject({ rows: tables.map(() => 0), keys: [], holds: 0 });
  const leases = await env.DB.prepare("SELECT name FROM leases WHERE until_ms = 0 ORDER BY name").all();
  expect(leases.results).toEqual([{ name: "cool_down" }, { name: "tick" }]);
});
