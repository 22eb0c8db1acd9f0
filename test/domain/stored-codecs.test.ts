/**
 * The codecs of what the domain stores, field by field: one that is absent has its default, or is an error where no default
 * would be right; one of another type is an error.
 */
import { describe, expect, it } from "vitest";
import {
  checkLimits,
  defaultLimits,
  emptyCounters,
  keyLimits,
  type Limits,
  limitNames,
  type UsageCounters,
} from "../../src/domain/admission.ts";
import { defaultTokenSettings, type StoredKey, storedKeyFields } from "../../src/domain/keys.ts";
import { createSigner } from "../../src/domain/signing.ts";
import { type Decode, readStored, record, StoredDataUnreadable, whole } from "../../src/domain/stored.ts";
import { usageCounters } from "../../src/domain/stored-counters.ts";
import { allLimits, someLimits } from "../../src/domain/stored-limits.ts";
import { type TenantConfig, tenantSettingsFields } from "../../src/domain/tenant.ts";
import { formatToken, readToken, type TokenClaims } from "../../src/domain/tokens.ts";
import { pathsOf, without, withValue } from "../helpers/absent.ts";
import { t0 } from "../helpers/domain-values.ts";

const bucket = { level: 5, atMs: t0 };
const counters: UsageCounters = {
  requests: bucket,
  images: bucket,
  open: 3,
  day: { date: "2030-03-17", images: 4, refusals: 1 },
  month: { month: "2030-03", images: 9 },
};
const limits: Limits = Object.fromEntries(limitNames.map((name, i) => [name, 11 + i])) as Record<
  keyof Limits,
  number
>;
const settings: Omit<TenantConfig, "keys"> = {
  version: 3,
  status: "active",
  limits,
  prices: { "wan-2.7-image": 12 },
  models: ["wan-2.7-image"],
  prepaid: true,
  openingBalance: 100,
  lowBalance: 50,
};
const key: StoredKey = {
  id: "key-0123456789abcdef",
  kind: "browser",
  hash: "f".repeat(64),
  scopes: ["images"],
  allowedOrigins: ["https://app.example"],
  models: ["wan-2.7-image"],
  limits: { images_per_day: 5 },
  token: { ttlSeconds: 60, maxImages: 2 },
  expiresMs: t0,
  revokedMs: t0,
};

/** What stands in for an absent field, by its path; what is not here has no default. */
type Defaults = Record<string, unknown>;
const limitDefaults = Object.fromEntries(limitNames.map((name) => [`limits.${name}`, defaultLimits[name]]));
const settingsDefaults: Defaults = {
  ...limitDefaults,
  limits: defaultLimits,
  prices: {},
  models: null,
  prepaid: false,
  openingBalance: 0,
  lowBalance: null,
};
const counterDefaults: Defaults = {
  requests: { level: 0, atMs: 0 },
  "requests.level": 0,
  "requests.atMs": 0,
  images: { level: 0, atMs: 0 },
  "images.level": 0,
  "images.atMs": 0,
  open: 0,
  day: { date: "", images: 0, refusals: 0 },
  "day.date": "",
  "day.images": 0,
  "day.refusals": 0,
  month: { month: "", images: 0 },
  "month.month": "",
  "month.images": 0,
};
const keyDefaults: Defaults = {
  allowedOrigins: [],
  models: null,
  limits: {},
  token: defaultTokenSettings,
  "token.ttlSeconds": 600,
  "token.maxImages": 10,
};
/** Maps: an absent name is none. */
const mayLack = ["prices.wan-2.7-image", "limits.images_per_day"];

const codecs: [what: string, decode: Decode<object>, value: object, defaults: Defaults][] = [
  ["usage counters", usageCounters, counters, counterDefaults],
  [
    "a tenant's settings",
    record<Omit<TenantConfig, "keys">>({ ...tenantSettingsFields, version: whole }),
    settings,
    settingsDefaults,
  ],
  ["a key", record<StoredKey>(storedKeyFields), key, keyDefaults],
];

describe.each(codecs)("the codec of %s", (_what, decode, value, defaults) => {
  const place = { table: "table", field: "body", id: "id" };
  const read = (stored: unknown) => readStored(place, decode, JSON.parse(JSON.stringify(stored)));

  it("reads what this version writes", () => {
    expect(read(value)).toEqual(value);
  });

  it("keeps a field that only a later version knows", () => {
    expect(read({ ...value, later: [1] })).toEqual({ ...value, later: [1] });
  });

  it.each(pathsOf(value).map((path) => [path.join("."), path] as const))(
    "has a default for an absent %s, or says that it is absent",
    (name, path) => {
      const stored = without(value, path);
      if (name in defaults) expect(read(stored)).toEqual(withValue(value, path, defaults[name]));
      else if (mayLack.includes(name)) expect(read(stored)).toEqual(stored);
      else
        expect(() => read(stored)).toThrow(
          expect.objectContaining({ place: { ...place, field: `body.${name}` } }),
        );
    },
  );

  it.each(pathsOf(value).map((path) => [path.join("."), path] as const))(
    "refuses a %s of another type",
    (name, path) => {
      const stored = withValue(value, path, name === "prepaid" ? 1 : true);
      expect(() => read(stored)).toThrow(StoredDataUnreadable);
      expect(() => read(stored)).toThrow(`table body.${name}`);
    },
  );
});

describe("limits", () => {
  it("that did not exist when a tenant was stored have their defaults, and admission counts by them", () => {
    const stored = allLimits({ requests_per_minute: 5 });
    expect(stored).toEqual({ ...defaultLimits, requests_per_minute: 5 });
    const { refusals, after } = checkLimits(usageCounters({}), stored, 1, t0);
    expect([refusals, after.open, after.day.images]).toEqual([[], 1, 1]);
  });

  it("that did not exist when a key was stored are none", () => {
    const stored = keyLimits(someLimits({ images_per_day: 5 }));
    expect(stored).toEqual({ ...keyLimits({}), images_per_day: 5 });
    expect(Object.values(keyLimits(someLimits({})))).toEqual(limitNames.map(() => null));
  });

  it.each([["7"], [true], [0.5], [{}]])("of another type are an error: %j", (value) => {
    for (const decode of [allLimits, someLimits] as Decode<unknown>[]) {
      expect(() =>
        readStored({ table: "t", field: "limits", id: "" }, decode, { file_bytes: value }),
      ).toThrow("t limits.file_bytes");
    }
  });
});

describe("words of a stored key and tenant", () => {
  it("that allow something which is no longer there allow nothing", () => {
    const stored = { ...key, scopes: ["images", "later"], models: ["wan-1", "wan-2.7-image"] };
    expect(record<StoredKey>(storedKeyFields)(stored)).toEqual({ ...key, models: ["wan-2.7-image"] });
  });

  it.each([
    ["kind", { ...key, kind: "later" }, record<StoredKey>(storedKeyFields) as Decode<unknown>],
    ["status", { ...settings, status: "later" }, record(tenantSettingsFields) as Decode<unknown>],
  ])("that decide are an error when they are unknown: %s", (field, stored, decode) => {
    expect(() => readStored({ table: "t", field: "", id: "" }, decode, stored)).toThrow(`t ${field} `);
  });
});

describe("a client token of another version", () => {
  const signer = createSigner("a-signing-secret-of-enough-characters", "client-token");
  const claims: TokenClaims = {
    id: "tok-1",
    tenantId: "acme",
    keyId: "key-0123456789abcdef",
    expiresMs: t0,
    maxImages: 10,
    allowedOrigins: ["https://app.example"],
    models: ["wan-2.7-image"],
    endUser: "u-1",
  };
  const { tenantId, ...signed } = claims;
  const tokenOf = (body: object) => formatToken(signer, { ...body, tenantId } as TokenClaims);

  it.each([
    ["allowedOrigins", []],
    ["models", null],
    ["endUser", null],
  ])("that lacks %s has the default", async (name, value) => {
    const token = await tokenOf(without(signed, [name]));
    expect(await readToken(signer, token)).toEqual({ ...claims, [name]: value });
  });

  it.each(["id", "keyId", "expiresMs", "maxImages"])("that lacks %s is an error", async (name) => {
    const token = await tokenOf(without(signed, [name]));
    await expect(readToken(signer, token)).rejects.toThrow(`token claims.${name} [acme]`);
  });

  it.each(Object.keys(signed))("with a %s of another type is an error", async (name) => {
    await expect(readToken(signer, await tokenOf({ ...signed, [name]: true }))).rejects.toThrow(
      `token claims.${name} [acme]`,
    );
  });
});

it("emptyCounters is what an absent scope starts with", () => {
  expect(usageCounters({})).toEqual(emptyCounters);
});
