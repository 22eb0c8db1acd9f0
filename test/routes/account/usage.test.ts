/**
 * Use, counted from the tasks themselves: for the operator in any grouping, for a tenant with its limits and
 * what is left of them.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { newTenantLimits } from "../../helpers/contract.ts";
import { asCells, csvRows, getAs } from "../../helpers/credits.ts";
import { finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { deleteTasks, expectError, makeKey, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
const dayMs = 86_400_000;
const dayOf = (ms: number) => new Date(ms).toISOString().slice(0, 10);
const std = "wan-2.7-image";
const pro = "wan-2.7-image-pro";

let shop = { id: "", key: "", keyId: "" };
let club = shop;
let second = { id: "", key: "" };
let [day1, day2] = ["", ""];
let secondDayMs = 0;

async function make(key: string, body: object) {
  const { id } = await submitTask(gateway, key, body);
  return finishTask(gateway, key, id);
}

beforeAll(async () => {
  await deleteTasks();
  const { script } = gateway.simulator.control;
  shop = await gateway.makeTenant({ id: "shop", balance: 1_000 });
  club = await gateway.makeTenant({ id: "club", prices: { [std]: 7 } });
  second = await makeKey(gateway, shop.id, { name: "second" });
  day1 = dayOf(gateway.now());
  await make(shop.key, { n: 2 });
  await make(shop.key, { n: 1 });
  await make(second.key, { model: pro });
  gateway.advance(dayMs);
  day2 = dayOf(gateway.now());
  secondDayMs = gateway.now();
  script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
  expect(await make(shop.key, { n: 3 })).toMatchObject({ status: "failed" });
  script({ on: "submit", times: 1, do: { kind: "plan", seconds: 5, results: 1 } });
  await make(club.key, { n: 4 });
  // The caller gets the refusal at once, so it counts as no task.
  script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
  expect((await submit(gateway, shop.key)).status).toBe(400);
  // Under way.
  script({ on: "submit", times: 1, do: { kind: "plan", seconds: 9_000 } });
  await submitTask(gateway, shop.key, { n: 4 });
});

type Row = Record<string, string | number>;
const usage = async (query: string): Promise<Row[]> => {
  const response = await gateway.admin("GET", `/usage?${query}`);
  expect(response.status).toBe(200);
  const list = (await response.json()) as { object: string; data: Row[]; next_cursor: null };
  expect(list).toMatchObject({ object: "list", next_cursor: null });
  return list.data;
};

const sums = (tasks: number, images: number, credits: number) => ({ tasks, images, credits });

describe("use over all tenants", () => {
  it("is by tenant and day unless said otherwise, of the last 30 days", async () => {
    const rows = [
      { tenant: "club", day: day2, ...sums(1, 1, 7) },
      { tenant: "shop", day: day1, ...sums(3, 4, 165) },
      { tenant: "shop", day: day2, ...sums(2, 0, 0) },
    ];
    expect(await usage("")).toEqual(rows);
    expect(await usage("group=tenant,day")).toEqual(rows);
  });

  it("is grouped by tenant, by key, by model, by day or not at all", async () => {
    expect(await usage("group=tenant")).toEqual([
      { tenant: "club", ...sums(1, 1, 7) },
      { tenant: "shop", ...sums(5, 4, 165) },
    ]);
    const byKey = [
      { key: club.keyId, ...sums(1, 1, 7) },
      { key: shop.keyId, ...sums(4, 3, 90) },
      { key: second.id, ...sums(1, 1, 75) },
    ];
    expect(await usage("group=key")).toEqual(byKey.toSorted((a, b) => (a.key < b.key ? -1 : 1)));
    expect(await usage("group=model")).toEqual([
      { model: std, ...sums(5, 4, 97) },
      { model: pro, ...sums(1, 1, 75) },
    ]);
    expect(await usage("group=day")).toEqual([
      { day: day1, ...sums(3, 4, 165) },
      { day: day2, ...sums(3, 1, 7) },
    ]);
    expect(await usage("group=")).toEqual([sums(6, 5, 172)]);
  });

  it("is grouped by all of it at once, in any order and however often one is named", async () => {
    const all = await usage("group=tenant,key,model,day");
    expect(all).toHaveLength(4);
    expect(all).toContainEqual({
      tenant: "shop",
      key: second.id,
      model: pro,
      day: day1,
      ...sums(1, 1, 75),
    });
    const turned = await usage("group=day,model,key,tenant,day");
    expect(turned).toHaveLength(4);
    for (const row of all) expect(turned).toContainEqual(row);
  });

  it("is of one tenant when it is named", async () => {
    expect(await usage("group=model&tenant=shop")).toEqual([
      { model: std, ...sums(4, 3, 90) },
      { model: pro, ...sums(1, 1, 75) },
    ]);
    await expectError(await gateway.admin("GET", "/usage?group=tenant&tenant=no-such"), "not_found");
    await expectError(await gateway.admin("GET", "/usage?format=csv&tenant=no-such"), "not_found");
  });

  it("is of a period, whose days are whole ones", async () => {
    expect(await usage(`group=day&from=${day1}&to=${day1}`)).toEqual([{ day: day1, ...sums(3, 4, 165) }]);
    expect(await usage(`group=day&from=${day2}&to=${day2}`)).toEqual([{ day: day2, ...sums(3, 1, 7) }]);
    const seconds = secondDayMs / 1000;
    expect(await usage(`group=tenant&from=${seconds}`)).toEqual([
      { tenant: "club", ...sums(1, 1, 7) },
      { tenant: "shop", ...sums(2, 0, 0) },
    ]);
    expect(await usage(`group=tenant&to=${seconds}`)).toEqual([{ tenant: "shop", ...sums(3, 4, 165) }]);
    expect(await usage(`group=tenant&from=${seconds}&to=${seconds}`)).toEqual([]);
  });

  it("is a table, too, named after its period", async () => {
    const named = await gateway.admin("GET", `/usage?format=csv&from=${day1}&to=${day2}`);
    const name = `usage-utc-from-${day1}-to-${day2}`;
    expect(named.headers.get("content-disposition")).toBe(`attachment; filename="${name}.csv"`);
    for (const query of ["", "group=key", "group=tenant,key,model,day", "group="]) {
      const rows = await csvRows(await gateway.admin("GET", `/usage?format=csv&${query}`));
      expect(rows).toEqual((await usage(query)).map(asCells));
    }
  });

  it.each([
    ["group", "group=tenant,shoe-size"],
    ["group", "group=tenant_id"],
    ["group", "group=Day"],
    ["from", "from=last-week"],
    ["from", "from=2030-02-30"],
    ["from", "from=2030-03-02&to=2030-03-01T00:00:00Z"],
    ["from", "from=2030-03-02&to=2030-02-28"],
    ["from", "from=2030-03-02&to=2030-03-01"],
    ["to", "to=-1"],
    ["format", "format=CSV"],
    ["tenant", `tenant=${"t".repeat(33)}`],
  ])("is refused for a bad %s: %s", async (param, query) => {
    const response = await gateway.admin("GET", `/usage?${query}`);
    await expectError(response, "invalid_request", query.includes("T00") ? "to" : param);
  });
});

describe("a tenant's own use", () => {
  const own = (query: string, key = shop.key) => getAs(gateway, key, `/v1/usage?${query}`);

  it("shows balance, limits, what remains of them, and the days", async () => {
    const response = await own("");
    expect(response.headers.get("cache-control")).toBe("no-store");
    // One under way, of four images; its rate slots and those of the refused one are not back yet.
    const taken = {
      requests_per_minute: 598,
      images_per_minute: 55,
      concurrent_tasks: 19,
      refusals_per_day: 199,
    };
    expect(await response.json()).toEqual({
      balance: 835,
      held: 120,
      available: 715,
      limits: newTenantLimits,
      remaining: { ...newTenantLimits, ...taken },
      days: [
        { date: day1, model: std, ...sums(2, 3, 90) },
        { date: day1, model: pro, ...sums(1, 1, 75) },
        { date: day2, model: std, ...sums(2, 0, 0) },
      ],
    });
  });

  it("shows what remains of days and months, and gives back what was not made", async () => {
    // With a clock of its own: the other tests expect the time that the first tasks were made at.
    const later = startGateway({ startMs: gateway.now() });
    const { id: tenantId, key } = await later.makeTenant({
      limits: { images_per_day: 10, images_per_month: 50 },
    });
    const remaining = async () =>
      ((await (await getAs(later, key, "/v1/usage")).json()) as { remaining: Row }).remaining;
    later.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "plan", seconds: 5, results: 1 },
    });
    const { id } = await submitTask(later, key, { n: 4 });
    expect(await remaining()).toMatchObject({
      images_per_day: 6,
      images_per_month: 46,
      concurrent_tasks: 19,
    });
    await finishTask(later, key, id);
    expect(await remaining()).toMatchObject({
      images_per_day: 9,
      images_per_month: 49,
      concurrent_tasks: 20,
    });
    // Nor is it any of the tasks that they count.
    await env.DB.prepare("DELETE FROM tasks WHERE tenant_id = ?1").bind(tenantId).run();
  });

  it("has no balance when it is metered only", async () => {
    expect(await (await own("", club.key)).json()).toMatchObject({ balance: null, held: 0, available: null });
  });

  it("is of a period, and a table as well", async () => {
    const day = { date: day1, model: pro, ...sums(1, 1, 75) };
    const { days } = (await (await own(`from=${day1}&to=${day1}`)).json()) as { days: Row[] };
    expect(days).toHaveLength(2);
    expect(days).toContainEqual(day);
    const table = await own(`from=${day1}&to=${day1}&format=csv`);
    expect(table.headers.get("content-disposition")).toContain(`"usage-utc-from-${day1}-to-${day1}.csv"`);
    expect(await csvRows(table)).toEqual(days.map(asCells));
  });

  it.each([
    ["from", "from=x"],
    ["to", "to=2030-00-01"],
    ["from", "from=9&to=8"],
    ["from", "from=2030-03-02&to=2030-03-01"],
    ["limit", "limit=2&format=csv"],
    ["format", "format=xml"],
  ])("is refused for a bad %s: %s", async (param, query) => {
    await expectError(await own(query), "invalid_request", param);
  });

  it("is open to scope manage, and closed to scope images", async () => {
    const manage = await makeKey(gateway, shop.id, { scopes: ["manage"] });
    expect((await own("", manage.key)).status).toBe(200);
    const images = await makeKey(gateway, shop.id, { scopes: ["images"] });
    await expectError(await own("", images.key), "scope_denied");
  });
});

describe("use of many tenants", () => {
  /** Adds a task to each of so many tenants. */
  const addTasks = (from: number, to: number) =>
    env.DB.prepare(
      `WITH RECURSIVE n (i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1)
       INSERT INTO tasks (id, tenant_id, created_ms, finished_ms, deadline_ms, due_ms, open, key_id, request_id, origin,
         state, model, input, metadata, price_credits, images, version, attempts)
       SELECT substr(id, 1, 20) || printf('%016d', i), printf('many-%d', i), created_ms, finished_ms, deadline_ms, due_ms, 0, key_id,
         request_id, origin, state, model, input, metadata, price_credits, images, version, attempts
       FROM n, (SELECT * FROM tasks WHERE tenant_id = 'shop' AND state = 'completed' LIMIT 1)`,
    )
      .bind(from, to)
      .run();

  it("comes whole or is refused, and is never cut", async () => {
    await addTasks(0, 12_000);
    const rows = await csvRows(await gateway.admin("GET", "/usage?format=csv&group=tenant,model"));
    expect(rows.filter(({ tenant }) => (tenant as string).startsWith("many-"))).toHaveLength(12_000);
    await addTasks(12_000, 50_000);
    for (const format of ["json", "csv"]) {
      const response = await gateway.admin("GET", `/usage?format=${format}&group=tenant`);
      const message = await expectError(response, "invalid_request", "from");
      expect(message).toMatch(/no more than 50000 lines.*ask for less time, one tenant, or fewer groups/);
    }
    expect(await usage("group=tenant&tenant=shop")).toHaveLength(1);
    await env.DB.prepare("DELETE FROM tasks WHERE tenant_id LIKE 'many-%'").run();
  });
});
