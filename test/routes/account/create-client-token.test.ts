/**
 * Minting client tokens: by a tenant's server within the bounds of each field, and by a browser key for a visitor that
 * solved a Turnstile challenge, with what the key's own settings say.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readToken } from "../../../src/domain/tokens.ts";
import { typesBut } from "../../helpers/admin.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { askForToken, makeBrowserKey, page, submitFrom } from "../../helpers/page-visitor.ts";
import { expectError, makeKey, naming } from "../../helpers/routes.ts";

let asked: Record<string, unknown>[] = [];
let answer = () => Response.json({ success: true });
const gateway = startGateway({
  turnstile: (form) => {
    asked.push(Object.fromEntries(form));
    return answer();
  },
});
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant({ turnstile_secret: "0x-turnstile-secret" });
});
beforeEach(() => {
  asked = [];
  answer = () => Response.json({ success: true });
});

const nowSeconds = () => Math.floor(gateway.now() / 1000);

interface Made {
  token: string;
  expires_at: number;
}

/** What a reply's token says, once it is one. */
async function claimsOf(response: Response) {
  expect(response.status).toBe(201);
  expect(response.headers.get("cache-control")).toBe("no-store");
  const { token, expires_at, ...rest } = (await response.json()) as Made;
  expect(rest).toEqual({});
  const claims = await readToken(gateway.invocation().signers.tokens, token);
  expect(claims?.expiresMs).toBe(expires_at * 1000);
  return { ...claims, token };
}

describe("a token minted by a secret key", () => {
  it("lasts 10 minutes and 10 images unless the request says otherwise", async () => {
    expect(await claimsOf(await askForToken(gateway, tenant.key))).toMatchObject({
      tenantId: tenant.id,
      keyId: tenant.keyId,
      maxImages: 10,
      expiresMs: gateway.now() + 600_000,
      allowedOrigins: [page.origin],
      models: null,
      endUser: null,
    });
  });

  const longOrigin = (length: number) => `https://${"a".repeat(length - "https://.example".length)}.example`;

  it.each([
    ["ttl_seconds 1", { ttl_seconds: 1 }],
    ["ttl_seconds 3600", { ttl_seconds: 3_600 }],
    ["max_images 1", { max_images: 1 }],
    ["max_images 1000", { max_images: 1_000 }],
    ["an end user of one letter", { end_user: "u" }],
    ["an end user of 128", { end_user: "用".repeat(128) }],
    ["both models", { models: ["wan-2.7-image", "wan-2.7-image-pro"] }],
    [
      "a wildcard and localhost",
      { allowed_origins: [page.origin, "https://*.a.example", "http://localhost:*"] },
    ],
    [
      "everything as long as it may be",
      {
        end_user: "用".repeat(128),
        allowed_origins: [page.origin, ...Array.from({ length: 19 }, () => longOrigin(300))],
      },
    ],
  ])("takes what is at the bounds, and works: %s", async (_what, fields) => {
    const { token } = await claimsOf(await askForToken(gateway, tenant.key, fields));
    expect((await submitFrom(gateway, token)).status).toBe(200);
  });

  const bad: Record<string, [string, unknown][]> = {
    ttl_seconds: [...typesBut("number"), ["0", 0], ["3601", 3_601], ["a fraction", 1.5], ["digits", "60"]],
    max_images: [
      ...typesBut("number"),
      ["0", 0],
      ["1001", 1_001],
      ["a fraction", 1.5],
      ["less than none", -1],
    ],
    allowed_origins: [
      ...typesBut("array"),
      ["missing", undefined],
      ["none", []],
      ["21", Array.from({ length: 21 }, (_, i) => `https://${i}.example`)],
      ["301 characters", [longOrigin(301)]],
      ["a path", ["https://shop.example/"]],
      ["every origin", ["*"]],
      ["every host of a top level", ["https://*.com/"]],
      ["a sandbox", ["null"]],
      ["another scheme", ["file://x"]],
      ["capitals", ["https://Shop.example"]],
    ],
    models: [...typesBut("array"), ["none", []], ["an unknown one", ["gpt-image-1"]]],
    end_user: [...typesBut("string"), ["empty", ""], ["129 letters", "u".repeat(129)]],
    turnstile: [["which is for browser keys", "solved"]],
    scopes: [["which is no field", ["manage"]]],
    id: [["which no caller chooses", "tok-1"]],
  };
  const table = Object.entries(bad).flatMap(([field, values]) =>
    values.map(([what, value]) => ({ field, what, value })),
  );

  it.each(table)("refuses a bad $field: $what", async ({ field, value }) => {
    const response = await askForToken(gateway, tenant.key, { [field]: value });
    const message = await expectError(response, "invalid_request", field);
    expect(message).toMatch(naming(field));
    expect(asked).toEqual([]);
  });

  it("has no model that its key has not, nor lives longer", async () => {
    const expires_at = nowSeconds() + 100;
    const { key } = await makeKey(gateway, tenant.id, { models: ["wan-2.7-image"], expires_at });
    const beyond = await askForToken(gateway, key, { models: ["wan-2.7-image-pro"] });
    await expectError(beyond, "model_not_allowed", "models");
    const claims = await claimsOf(await askForToken(gateway, key, { models: ["wan-2.7-image"] }));
    expect(claims).toMatchObject({ models: ["wan-2.7-image"], expiresMs: expires_at * 1000 });
  });

  it("needs the scope images", async () => {
    const { key } = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    await expectError(await askForToken(gateway, key), "scope_denied");
  });
});

const solve = (key: string, body: object = { turnstile: "solved" }, headers: Record<string, string> = page) =>
  gateway.post("/v1/client-tokens", body, { ...bearer(key), ...headers });

describe("a token minted by a browser key", () => {
  it("is what the key's settings say, for the page that asked alone", async () => {
    const { id, key } = await makeBrowserKey(gateway, tenant.id, {
      token: { ttl_seconds: 120, max_images: 3 },
      models: ["wan-2.7-image"],
      allowed_origins: [page.origin, "https://other.example"],
    });
    const { token, ...claims } = await claimsOf(
      await solve(key, { turnstile: "solved" }, { ...page, "cf-connecting-ip": "198.51.100.7" }),
    );
    expect(claims).toMatchObject({
      keyId: id,
      maxImages: 3,
      expiresMs: gateway.now() + 120_000,
      allowedOrigins: [page.origin],
      models: ["wan-2.7-image"],
      endUser: null,
    });
    expect(asked).toEqual([{ secret: "0x-turnstile-secret", response: "solved", remoteip: "198.51.100.7" }]);
    expect((await submitFrom(gateway, token)).status).toBe(200);
  });

  it("is refused when the challenge was not solved", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    for (const reply of [
      { success: false, "error-codes": ["timeout-or-duplicate"] },
      { success: "true" },
      { success: 1 },
      {},
    ]) {
      answer = () => Response.json(reply);
      const message = await expectError(await solve(key), "invalid_request", "turnstile");
      expect(message).not.toContain("timeout-or-duplicate");
    }
  });

  it.each([
    ["does not answer", () => Promise.reject(new TypeError("connection refused")) as never],
    ["breaks", () => new Response("<h1>Bad gateway</h1>", { status: 502 })],
    ["answers nothing", () => new Response("null")],
  ])("is put off while Turnstile %s", async (_what, broken) => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    answer = broken;
    await expectError(await solve(key), "unavailable");
  });

  it("is put off when Turnstile redirects: the tenant's secret goes nowhere else", async () => {
    const { TURNSTILE_VERIFY_URL } = gateway.config;
    const modes: string[] = [];
    const redirecting = (request: Request) => {
      modes.push(request.redirect);
      return Response.redirect("https://evil.example/siteverify", 307);
    };
    const hosts = { [new URL(TURNSTILE_VERIFY_URL).origin]: redirecting };
    const redirected = startGateway({ beside: gateway, hosts });
    const { key } = await makeBrowserKey(gateway, tenant.id);
    const reply = await redirected.post(
      "/v1/client-tokens",
      { turnstile: "solved" },
      { ...bearer(key), ...page },
    );
    await expectError(reply, "unavailable");
    expect(modes).toEqual(["manual"]);
  });

  it("wants a tenant who has set Turnstile up", async () => {
    const without = await gateway.makeTenant();
    const { key } = await makeBrowserKey(gateway, without.id);
    await expectError(await solve(key), "scope_denied");
    expect(asked).toEqual([]);
  });

  it.each([
    ["turnstile", {}],
    ["turnstile", { turnstile: "" }],
    ["turnstile", { turnstile: "x".repeat(2_049) }],
    ["max_images", { turnstile: "solved", max_images: 1_000 }],
    ["end_user", { turnstile: "solved", end_user: "ada" }],
    ["allowed_origins", { turnstile: "solved", allowed_origins: ["https://evil.example"] }],
  ])("takes nothing but the answer to the challenge: %s in %j", async (field, body) => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    await expectError(await solve(key, body), "invalid_request", field);
    expect(asked).toEqual([]);
  });

  it("is for the key's own pages, and asks Turnstile nothing for another", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    for (const headers of [{ origin: "https://evil.example" }, { origin: "null" }, {}]) {
      await expectError(await solve(key, { turnstile: "solved" }, headers), "origin_not_allowed");
    }
    expect(asked).toEqual([]);
  });
});
