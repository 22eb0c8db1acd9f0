import { evictDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { revokeKey } from "../../src/d1/tenants/keys.ts";
import { loadTenantConfig, updateTenant } from "../../src/d1/tenants/tenants.ts";
import { raiseVersion } from "../helpers/seed.ts";
import {
  admitMany,
  admitted,
  beginTask,
  configOf,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  storeTenant,
  stubOf,
  t0,
} from "../helpers/tenant-object.ts";

const refused = (refusal: string) => ({ kind: "key_refused", refusal });

/** What the tenant's object decides on one request with its key. */
const decide = (id: string, over = {}) => beginTask(id, requestOf(id, over));

describe("a key", () => {
  it.each([
    ["that is unknown", { keyId: "key-9999999999999999" }, "invalid_key"],
    ["of another hash", { keyHash: "0".repeat(64) }, "invalid_key"],
    ["without a hash", { keyHash: "" }, "invalid_key"],
    ["that has expired", { keyId: "key-expired", keyHash: keyOf("key-expired").hash }, "invalid_key"],
    ["that is revoked", { keyId: "key-revoked", keyHash: keyOf("key-revoked").hash }, "invalid_key"],
    ["without the scope", { keyId: "key-manage", keyHash: keyOf("key-manage").hash }, "scope_denied"],
  ])("%s is refused", async (_what, over, refusal) => {
    const id = freshId();
    const keys = [
      keyOf(),
      keyOf("key-expired", { expiresMs: t0 }),
      keyOf("key-revoked", { revokedMs: t0 }),
      keyOf("key-manage", { scopes: ["manage"] }),
    ];
    await configure(id, { keys });
    expect(await decide(id, over)).toEqual(refused(refusal));
    expect((await decide(id)).kind).toBe("admitted");
  });

  it("of a suspended tenant is refused, and works again when the tenant does", async () => {
    const id = freshId();
    await configure(id, { status: "suspended" });
    expect(await decide(id)).toEqual(refused("tenant_suspended"));
    await configure(id, { version: 2 });
    expect((await decide(id)).kind).toBe("admitted");
  });

  it("that expires does so by the Worker's clock, without a push", async () => {
    const id = freshId();
    await configure(id, { keys: [keyOf(undefined, { expiresMs: t0 + 1_000 })] });
    expect((await decide(id, { nowMs: t0 + 999 })).kind).toBe("admitted");
    expect(await decide(id, { nowMs: t0 + 1_000 })).toEqual(refused("invalid_key"));
  });

  it("that is no longer in the copy is refused from the next request on", async () => {
    const id = freshId();
    await configure(id);
    expect((await decide(id)).kind).toBe("admitted");
    await configure(id, { version: 2, keys: [] });
    expect(await decide(id)).toEqual(refused("invalid_key"));
  });
});

describe("a copy of the tenant", () => {
  it("is taken, and its version returned", async () => {
    const id = freshId();
    expect(await configure(id, { version: 3 })).toBe(3);
    expect(await configure(id, { version: 4 })).toBe(4);
  });

  it.each([1, 4, 5])("of version %i is ignored once version 5 is there", async (version) => {
    const id = freshId();
    await configure(id, { version: 5, status: "suspended" });
    const late = configOf({ version, limits: limitsOf({ requests_per_minute: 1 }), keys: [] });
    expect((await stubOf(id).takeConfig(late, t0)).version).toBe(5);
    expect(await decide(id)).toEqual(refused("tenant_suspended"));
  });

  it("of the newest version stays, in whatever order copies arrive", async () => {
    const id = freshId();
    const versions = [3, 7, 1, 5, 2, 6, 4];
    await Promise.all(
      versions.map((version) =>
        configure(id, { version, limits: limitsOf({ requests_per_minute: version }) }),
      ),
    );
    expect(admitted(await admitMany(id, 20))).toBe(7);
  });

  it("outlives an eviction", async () => {
    const id = freshId();
    await configure(id, { version: 5 });
    await evictDurableObject(objectOf(id));
    expect((await decide(id)).kind).toBe("admitted");
    expect(await configure(id, { version: 4, status: "suspended" })).toBe(5);
    expect((await decide(id)).kind).toBe("admitted");
  });

  it("may hold hundreds of keys", async () => {
    const id = freshId();
    const keys = Array.from({ length: 300 }, (_, index) => keyOf(`key-${String(index).padStart(16, "0")}`));
    await configure(id, { keys });
    const [last] = keys.slice(-1);
    expect((await decide(id, { keyId: last?.id, keyHash: last?.hash })).kind).toBe("admitted");
  });
});

describe("an object that has no copy", () => {
  it("loads it from D1", async () => {
    const id = freshId();
    await storeTenant(id);
    expect(await decide(id)).toMatchObject({ kind: "admitted", policies: [{ limit: 37, remaining: 36 }] });
  });

  it("loads it under load, and still admits exactly what the limit says", async () => {
    const id = freshId();
    await storeTenant(id);
    expect(admitted(await admitMany(id, 200))).toBe(37);
  });

  it("refuses keys that D1 does not have, has revoked, or has suspended with their tenant", async () => {
    const [unknown, revoked, suspended] = [freshId(), freshId(), freshId()];
    await storeTenant(unknown, {}, []);
    await storeTenant(revoked);
    await revokeKey(env.DB, revoked, keyOf().id, t0).run();
    await storeTenant(suspended, { status: "suspended" });
    expect(await decide(unknown)).toEqual(refused("invalid_key"));
    expect(await decide(revoked)).toEqual(refused("invalid_key"));
    expect(await decide(suspended)).toEqual(refused("tenant_suspended"));
  });

  it("of a tenant that does not exist refuses every key, and does not remember that", async () => {
    const id = freshId();
    expect(await decide(id)).toEqual(refused("invalid_key"));
    await storeTenant(id);
    expect((await decide(id)).kind).toBe("admitted");
  });

  it("keeps what it has loaded: later requests need no D1", async () => {
    const id = freshId();
    await storeTenant(id);
    await decide(id);
    await env.DB.prepare("DELETE FROM tenants WHERE id = ?1").bind(id).run();
    await evictDurableObject(objectOf(id));
    expect((await decide(id)).kind).toBe("admitted");
  });

  it("asks D1 no more once it has one: a change comes by a push", async () => {
    const id = freshId();
    await storeTenant(id);
    await decide(id);
    await updateTenant(env.DB, id, { status: "suspended" });
    expect((await decide(id)).kind).toBe("admitted");
    const pushed = await loadTenantConfig(env.DB, id, t0);
    expect(pushed && (await stubOf(id).takeConfig(pushed, t0)).version).toBe(2);
    expect(await decide(id)).toEqual(refused("tenant_suspended"));
  });

  it("takes a newer copy that is pushed later, and no older one", async () => {
    const id = freshId();
    await storeTenant(id);
    await raiseVersion(id);
    await decide(id);
    expect(await configure(id, { version: 1, status: "suspended" })).toBe(2);
    await updateTenant(env.DB, id, { status: "suspended", limits: { requests_per_minute: 1 } });
    const pushed = await loadTenantConfig(env.DB, id, t0);
    expect(pushed && (await stubOf(id).takeConfig(pushed, t0)).version).toBe(3);
    expect(await decide(id)).toEqual(refused("tenant_suspended"));
  });

  it("that gets a newer copy while it loads keeps the newer one", async () => {
    const id = freshId();
    await storeTenant(id);
    const decisions = admitMany(id, 20);
    const version = await configure(id, { version: 9, status: "suspended" });
    await decisions;
    expect(version).toBe(9);
    expect(await decide(id)).toEqual(refused("tenant_suspended"));
  });

  it("answers that it is there", async () => {
    expect(await stubOf("_ready").ping()).toBe(true);
  });
});
