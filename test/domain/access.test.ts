/** Who may do what, by kind of key: what a browser key may not do is as important as what it may. */
import { describe, expect, it } from "vitest";
import { type Action, allowedModels, type Caller, checkAccess } from "../../src/domain/access.ts";
import type { StoredKey } from "../../src/domain/keys.ts";
import type { Model } from "../../src/domain/model-catalog.ts";
import type { TenantStatus } from "../../src/domain/tenant.ts";
import type { TokenClaims } from "../../src/domain/tokens.ts";
import { t0 } from "../helpers/domain-values.ts";

const page = "https://app.example";

const good: StoredKey = {
  id: "key-0123456789abcdef",
  kind: "secret",
  hash: "a".repeat(64),
  scopes: ["images", "manage"],
  allowedOrigins: [page],
  models: null,
  limits: {},
  token: { ttlSeconds: 600, maxImages: 10 },
  expiresMs: null,
  revokedMs: null,
};
const secret: Caller = {
  kind: "secret",
  tenantId: "acme",
  keyId: good.id,
  keyHash: good.hash,
  token: null,
  page: { origin: null, sameOrigin: false },
};
const onPage = { origin: page, sameOrigin: false };
const browser: Caller = { ...secret, kind: "browser", page: onPage };
const claims: TokenClaims = {
  id: "tok-1",
  tenantId: "acme",
  keyId: good.id,
  expiresMs: t0 + 1,
  maxImages: 3,
  allowedOrigins: [page],
  models: null,
  endUser: null,
};
const withToken = (over: Partial<TokenClaims> = {}): Caller => ({
  ...browser,
  kind: "token",
  keyHash: null,
  token: { ...claims, ...over },
});

interface Case {
  key?: Partial<StoredKey>;
  status?: TenantStatus;
  models?: Model[];
  action?: Action;
  model?: Model;
}

function check(caller: Caller, { key = {}, status = "active", models, action = "submit", model }: Case = {}) {
  const asked = model === undefined ? { action } : { action, model };
  return checkAccess(caller, { ...good, ...key }, { status, models: models ?? null }, asked, t0);
}

describe("a stored key", () => {
  it("that does not exist is an invalid one", () => {
    for (const status of ["active", "suspended"] as const) {
      const gate = { status, models: null };
      expect(checkAccess(secret, undefined, gate, { action: "read" }, t0)).toBe("invalid_key");
    }
  });

  it.each(["b".repeat(64), "A".repeat(64), "a".repeat(63), "", `${good.hash} `])(
    "refuses a key with another hash: %j",
    (keyHash) => {
      expect(check({ ...secret, keyHash })).toBe("invalid_key");
    },
  );

  it.each(["expiresMs", "revokedMs"] as const)("works until the millisecond of its %s", (field) => {
    expect(check(secret, { key: { [field]: t0 + 1 } })).toBeUndefined();
    for (const ms of [t0, t0 - 1, 0]) expect(check(secret, { key: { [field]: ms } })).toBe("invalid_key");
  });

  it("of a suspended tenant says so", () => {
    for (const caller of [secret, browser, withToken()]) {
      expect(check(caller, { status: "suspended" })).toBe("tenant_suspended");
    }
  });
});

describe("of several reasons to refuse a key", () => {
  it("one that is not valid comes first, so that only a key's holder hears of the tenant", () => {
    expect(check({ ...secret, keyHash: "b" }, { status: "suspended" })).toBe("invalid_key");
    expect(check(secret, { status: "suspended", key: { revokedMs: t0 } })).toBe("invalid_key");
    expect(check(secret, { status: "suspended", key: { expiresMs: t0 } })).toBe("invalid_key");
    expect(check(withToken({ expiresMs: t0 }), { status: "suspended" })).toBe("invalid_key");
  });

  it("the tenant's suspension comes before the key's scopes", () => {
    expect(check(secret, { status: "suspended", key: { scopes: [] } })).toBe("tenant_suspended");
  });
});

const all: Action[] = [
  "submit",
  "read",
  "list",
  "cancel",
  "upload",
  "delete",
  "delete_file",
  "manage",
  "quote",
  "mint",
];
const may = (caller: Caller, key: Partial<StoredKey> = {}) =>
  all.filter((action) => check(caller, { key, action }) === undefined);

describe("what may be done", () => {
  it.each([
    ["a secret key of both scopes", secret, {}, all],
    [
      "one of images",
      secret,
      { scopes: ["images"] },
      ["submit", "read", "list", "cancel", "upload", "delete", "delete_file", "quote", "mint"],
    ],
    ["one of manage", secret, { scopes: ["manage"] }, ["manage", "quote"]],
    ["one of none", secret, { scopes: [] }, []],
    ["a browser key", browser, {}, ["submit", "read", "quote", "mint"]],
    ["a client token", withToken(), {}, ["submit", "read", "upload", "delete_file", "quote"]],
    [
      "one for an end user",
      withToken({ endUser: "u-1" }),
      {},
      ["submit", "read", "list", "upload", "delete_file", "quote"],
    ],
  ] as [string, Caller, Partial<StoredKey>, Action[]][])("with %s", (_who, caller, key, actions) => {
    expect(may(caller, key)).toEqual(actions);
  });
});

describe("where from", () => {
  it.each([
    ["an allowed page", onPage, undefined],
    ["another page", { origin: "https://evil.example", sameOrigin: false }, "origin_not_allowed"],
    [
      "another page that claims to be the gateway's own",
      { origin: "https://evil.example", sameOrigin: true },
      "origin_not_allowed",
    ],
    ["a sandbox", { origin: "null", sameOrigin: false }, "origin_not_allowed"],
    ["no page", { origin: null, sameOrigin: false }, "origin_not_allowed"],
    ["a page of the gateway's own, by GET", { origin: null, sameOrigin: true }, undefined],
  ] as const)("a browser key or token may come: %s", (_what, from, refusal) => {
    expect(check({ ...browser, page: from })).toBe(refusal);
    expect(check({ ...withToken(), page: from })).toBe(refusal);
    expect(check({ ...secret, page: from })).toBeUndefined();
  });

  it("a token goes by its own list, not its key's", () => {
    const allowedOrigins = ["https://other.example"];
    expect(check(withToken({ allowedOrigins }))).toBe("origin_not_allowed");
    expect(
      check({
        ...withToken({ allowedOrigins }),
        page: { origin: "https://other.example", sameOrigin: false },
      }),
    ).toBeUndefined();
  });
});

describe("models", () => {
  const pro = "wan-2.7-image-pro";
  const plain = "wan-2.7-image";

  it.each([
    ["the tenant", secret, { models: [plain] }],
    ["the key", secret, { key: { models: [plain] } }],
    ["the token", withToken({ models: [plain] }), {}],
  ] as [string, Caller, Case][])("are those that %s allows", (_who, caller, limits) => {
    expect(check(caller, { ...limits, model: pro })).toBe("model_not_allowed");
    expect(check(caller, { ...limits, model: plain })).toBeUndefined();
  });

  it("must be allowed by all three", () => {
    const gate = { status: "active" as const, models: [pro] as Model[] };
    expect(allowedModels(withToken({ models: [plain] }), good, gate)).toEqual([]);
    expect(allowedModels(secret, good, gate)).toEqual([pro]);
    expect(allowedModels(secret, good, { ...gate, models: null })).toEqual([plain, pro]);
  });
});
