import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { readMaintenance } from "../../../src/d1/cron/maintenance.ts";
import {
  firstKey,
  insertKey,
  type ListedKey,
  listKeys,
  revokeKey,
  selectKey,
} from "../../../src/d1/tenants/keys.ts";
import {
  findTenant,
  insertTenant,
  listTenants,
  loadTenantConfig,
  markPushed,
  type Tenant,
  updateTenant,
} from "../../../src/d1/tenants/tenants.ts";
import { keyLimits } from "../../../src/domain/admission.ts";
import { raiseVersion } from "../../helpers/seed.ts";

const db = env.DB;
const limitsOf = keyLimits;
const t0 = 1_900_000_000_000;

beforeEach(async () => {
  await db.batch([db.prepare("DELETE FROM tenants"), db.prepare("DELETE FROM keys")]);
});

const webhookSecret = "whsec_c2VjcmV0IG9mIGEgdGVzdCB0ZW5hbnQu";

function tenantOf(id: string, over: Partial<Tenant> = {}): Tenant {
  return {
    id,
    name: `Tenant ${id}`,
    status: "active",
    limits: limitsOf({ requests_per_minute: 37 }),
    prices: {},
    models: null,
    prepaid: false,
    openingBalance: 0,
    lowBalance: null,
    turnstileSecret: null,
    retentionDays: null,
    maxKeys: 100,
    locationHint: null,
    webhook: { url: null, events: null, notifyUrl: null, off: null },
    createdMs: t0,
    deletedMs: null,
    ...over,
  };
}

function keyOf(id: string, over: Partial<ListedKey> = {}): ListedKey {
  return {
    id,
    kind: "secret",
    name: "a key",
    hash: id.padEnd(64, "0"),
    scopes: ["images", "manage"],
    allowedOrigins: [],
    models: null,
    limits: {},
    token: { ttlSeconds: 600, maxImages: 10 },
    createdMs: t0,
    expiresMs: null,
    revokedMs: null,
    ...over,
  };
}

/** Whether a statement changed a row. */
const changes = async (statement: D1PreparedStatement) => (await statement.run()).meta.changes > 0;
const versionOf = async (id: string) => (await loadTenantConfig(db, id, t0))?.version;

describe("a tenant", () => {
  it("is read as it was written", async () => {
    const tenant = tenantOf("acme", { limits: limitsOf({ requests_per_minute: null }), name: "Ac'me — 灯" });
    expect(await insertTenant(db, tenant, webhookSecret)).toBe(true);
    expect(await findTenant(db, "acme")).toEqual(tenant);
    expect(await findTenant(db, "ACME")).toBeUndefined();
  });

  it("of an id that is taken is not written, and the first one stays", async () => {
    await insertTenant(db, tenantOf("acme"), webhookSecret);
    expect(await insertTenant(db, tenantOf("acme", { name: "Thief" }), webhookSecret)).toBe(false);
    expect(await findTenant(db, "acme")).toEqual(tenantOf("acme"));
  });

  it("is made once of many attempts at once", async () => {
    const attempts = await Promise.all(
      Array.from({ length: 6 }, () => insertTenant(db, tenantOf("acme"), webhookSecret)),
    );
    expect(attempts.filter(Boolean)).toHaveLength(1);
  });

  it("is changed in what can be changed, by one version", async () => {
    await insertTenant(db, tenantOf("acme"), webhookSecret);
    const changed = tenantOf("acme", {
      name: "B",
      status: "suspended",
      limits: limitsOf({ requests_per_minute: 1 }),
    });
    const { id: _same, createdMs: _too, deletedMs: _not, openingBalance: _fixed, ...change } = changed;
    expect(await updateTenant(db, "acme", change)).toEqual(changed);
    expect(await findTenant(db, "acme")).toEqual(changed);
    expect(await versionOf("acme")).toBe(2);
    expect(await updateTenant(db, "no-such", change)).toBeUndefined();
  });

  it("keeps what a change leaves out, also when several change it at once", async () => {
    await insertTenant(db, tenantOf("acme"), webhookSecret);
    expect(await updateTenant(db, "acme", {})).toEqual(tenantOf("acme"));
    await Promise.all([
      updateTenant(db, "acme", { name: "B" }),
      updateTenant(db, "acme", { status: "suspended" }),
      updateTenant(db, "acme", { limits: { requests_per_minute: 5 } }),
    ]);
    const limits = limitsOf({ requests_per_minute: 5 });
    expect(await findTenant(db, "acme")).toEqual(
      tenantOf("acme", { name: "B", status: "suspended", limits }),
    );
    expect(await versionOf("acme")).toBe(5);
  });

  it("may lose a limit: null is none, and not left out", async () => {
    await insertTenant(db, tenantOf("acme"), webhookSecret);
    const changed = await updateTenant(db, "acme", { limits: { requests_per_minute: null } });
    expect(changed?.limits).toEqual(limitsOf({}));
    expect((await loadTenantConfig(db, "acme", t0))?.limits).toEqual(limitsOf({}));
  });

  it("is listed by its id, page by page", async () => {
    for (const id of ["ccc", "aaa", "ddd", "bbb"]) await insertTenant(db, tenantOf(id), webhookSecret);
    const names = async (after: string, limit: number) =>
      (await listTenants(db, after, limit)).map((tenant) => tenant.id);
    expect(await names("", 3)).toEqual(["aaa", "bbb", "ccc"]);
    expect(await names("ccc", 3)).toEqual(["ddd"]);
    expect(await names("ddd", 3)).toEqual([]);
  });
});

describe("a key", () => {
  beforeEach(async () => {
    await insertTenant(db, tenantOf("acme"), webhookSecret);
    await insertTenant(db, tenantOf("other"), webhookSecret);
  });

  async function find(tenantId: string, id: string) {
    const [result] = await db.batch([selectKey(db, tenantId, id)]);
    return firstKey(result);
  }

  it("is read as it was written, with its tenant's status", async () => {
    const key = keyOf("key-1", { scopes: ["manage"], expiresMs: t0 + 1 });
    expect(await changes(insertKey(db, "acme", key))).toBe(true);
    expect(await find("acme", "key-1")).toEqual({
      key,
      tenant: { status: "active", models: null, prices: {}, turnstileSecret: null },
    });
    await updateTenant(db, "acme", { status: "suspended" });
    expect(await find("acme", "key-1")).toMatchObject({ tenant: { status: "suspended" } });
  });

  it("is not written for a tenant that does not exist", async () => {
    expect(await changes(insertKey(db, "no-such", keyOf("key-1")))).toBe(false);
    expect(await listKeys(db, "no-such", "", 10)).toEqual([]);
  });

  it("is no other tenant's", async () => {
    await insertKey(db, "acme", keyOf("key-1")).run();
    expect(await find("other", "key-1")).toBeUndefined();
    expect(await listKeys(db, "other", "", 10)).toEqual([]);
    expect(await changes(revokeKey(db, "other", "key-1", t0))).toBe(false);
    expect((await find("acme", "key-1"))?.key.revokedMs).toBeNull();
  });

  it("of an id that is taken is refused", async () => {
    await insertKey(db, "acme", keyOf("key-1")).run();
    await expect(insertKey(db, "acme", keyOf("key-1", { hash: "x" })).run()).rejects.toThrow();
    expect((await find("acme", "key-1"))?.key.hash).toBe(keyOf("key-1").hash);
  });

  it("is revoked once: a second time does not move the moment", async () => {
    await insertKey(db, "acme", keyOf("key-1")).run();
    expect(await changes(revokeKey(db, "acme", "key-1", t0 + 5))).toBe(true);
    expect(await changes(revokeKey(db, "acme", "key-1", t0 + 9))).toBe(false);
    expect((await find("acme", "key-1"))?.key.revokedMs).toBe(t0 + 5);
    expect(await changes(revokeKey(db, "acme", "key-2", t0))).toBe(false);
  });

  it("is listed by its id, page by page, revoked ones too", async () => {
    for (const id of ["key-3", "key-1", "key-2"]) await insertKey(db, "acme", keyOf(id)).run();
    await revokeKey(db, "acme", "key-2", t0).run();
    expect(await listKeys(db, "acme", "", 2)).toEqual([keyOf("key-1"), keyOf("key-2", { revokedMs: t0 })]);
    expect(await listKeys(db, "acme", "key-2", 2)).toEqual([keyOf("key-3")]);
  });
});

describe("the copy for a tenant's object", () => {
  beforeEach(() => insertTenant(db, tenantOf("acme"), webhookSecret));

  it("holds what it decides by, and only keys that may still be used", async () => {
    const keys = [
      keyOf("key-good"),
      keyOf("key-later", { expiresMs: t0 + 1 }),
      keyOf("key-overlap"),
      keyOf("key-expired", { expiresMs: t0 }),
      keyOf("key-revoked"),
    ];
    for (const key of keys) await insertKey(db, "acme", key).run();
    await revokeKey(db, "acme", "key-overlap", t0 + 1).run();
    await revokeKey(db, "acme", "key-revoked", t0).run();
    const copy = await loadTenantConfig(db, "acme", t0);
    expect(copy).toMatchObject({ version: 1, status: "active", limits: { requests_per_minute: 37 } });
    expect(copy?.keys.map((key) => key.id)).toEqual(["key-good", "key-later", "key-overlap"]);
    expect(copy?.keys[0]).toEqual(keyOf("key-good"));
  });

  it("is none when there is no such tenant", async () => {
    expect(await loadTenantConfig(db, "no-such", t0)).toBeUndefined();
  });

  it("lags until the newest version was acknowledged", async () => {
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toEqual(["acme"]);
    await markPushed(db, "acme", 1);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toEqual([]);
    await raiseVersion("acme");
    await raiseVersion("acme");
    expect(await versionOf("acme")).toBe(3);
    await markPushed(db, "acme", 2);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toEqual(["acme"]);
    await markPushed(db, "acme", 3);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toEqual([]);
  });

  it("does not lag again because an older acknowledgement comes late", async () => {
    await raiseVersion("acme");
    await markPushed(db, "acme", 2);
    await markPushed(db, "acme", 1);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toEqual([]);
  });

  it("is pushed again for a bounded number of tenants at a time", async () => {
    for (const id of ["bbb", "ccc"]) await insertTenant(db, tenantOf(id), webhookSecret);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 2)).toHaveLength(2);
    expect((await readMaintenance(db, 0)).unpushed.slice(0, 10)).toHaveLength(3);
  });
});
