import { describe, expect, it } from "vitest";
import type { StoredKey } from "../../src/domain/keys.ts";
import { defaultLimits } from "../../src/domain/limits.ts";
import { checkKey, type TenantStatus } from "../../src/domain/tenant.ts";
import { t0 } from "./build.ts";

const good: StoredKey = {
  id: "key-0123456789abcdef",
  kind: "secret",
  hash: "a".repeat(64),
  scopes: ["images", "manage"],
  expiresMs: null,
  revokedMs: null,
};
const presented = { hash: good.hash, scope: "images" as const };

function check(over: Partial<StoredKey> = {}, status: TenantStatus = "active", shown = {}) {
  return checkKey({ ...good, ...over }, status, { ...presented, ...shown }, t0);
}

describe("a stored key", () => {
  it("opens what its scopes name", () => {
    expect(check()).toBeUndefined();
    expect(check({ scopes: ["manage"] }, "active", { scope: "manage" })).toBeUndefined();
  });

  it("refuses a scope that it does not have", () => {
    expect(check({ scopes: ["manage"] })).toBe("scope_denied");
    expect(check({ scopes: ["images"] }, "active", { scope: "manage" })).toBe("scope_denied");
    expect(check({ scopes: [] })).toBe("scope_denied");
  });

  it("that does not exist is an invalid one", () => {
    expect(checkKey(undefined, "active", presented, t0)).toBe("invalid_key");
    expect(checkKey(undefined, "suspended", presented, t0)).toBe("invalid_key");
  });

  it.each(["b".repeat(64), "A".repeat(64), "a".repeat(63), "", `${good.hash} `])(
    "refuses a key with another hash: %j",
    (hash) => {
      expect(check({}, "active", { hash })).toBe("invalid_key");
    },
  );

  it("works until the millisecond in which it expires", () => {
    expect(check({ expiresMs: t0 + 1 })).toBeUndefined();
    expect(check({ expiresMs: t0 })).toBe("invalid_key");
    expect(check({ expiresMs: t0 - 1 })).toBe("invalid_key");
    expect(check({ expiresMs: 0 })).toBe("invalid_key");
  });

  it("works until the millisecond from which it is revoked", () => {
    expect(check({ revokedMs: t0 + 1 })).toBeUndefined();
    expect(check({ revokedMs: t0 })).toBe("invalid_key");
    expect(check({ revokedMs: 0 })).toBe("invalid_key");
  });

  it("of a suspended tenant says so", () => {
    expect(check({}, "suspended")).toBe("tenant_suspended");
  });
});

describe("of several reasons to refuse a key", () => {
  it("one that is not valid comes first, so that only a key's holder hears of the tenant", () => {
    expect(check({}, "suspended", { hash: "b" })).toBe("invalid_key");
    expect(check({ revokedMs: t0 }, "suspended")).toBe("invalid_key");
    expect(check({ expiresMs: t0 }, "suspended")).toBe("invalid_key");
    expect(check({ revokedMs: t0, scopes: [] })).toBe("invalid_key");
  });

  it("the tenant's suspension comes before the key's scopes", () => {
    expect(check({ scopes: [] }, "suspended")).toBe("tenant_suspended");
  });
});

describe("a tenant's limits", () => {
  it("are 600 requests a minute when nothing else is said", () => {
    expect(defaultLimits.requests_per_minute).toBe(600);
  });
});
