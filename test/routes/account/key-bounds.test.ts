/** What a tenant's own keys can do to each other and to their tenant has an end, and what is stopped is stopped. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { insertKey, revokeKey } from "../../../src/d1/tenants/keys.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { expectError, makeKey, recordBindings, submit } from "../../helpers/routes.ts";
import { keyOf } from "../../helpers/tenant-object.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  bindings.broken.clear();
  tenant = await gateway.makeTenant();
});

const make = (fields: object = {}, key = tenant.key) =>
  gateway.post("/v1/keys", { name: "one", kind: "secret", ...fields }, bearer(key));
const revoke = (id: string, key = tenant.key) =>
  gateway.fetch(`/v1/keys/${id}`, { method: "DELETE", headers: bearer(key) });
const rotate = (id: string, overlap: number, key = tenant.key) =>
  gateway.post(`/v1/keys/${id}/rotate`, { overlap_seconds: overlap }, bearer(key));
const made = async (response: Response) => {
  expect(response.status).toBe(201);
  return (await response.json()) as { id: string; key: string };
};
const countOf = async (sql: string) =>
  (await env.DB.prepare(sql).bind(tenant.id).first<{ count: number }>())?.count;
const aliveKeys = () =>
  countOf("SELECT count(*) AS count FROM keys WHERE tenant_id = ?1 AND revoked_ms IS NULL");

/** Gives the tenant keys beside its own, without their objects' knowing. */
async function fill(count: number): Promise<void> {
  const key = keyOf("key-00000000000000x0", { createdMs: gateway.now() });
  await env.DB.batch(
    Array.from({ length: count }, (_, i) =>
      insertKey(env.DB, tenant.id, { ...key, id: `key-${String(i).padStart(16, "0")}` }),
    ),
  );
}

describe("a tenant's keys that are alive", () => {
  it("are a hundred, of however many that are asked for at once", async () => {
    await fill(97);
    const replies = await Promise.all(Array.from({ length: 6 }, () => make()));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([201, 201, 409, 409, 409, 409]);
    await expectError(await make(), "key_limit");
    await expectError(
      await gateway.admin("POST", `/tenants/${tenant.id}/keys`, { name: "x", kind: "secret" }),
      "key_limit",
    );
    expect(await aliveKeys()).toBe(100);
  });

  it("make room when they are revoked or expire, and are more with the operator's leave", async () => {
    await fill(98);
    const expires_at = Math.floor(gateway.now() / 1000) + 60;
    const { id } = await made(await make({ expires_at }));
    await expectError(await make(), "key_limit");
    expect((await revoke(id)).status).toBe(204);
    await made(await make({ expires_at }));
    await expectError(await make(), "key_limit");
    gateway.advance(120_000);
    await made(await make());
    await expectError(await make(), "key_limit");
    const more = await gateway.admin("PATCH", `/tenants/${tenant.id}`, { max_keys: 101 });
    expect(await more.json()).toMatchObject({ max_keys: 101 });
    await made(await make());
    await expectError(await make(), "key_limit");
    await expectError(
      await gateway.admin("PATCH", `/tenants/${tenant.id}`, { max_keys: 1_001 }),
      "invalid_request",
      "max_keys",
    );
  });

  it("are one more while one is replaced, and the refused replacement ends nothing", async () => {
    await fill(98);
    const { id } = await made(await make());
    const next = await made(await rotate(id, 3_600));
    await expectError(await rotate(next.id, 3_600), "key_limit");
    expect((await submit(gateway, next.key)).status).toBe(200);
    gateway.advance(3_600_000);
    await made(await rotate(next.id, 0));
  });

  it("are replaced at once where there are more than there may be", async () => {
    const { id } = await made(await make());
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, { max_keys: 1 });
    await expectError(await rotate(id, 60), "key_limit");
    await made(await rotate(id, 0));
  });

  it("that are not made leave nothing in the audit log", async () => {
    await fill(99);
    const count = () => countOf("SELECT count(*) AS count FROM audit_log WHERE tenant_id = ?1");
    const before = await count();
    await expectError(await make(), "key_limit");
    expect(await count()).toBe(before);
  });
});

describe("a key that is revoked", () => {
  it("is not replaced, also where the two come at once", async () => {
    const { id } = await made(await make());
    const key = keyOf("key-00000000000000x1", { createdMs: gateway.now() });
    await revokeKey(env.DB, tenant.id, id, gateway.now()).run();
    expect((await insertKey(env.DB, tenant.id, key, id).run()).meta.changes).toBe(0);
  });

  it("or a tenant that is suspended stops, although its object takes no settings", async () => {
    const { id, key } = await made(await make());
    expect((await submit(gateway, key)).status).toBe(200);
    bindings.broken.add("object takeConfig");
    await expectError(await revoke(id), "unavailable");
    await expectError(await submit(gateway, key), "invalid_key");
    expect((await submit(gateway, tenant.key)).status).toBe(200);
    const suspended = await gateway.admin("PATCH", `/tenants/${tenant.id}`, { status: "suspended" });
    await expectError(suspended, "unavailable");
    await expectError(await submit(gateway, tenant.key), "tenant_suspended");
    bindings.broken.clear();
    expect((await gateway.admin("PATCH", `/tenants/${tenant.id}`, { status: "active" })).status).toBe(200);
    expect((await submit(gateway, tenant.key)).status).toBe(200);
    await expectError(await submit(gateway, key), "invalid_key");
  });
});

describe.each([
  ["revoked", "invalid_key"],
  ["suspended with its tenant", "tenant_suspended"],
] as const)("a key that is %s between its check and what it changes", (how, code) => {
  const stop = (id: string) =>
    how === "revoked"
      ? revokeKey(env.DB, tenant.id, id, gateway.now()).run()
      : env.DB.prepare("UPDATE tenants SET status = 'suspended' WHERE id = ?1").bind(tenant.id).run();
  /** Stops the key once it has been checked. */
  const racing = (id: string) => {
    let checks = 0;
    return startGateway({
      beside: gateway,
      around: async (name, call) => {
        const result = await call();
        if (name === "D1" && ++checks === 1) await stop(id);
        return result;
      },
    });
  };
  const json = { "content-type": "application/json" };

  it.each([
    ["makes no key", "POST", () => "/v1/keys", { name: "child", kind: "secret" }],
    ["replaces none", "POST", (other: string) => `/v1/keys/${other}/rotate`, {}],
    ["revokes none", "DELETE", (other: string) => `/v1/keys/${other}`, undefined],
    ["sets no webhook", "PUT", () => "/v1/webhook", { url: "https://shop.example/hook" }],
    ["removes no webhook, nor its deliveries", "DELETE", () => "/v1/webhook", undefined],
  ] as const)("%s", async (_what, method, path, body) => {
    const actor = await made(await make());
    const other = await made(await make());
    await env.DB.batch([
      env.DB.prepare("INSERT INTO endpoints VALUES (?1, 'webhook', 9, 0, NULL)").bind(tenant.id),
      env.DB.prepare(
        "INSERT INTO gone_urls (tenant_id, url, at_ms) VALUES (?1, 'https://shop.example/hook', 0)",
      ).bind(tenant.id),
      env.DB.prepare(
        `INSERT INTO deliveries (id, tenant_id, endpoint, event, data, created_ms, due_ms)
         VALUES ('msg-' || ?1, ?1, 'webhook', 'balance.low', '{}', 0, 0)`,
      ).bind(tenant.id),
    ]);
    const response = await racing(actor.id).fetch(path(other.id), {
      method,
      headers: { ...bearer(actor.key), ...json },
      ...(body && { body: JSON.stringify(body) }),
    });
    await expectError(response, code);
    await env.DB.prepare("UPDATE tenants SET status = 'active' WHERE id = ?1").bind(tenant.id).run();
    expect(await aliveKeys()).toBe(how === "revoked" ? 2 : 3);
    expect((await submit(gateway, other.key)).status).toBe(200);
    const webhook = await gateway.fetch("/v1/webhook", { headers: bearer(tenant.key) });
    expect(await webhook.json()).toMatchObject({ url: null });
    const found = await env.DB.prepare(
      `SELECT (SELECT failures FROM endpoints WHERE tenant_id = ?1) AS failures,
         (SELECT count(*) FROM gone_urls WHERE tenant_id = ?1) AS gone,
         (SELECT state FROM deliveries WHERE tenant_id = ?1) AS delivery`,
    ).bind(tenant.id);
    expect(await found.first()).toEqual({ failures: 9, gone: 1, delivery: "pending" });
  });
});

describe("a key of scope manage", () => {
  it("neither revokes nor replaces one that may more than itself", async () => {
    const { id: whole } = await makeKey(gateway, tenant.id, {});
    const { key: manager } = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    const { key: bound } = await makeKey(gateway, tenant.id, { limits: { images_per_day: 5 } });
    for (const key of [manager, bound]) {
      await expectError(await revoke(whole, key), "scope_denied");
      await expectError(await rotate(whole, 0, key), "scope_denied");
    }
    const { id: like } = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    expect((await revoke(like, manager)).status).toBe(204);
  });

  it("that is the last one stays, unless the operator revokes it", async () => {
    await makeKey(gateway, tenant.id, { scopes: ["images"] });
    await expectError(await revoke(tenant.keyId), "scope_denied");
    const { id, key } = await made(await make());
    expect((await revoke(tenant.keyId)).status).toBe(204);
    await expectError(await revoke(id, key), "scope_denied");
    const byOperator = await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${id}`);
    expect(byOperator.status).toBe(204);
    await expectError(await revoke(id, key), "invalid_key");
  });

  it.each([
    ["has limits of its own, with which it makes none", () => ({ limits: { images_per_day: 5 } })],
    ["ends before it does", () => ({ expires_at: Math.floor(gateway.now() / 1000) + 60 })],
    ["has fewer scopes", () => ({ scopes: ["manage"] })],
    ["has fewer models", () => ({ models: ["wan-2.7-image"] })],
  ])("stays where the only other one %s", async (_what, settings) => {
    const { key } = await made(await make(settings()));
    for (const by of [tenant.key, key]) await expectError(await revoke(tenant.keyId, by), "scope_denied");
    const { id } = await made(await make());
    expect((await revoke(tenant.keyId)).status).toBe(204);
    expect(id).toBeTruthy();
  });

  it("stays also where two revoke each other", async () => {
    const other = await made(await make());
    await Promise.all([revoke(other.id), revoke(tenant.keyId, other.key)]);
    expect(await aliveKeys()).toBe(1);
  });

  it("is not replaced by one that has been replaced itself, and ends with its overlap", async () => {
    const old = await made(await make());
    await made(await rotate(old.id, 60));
    const [{ id } = { id: "" }] = (
      (await (await gateway.fetch("/v1/keys?limit=100", { headers: bearer(tenant.key) })).json()) as {
        data: { id: string; expires_at: number | null }[];
      }
    ).data.filter((one) => one.id !== old.id && one.id !== tenant.keyId);
    expect((await revoke(id)).status).toBe(204);
    // What is left beside this one ends in a minute.
    await expectError(await revoke(tenant.keyId), "scope_denied");
  });
});

describe("the audit log", () => {
  it("keeps a thousand of a tenant's own changes, and all of the operator's", async () => {
    const entry = (actor: string, count: number) =>
      env.DB.prepare(
        `INSERT INTO audit_log (id, at_ms, actor, action, tenant_id, subject, details, request_id)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3)
         SELECT 'aud-' || ?1 || printf('%05d', i), 0, ?1, 'key.create', ?2, NULL, '{}', 'req-1' FROM n`,
      )
        .bind(actor, tenant.id, count)
        .run();
    await entry("key-0", 1_004);
    await entry("admin", 1_004);
    const { id } = await made(await make());
    await revoke(id);
    const own = "SELECT count(*) AS count FROM audit_log WHERE tenant_id = ?1 AND actor <> 'admin'";
    expect(await countOf(own)).toBe(1_000);
    expect(await countOf(own.replace("<>", "="))).toBeGreaterThanOrEqual(1_004);
  });
});
