/**
 * `/v1/keys`: a tenant sees to its own keys with one of scope `manage`. None of them becomes a way to more than
 * the key had that was used, and a key that is taken back is dead at the next request.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { bearer, startGateway, submitTask } from "../../helpers/gateway.ts";
import { page, submitFrom } from "../../helpers/page-visitor.ts";
import { expectError, makeKey, read, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let taskId = "";
beforeAll(async () => {
  tenant = await gateway.makeTenant();
  taskId = (await submitTask(gateway, tenant.key)).id;
});

interface Shown {
  id: string;
  key: string;
  expires_at: number | null;
  revoked_at: number | null;
}

const make = (key: string, body: object) =>
  gateway.post("/v1/keys", { name: "made", kind: "secret", ...body }, bearer(key));
const rotate = (key: string, id: string, overlap_seconds = 0) =>
  gateway.post(`/v1/keys/${id}/rotate`, { overlap_seconds }, bearer(key));
const revoke = (key: string, id: string) =>
  gateway.fetch(`/v1/keys/${id}`, { method: "DELETE", headers: bearer(key) });
const list = (key: string, query = "?limit=100") =>
  gateway.fetch(`/v1/keys${query}`, { headers: bearer(key) });
const keyOf = (fields: object) => makeKey(gateway, tenant.id, fields);
const seconds = () => Math.floor(gateway.now() / 1000);

async function made(response: Response): Promise<Shown> {
  expect(response.status).toBe(201);
  expect(response.headers.get("cache-control")).toBe("no-store");
  return response.json();
}

async function listed(): Promise<Shown[]> {
  return ((await (await list(tenant.key)).json()) as { data: Shown[] }).data;
}

async function expectDead(key: string): Promise<void> {
  await expectError(await submit(gateway, key), "invalid_key");
  await expectError(await read(gateway, key, taskId), "invalid_key");
  await expectError(await list(key), "invalid_key");
}

async function expectAlive(key: string): Promise<void> {
  expect((await submit(gateway, key)).status).toBe(200);
  expect((await read(gateway, key, taskId)).status).toBe(200);
}

describe("a tenant's own keys", () => {
  it("are made, work at once, and are shown in full this once", async () => {
    const { id, key } = await made(await make(tenant.key, { scopes: ["images"] }));
    await expectAlive(key);
    const text = await (await list(tenant.key)).text();
    expect(text).toContain(id);
    for (const secret of key.split("_").slice(3)) expect(text).not.toContain(secret);
  });

  it("can be browser keys", async () => {
    const body = { kind: "browser", allowed_origins: [page.origin] };
    const { key } = await made(await make(tenant.key, body));
    expect((await submitFrom(gateway, key)).status).toBe(200);
  });

  it("come in pages", async () => {
    const own = await gateway.makeTenant();
    const ids = [own.keyId];
    for (let i = 0; i < 4; i++) ids.push((await made(await make(own.key, {}))).id);
    const seen: string[] = [];
    let cursor: string | null = "";
    while (cursor !== null) {
      const response: Response = await list(own.key, `?limit=2&cursor=${cursor}`);
      const body: { data: Shown[]; next_cursor: string | null } = await response.json();
      seen.push(...body.data.map(({ id }) => id));
      cursor = body.next_cursor;
    }
    expect(seen).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)));
  });

  it("are no business of a key of scope images", async () => {
    const { id, key } = await keyOf({ scopes: ["images"] });
    const before = await listed();
    await expectError(await make(key, { scopes: ["images"] }), "scope_denied");
    await expectError(await list(key), "scope_denied");
    for (const target of [id, tenant.keyId, "key-0000000000000000"]) {
      await expectError(await rotate(key, target), "scope_denied");
      await expectError(await revoke(key, target), "scope_denied");
    }
    expect(await listed()).toEqual(before);
  });
});

describe("a key that makes keys", () => {
  const soon = seconds() + 3_600;
  const browser = { kind: "browser", allowed_origins: [page.origin] };
  const attempts: [string, object, object, string][] = [
    ["of manage, one of images", { scopes: ["manage"] }, { scopes: ["images"] }, "scopes"],
    ["of manage, one of both", { scopes: ["manage"] }, { scopes: ["manage", "images"] }, "scopes"],
    ["of manage, one of the default scopes", { scopes: ["manage"] }, {}, "scopes"],
    ["of manage, one for browsers", { scopes: ["manage"] }, browser, "scopes"],
    ["of one model, another", { models: ["wan-2.7-image"] }, { models: ["wan-2.7-image-pro"] }, "models"],
    [
      "of one model, both",
      { models: ["wan-2.7-image"] },
      { models: ["wan-2.7-image", "wan-2.7-image-pro"] },
      "models",
    ],
    ["of one model, all there are", { models: ["wan-2.7-image"] }, {}, "models"],
    ["of one model, null", { models: ["wan-2.7-image"] }, { models: null }, "models"],
    ["that expires, one that never does", { expires_at: soon }, {}, "expires_at"],
    ["that expires, one that says so", { expires_at: soon }, { expires_at: null }, "expires_at"],
    ["that expires, one a second later", { expires_at: soon }, { expires_at: soon + 1 }, "expires_at"],
    ["that expires, one for browsers", { expires_at: soon }, browser, "expires_at"],
  ];

  it.each(attempts)("makes none that may do more: %s", async (_what, own, wanted, field) => {
    const { key } = await keyOf(own);
    const before = await listed();
    await expectError(await make(key, wanted), "invalid_request", field);
    expect(await listed()).toEqual(before);
  });

  it("makes one that may do as much", async () => {
    const own = { scopes: ["manage"], models: ["wan-2.7-image"], expires_at: soon };
    const { key } = await keyOf(own);
    expect(await made(await make(key, own))).toMatchObject(own);
  });

  it.each([
    ["of scope images", { scopes: ["manage"] }, { scopes: ["images"] }],
    ["of both scopes", { scopes: ["manage"] }, {}],
    ["for browsers", { scopes: ["manage"] }, browser],
    ["of more models", { models: ["wan-2.7-image"] }, {}],
    ["that lives longer", { expires_at: soon }, { expires_at: soon + 1 }],
  ])("takes over none %s by rotation", async (_what, own, target) => {
    const { key } = await keyOf(own);
    const { id } = await keyOf(target);
    const before = await listed();
    await expectError(await rotate(key, id, 60), "scope_denied");
    expect(await listed()).toEqual(before);
  });
});

describe("rotating a key", () => {
  it("gives one that is as the old one was; both work during the overlap, then the new one only", async () => {
    const settings = { name: "server", scopes: ["images", "manage"], models: ["wan-2.7-image"] };
    const old = await keyOf({ ...settings, limits: { images_per_day: 50 } });
    const fresh = await made(await rotate(tenant.key, old.id, 600));
    expect(fresh).toMatchObject({ ...settings, limits: { images_per_day: 50 }, expires_at: null });
    expect(fresh.id).not.toBe(old.id);
    gateway.advance(599_999);
    await expectAlive(old.key);
    await expectAlive(fresh.key);
    gateway.advance(1);
    await expectDead(old.key);
    await expectAlive(fresh.key);
  });

  it("without an overlap ends the old one at once, its own too", async () => {
    const old = await keyOf({});
    const { key } = await made(await rotate(old.key, old.id));
    await expectDead(old.key);
    await expectAlive(key);
  });

  it("neither prolongs a key that expires nor revives one that is dead", async () => {
    const expires_at = seconds() + 100;
    const old = await keyOf({ expires_at });
    expect(await made(await rotate(old.key, old.id, 1_000))).toMatchObject({ expires_at });
    expect((await listed()).find(({ id }) => id === old.id)).toMatchObject({ expires_at });
    const gone = await keyOf({});
    await revoke(tenant.key, gone.id);
    await expectError(await rotate(tenant.key, gone.id), "not_found");
    gateway.advance(100_000);
    await expectError(await rotate(tenant.key, old.id), "not_found");
  });

  it.each([-1, 2_592_001, 0.5, "60", null])("refuses an overlap of %j", async (overlap) => {
    const response = await gateway.post(
      `/v1/keys/${tenant.keyId}/rotate`,
      { overlap_seconds: overlap },
      bearer(tenant.key),
    );
    await expectError(response, "invalid_request", "overlap_seconds");
  });
});

describe("revoking a key", () => {
  it("holds at the next request, whatever it is, and a second time changes nothing", async () => {
    const { id, key } = await keyOf({});
    await expectAlive(key);
    expect((await revoke(tenant.key, id)).status).toBe(204);
    await expectDead(key);
    const once = (await listed()).find((shown) => shown.id === id);
    expect(once).toMatchObject({ revoked_at: seconds() });
    gateway.advance(5_000);
    expect((await revoke(tenant.key, id)).status).toBe(204);
    expect((await listed()).find((shown) => shown.id === id)).toEqual(once);
  });

  it("may be by the key itself", async () => {
    const { id, key } = await keyOf({});
    expect((await revoke(key, id)).status).toBe(204);
    await expectDead(key);
  });

  it("that is not there is not found", async () => {
    for (const id of ["key-0000000000000000", "key-", "%25"]) {
      await expectError(await revoke(tenant.key, id), "not_found");
    }
  });
});
