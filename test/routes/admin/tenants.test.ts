/** `/admin/api/tenants`: making, reading, listing and changing tenants. */
import { beforeAll, describe, expect, it } from "vitest";
import { pageThrough, typesBut } from "../../helpers/admin.ts";
import { allEvents, newTenantLimits } from "../../helpers/contract.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { countTasks, expectError, naming, submit } from "../../helpers/routes.ts";

const gateway = startGateway();

interface Shown {
  id: string;
  name: string;
  status: string;
  limits: { requests_per_minute: number | null };
}

const make = (body: unknown) => gateway.admin("POST", "/tenants", body);
const change = (id: string, body: unknown) => gateway.admin("PATCH", `/tenants/${id}`, body);
const show = async (id: string): Promise<Shown> => (await gateway.admin("GET", `/tenants/${id}`)).json();

/** As it is shown from then on: the secret of its webhook is shown this once. */
async function made(body: object = {}): Promise<Shown> {
  const response = await make({ name: "Shop", ...body });
  expect(response.status).toBe(201);
  const { webhook, ...tenant }: Shown & { webhook: { secret?: string } } = await response.json();
  const { secret: _once, ...shown } = webhook;
  return { ...tenant, webhook: shown } as Shown;
}

const badNames: [string, unknown][] = [
  ...typesBut("string"),
  ["an empty text", ""],
  ["white space only", " \t "],
  ["201 letters", "n".repeat(201)],
];
const badLimits: [string, unknown][] = [
  ...typesBut("object"),
  ["an unknown limit", { requests_per_second: 1 }],
  ["0", { requests_per_minute: 0 }],
  ["-1", { requests_per_minute: -1 }],
  ["1,000,000,001", { requests_per_minute: 1_000_000_001 }],
  ["a fraction", { requests_per_minute: 1.5 }],
  ["digits in a text", { requests_per_minute: "60" }],
  ["a truth value", { requests_per_minute: true }],
];
const badIds: [string, unknown][] = [
  ...typesBut("string"),
  ["an empty text", ""],
  ["two letters", "ab"],
  ["33 letters", "a".repeat(33)],
  ["capitals", "Shop"],
  ["an underscore", "my_shop"],
  ["a full stop", "my.shop"],
  ["a space", "my shop"],
  ["a line's end", "shop\n"],
  ["a letter beyond ASCII", "bücher"],
  ["a slash", "shop/keys"],
];
const badStatuses: [string, unknown][] = [
  ...typesBut("string"),
  ["another word", "deleted"],
  ["other capitals", "Active"],
];

const table = (fields: Record<string, [string, unknown][]>) =>
  Object.entries(fields).flatMap(([field, values]) =>
    values.map(([what, value]) => ({ field, what, value })),
  );

describe("making a tenant", () => {
  it("shows it with its defaults", async () => {
    const response = await make({ name: " Shop " });
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^[a-z0-9-]{3,32}$/),
      object: "tenant",
      name: "Shop",
      status: "active",
      limits: newTenantLimits,
      prices: {},
      models: null,
      balance: null,
      held: 0,
      available: null,
      low_balance: null,
      retention_days: null,
      max_keys: 100,
      location_hint: null,
      turnstile: false,
      webhook: {
        object: "webhook",
        url: null,
        events: allEvents,
        status: "off",
        disabled: null,
        notify_url: null,
        secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/),
      },
      created: Math.floor(gateway.now() / 1000),
    });
  });

  it.each([
    { id: "abc" },
    { id: "a".repeat(32) },
    { id: "0-9" },
    { name: "n".repeat(200) },
    { name: "海の家 🌊" },
    { limits: {} },
    { limits: { requests_per_minute: 1 } },
    { limits: { requests_per_minute: 1_000_000_000 } },
    { limits: { requests_per_minute: null } },
  ])("takes what is at the bounds: %j", async (body) => {
    const tenant = await made(body);
    expect(tenant).toMatchObject(body);
    expect(await show(tenant.id)).toEqual(tenant);
  });

  it.each([
    ...table({ name: [...badNames, ["missing", undefined]], limits: badLimits, id: badIds }),
    { field: "status", what: "which only a change takes", value: "active" },
    { field: "plan", what: "which is no field", value: "gold" },
  ])("refuses a bad $field: $what", async ({ field, value }) => {
    const response = await make({ name: "Shop", [field]: value });
    expect(await expectError(response, "invalid_request", field)).toMatch(naming(field));
  });

  it("names all that is wrong", async () => {
    const message = await expectError(
      await make({ id: "A", name: "", limits: 1, plan: 1 }),
      "invalid_request",
      "id",
    );
    for (const field of ["id", "name", "limits", "plan"]) expect(message).toMatch(naming(field));
  });

  it("refuses what is no JSON object, too large or of another type", async () => {
    const send = (body: string, type = "application/json") =>
      gateway.fetch("/admin/api/tenants", {
        method: "POST",
        headers: { authorization: `Bearer ${gateway.config.ADMIN_API_KEY}`, "content-type": type },
        body,
      });
    await expectError(await send("{"), "invalid_json");
    await expectError(await send(""), "invalid_json");
    await expectError(await send("[]"), "invalid_request");
    await expectError(await send('{"name":"x"}', "text/plain"), "unsupported_media_type");
    await expectError(await send('{"name":"x"}'.padEnd(65_537)), "body_too_large");
    expect((await send('{"name":"x"}'.padEnd(65_536))).status).toBe(201);
  });

  it("never takes an id twice, and leaves the first tenant as it is", async () => {
    const first = await made({ id: "only-one", name: "First" });
    await expectError(await make({ id: "only-one", name: "Second" }), "already_exists", "id");
    await change("only-one", { status: "suspended" });
    await expectError(await make({ id: "only-one", name: "Third" }), "already_exists", "id");
    expect(await show("only-one")).toEqual({ ...first, status: "suspended" });
  });

  it("takes an id once of many that come at the same time", async () => {
    const replies = await Promise.all(
      Array.from({ length: 8 }, () => make({ id: "in-a-race", name: "Racer" })),
    );
    const statuses = replies.map((reply) => reply.status).toSorted((a, b) => a - b);
    expect(statuses).toEqual([201, ...Array(7).fill(409)]);
  });
});

describe("changing a tenant", () => {
  it("takes back the limits that it shows", async () => {
    const { id, limits } = await made();
    const response = await change(id, { limits });
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ limits });
  });

  it("leaves what is left out as it is", async () => {
    const before = await made({ limits: { requests_per_minute: 7 } });
    const steps: [object, object][] = [
      [{}, {}],
      [{ name: "Renamed" }, { name: "Renamed" }],
      [{ status: "suspended" }, { name: "Renamed", status: "suspended" }],
      [{ limits: {} }, { name: "Renamed", status: "suspended" }],
    ];
    for (const [body, expected] of steps) {
      const response = await change(before.id, body);
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ ...before, ...expected });
      expect(await show(before.id)).toEqual({ ...before, ...expected });
    }
  });

  it("changes all that is given at once", async () => {
    const { id } = await made();
    const body = { name: "Other", status: "suspended", limits: { requests_per_minute: null } };
    expect(await (await change(id, body)).json()).toMatchObject(body);
    expect(await show(id)).toMatchObject(body);
  });

  it.each([
    ...table({ name: badNames, limits: badLimits, status: badStatuses }),
    { field: "id", what: "which no call can change", value: "other-id" },
    { field: "created", what: "which no call can change", value: 1 },
  ])("refuses a bad $field and changes nothing: $what", async ({ field, value }) => {
    const before = await made();
    const response = await change(before.id, { name: "Changed", [field]: value });
    await expectError(response, "invalid_request", field);
    expect(await show(before.id)).toEqual(before);
  });

  it("loses none of several changes that come at the same time", async () => {
    const { id } = await made();
    const changes = [{ name: "Other" }, { status: "suspended" }, { limits: { requests_per_minute: 5 } }];
    await Promise.all(changes.map((body) => change(id, body)));
    expect(await show(id)).toMatchObject(Object.assign({}, ...changes));
  });

  it("suspends all of its keys from the next request on", async () => {
    const { id, key } = await gateway.makeTenant();
    await change(id, { status: "suspended" });
    const before = await countTasks();
    await expectError(await submit(gateway, key), "tenant_suspended");
    expect(await countTasks()).toBe(before);
    await change(id, { status: "active" });
    expect((await submit(gateway, key)).status).toBe(200);
  });
});

describe("a tenant that is not there", () => {
  it.each(["no-such", "x", "UPPER", "%00", "a".repeat(500), "_ready"])("is not found: %s", async (id) => {
    await expectError(await gateway.admin("GET", `/tenants/${id}`), "not_found");
    await expectError(await change(id, { name: "x" }), "not_found");
  });
});

describe("the list of tenants", () => {
  const lister = startGateway();
  beforeAll(async () => {
    for (let i = 0; i < 25; i++)
      await lister.admin("POST", "/tenants", { id: `listed-${i}`, name: `No. ${i}` });
  });

  it("comes in pages that together hold each tenant once", async () => {
    const pages = await pageThrough<Shown>(lister, "/tenants", 10);
    expect(pages.length).toBeGreaterThanOrEqual(3);
    for (const page of pages.slice(0, -1)) expect(page).toHaveLength(10);
    const ids = pages.flat().map((tenant) => tenant.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (let i = 0; i < 25; i++) expect(ids).toContain(`listed-${i}`);
    const [all] = await pageThrough<Shown>(lister, "/tenants", 100);
    expect(all?.slice(0, ids.length).map((tenant) => tenant.id)).toEqual(ids.slice(0, 100));
  });

  it("ends when a page is exactly full", async () => {
    const ids = (await pageThrough<Shown>(lister, "/tenants", 100)).flat().map((tenant) => tenant.id);
    const beforeLast = ids.at(-6) ?? "";
    const response = await lister.admin("GET", `/tenants?limit=5&cursor=${beforeLast}`);
    expect(await response.json()).toMatchObject({
      next_cursor: null,
      data: expect.objectContaining({ length: 5 }),
    });
  });

  it("shows tenants as they are shown one by one, 20 at first", async () => {
    const page: { object: string; data: Shown[] } = await (await lister.admin("GET", "/tenants")).json();
    expect(page.object).toBe("list");
    expect(page.data).toHaveLength(20);
    for (const tenant of page.data.slice(0, 3)) expect(await show(tenant.id)).toEqual(tenant);
  });

  it.each(["0", "101", "-1", "1.5", "x", "", "1e9"])("refuses a limit of %j", async (limit) => {
    await expectError(await lister.admin("GET", `/tenants?limit=${limit}`), "invalid_request", "limit");
  });

  it("takes limits of 1 and 100, and a cursor that is no tenant's", async () => {
    for (const query of ["limit=1", "limit=100", "cursor=zzzz", "cursor=%27%20OR%201=1"]) {
      expect([query, (await lister.admin("GET", `/tenants?${query}`)).status]).toEqual([query, 200]);
    }
    const behind = await lister.admin("GET", "/tenants?cursor=zzzz");
    expect(await behind.json()).toEqual({ object: "list", data: [], next_cursor: null });
  });

  it("refuses a cursor that cannot be one", async () => {
    const response = await lister.admin("GET", `/tenants?cursor=${"x".repeat(10_000)}`);
    await expectError(response, "invalid_request", "cursor");
  });
});
