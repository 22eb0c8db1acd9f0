/** `/admin/api/tenants/{id}/keys`: making, listing and revoking a tenant's keys. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { sha256Hex } from "../../../src/domain/signing.ts";
import { pageThrough, typesBut } from "../../helpers/admin.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { expectError, makeKey, naming, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
const nowSeconds = Math.floor(gateway.now() / 1000);
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
});

interface Shown {
  id: string;
  revoked_at: number | null;
}

const make = (body: unknown, id = tenant.id) => gateway.admin("POST", `/tenants/${id}/keys`, body);
const revoke = (key: string, id = tenant.id, at = gateway) =>
  at.admin("DELETE", `/tenants/${id}/keys/${key}`);
const listAll = async (id = tenant.id) =>
  (await pageThrough<Shown>(gateway, `/tenants/${id}/keys`, 100)).flat();

describe("making a key", () => {
  it("shows it this once, with its defaults", async () => {
    const response = await make({ name: " server ", kind: "secret" });
    expect(response.status).toBe(201);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({
      id: expect.stringMatching(/^key-[0-9a-z]{16,}$/),
      object: "key",
      name: "server",
      kind: "secret",
      scopes: ["images", "manage"],
      allowed_origins: [],
      models: null,
      limits: {},
      token: null,
      created: Math.floor(gateway.now() / 1000),
      expires_at: null,
      revoked_at: null,
      key: expect.stringMatching(new RegExp(`^wsk_${tenant.id}_`)),
    });
  });

  it("makes one that works at once, and no two alike", async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, () => makeKey(gateway, tenant.id, {})));
    expect(new Set(keys.map((made) => made.key)).size).toBe(5);
    expect(new Set(keys.map((made) => made.id)).size).toBe(5);
    for (const { key } of keys) expect((await submit(gateway, key)).status).toBe(200);
  });

  it.each([
    { name: "n" },
    { name: "n".repeat(200) },
    { scopes: ["images"] },
    { scopes: ["manage"] },
    { scopes: ["manage", "images"] },
    { expires_at: null },
    { expires_at: nowSeconds + 1 },
    { expires_at: 4_102_444_800 },
  ])("takes what is at the bounds: %j", async (body) => {
    const response = await make({ name: "server", kind: "secret", ...body });
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject(body);
  });

  const bad: Record<string, [string, unknown][]> = {
    name: [
      ...typesBut("string"),
      ["missing", undefined],
      ["an empty text", ""],
      ["white space only", "  "],
      ["201 letters", "n".repeat(201)],
    ],
    kind: [
      ...typesBut("string"),
      ["missing", undefined],
      ["another word", "admin"],
      ["other capitals", "Secret"],
    ],
    scopes: [
      ...typesBut("array"),
      ["no scope", []],
      ["an unknown scope", ["images", "admin"]],
      ["a number in the list", [1]],
      ["null in the list", [null]],
    ],
    expires_at: [
      ...typesBut("number", "null"),
      ["a fraction", nowSeconds + 1.5],
      ["-1", -1],
      ["now", nowSeconds],
      ["a second ago", nowSeconds - 1],
      ["milliseconds", (nowSeconds + 1) * 1000],
      ["digits in a text", String(nowSeconds + 1)],
    ],
    key: [["which no caller can choose", "wsk_mine"]],
    id: [["which no caller can choose", "key-0000000000000000"]],
    plan: [["which is no field", "gold"]],
  };
  const table = Object.entries(bad).flatMap(([field, values]) =>
    values.map(([what, value]) => ({ field, what, value })),
  );

  it.each(table)("refuses a bad $field and makes none: $what", async ({ field, value }) => {
    const before = await listAll();
    const response = await make({ name: "server", kind: "secret", [field]: value });
    expect(await expectError(response, "invalid_request", field)).toMatch(naming(field));
    expect(await listAll()).toEqual(before);
  });

  it("names all that is wrong", async () => {
    const message = await expectError(
      await make({ name: 1, kind: "x", scopes: [] }),
      "invalid_request",
      "name",
    );
    for (const field of ["name", "kind", "scopes"]) expect(message).toMatch(naming(field));
  });

  it("wants a tenant", async () => {
    await expectError(await make({ name: "server", kind: "secret" }, "no-such"), "not_found");
    await expectError(await gateway.admin("GET", "/tenants/no-such/keys"), "not_found");
  });
});

describe("a key", () => {
  it("is stored as a hash only, and neither is ever shown again", async () => {
    const { id, key } = await makeKey(gateway, tenant.id, {});
    const hash = await sha256Hex(key);
    const { results } = await env.DB.prepare("SELECT * FROM keys WHERE id = ?").bind(id).all();
    expect(results).toHaveLength(1);
    const row = JSON.stringify(results);
    const [, , , secret = "", check = ""] = key.split("_");
    for (const part of [key, secret, check]) expect(row).not.toContain(part);
    expect(row).toContain(hash);

    const paths = [`/tenants/${tenant.id}/keys?limit=100`, `/tenants/${tenant.id}`, "/tenants?limit=100"];
    for (const path of paths) {
      const text = await (await gateway.admin("GET", path)).text();
      for (const part of [key, secret, check, hash]) expect(text).not.toContain(part);
    }
  });

  it("carries enough random bits, and a check value of at least 96", async () => {
    const { key } = await makeKey(gateway, tenant.id, {});
    const [, , , secret = "", check = ""] = key.split("_");
    // Five bits a character.
    expect(secret.length * 5).toBeGreaterThanOrEqual(128);
    expect(check.length * 5).toBeGreaterThanOrEqual(96);
  });
});

describe("revoking a key", () => {
  // Its clock goes on; that of the tests of bounds does not.
  const later = startGateway();

  it("stops it at once, and says when in the list", async () => {
    const { id, key } = await makeKey(gateway, tenant.id, {});
    later.advance(5_000);
    const response = await revoke(id, tenant.id, later);
    expect([response.status, await response.text()]).toEqual([204, ""]);
    await expectError(await submit(gateway, key), "invalid_key");
    const listed = (await listAll()).find((shown) => shown.id === id);
    expect(listed).toMatchObject({ revoked_at: Math.floor(later.now() / 1000) });
  });

  it("a second time changes nothing", async () => {
    const { id } = await makeKey(gateway, tenant.id, {});
    await revoke(id);
    const first = (await listAll()).find((shown) => shown.id === id);
    later.advance(60_000);
    expect((await revoke(id, tenant.id, later)).status).toBe(204);
    expect((await listAll()).find((shown) => shown.id === id)).toEqual(first);
  });

  it("of one leaves the others as they are", async () => {
    const [one, other] = await Promise.all([
      makeKey(gateway, tenant.id, {}),
      makeKey(gateway, tenant.id, {}),
    ]);
    await revoke(one.id);
    expect((await submit(gateway, other.key)).status).toBe(200);
    expect((await submit(gateway, tenant.key)).status).toBe(200);
  });

  it.each(["key-0000000000000000", "key-", "x", "%00"])("that is not there is not found: %s", async (key) => {
    await expectError(await revoke(key), "not_found");
  });

  it("works through its own tenant only", async () => {
    const other = await gateway.makeTenant();
    await expectError(await revoke(tenant.keyId, other.id), "not_found");
    await expectError(await revoke(tenant.keyId, "no-such"), "not_found");
    expect((await submit(gateway, tenant.key)).status).toBe(200);
  });
});

describe("the list of keys", () => {
  it("comes in pages that together hold each key once, those of this tenant only", async () => {
    const own = await gateway.makeTenant();
    const made = [own.keyId];
    for (let i = 0; i < 6; i++) made.push((await makeKey(gateway, own.id, { name: `No. ${i}` })).id);
    const pages = await pageThrough<Shown>(gateway, `/tenants/${own.id}/keys`, 3);
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    const byText = (a: string, b: string) => (a < b ? -1 : 1);
    expect(pages.flat().map((key) => key.id)).toEqual(made.toSorted(byText));
  });

  it("shows of each all but the key", async () => {
    const own = await gateway.makeTenant();
    const expires_at = Math.floor(gateway.now() / 1000) + 60;
    const { key, ...shown } = await makeKey(gateway, own.id, {
      name: "second",
      scopes: ["images"],
      expires_at,
    });
    const page: { object: string; data: object[] } = await (
      await gateway.admin("GET", `/tenants/${own.id}/keys`)
    ).json();
    expect(page).toMatchObject({ object: "list", next_cursor: null });
    expect(page.data).toHaveLength(2);
    expect(page.data).toContainEqual(shown);
  });

  it.each(["limit=0", "limit=101", "limit=x"])("refuses %s", async (query) => {
    const response = await gateway.admin("GET", `/tenants/${tenant.id}/keys?${query}`);
    await expectError(response, "invalid_request", "limit");
  });
});
