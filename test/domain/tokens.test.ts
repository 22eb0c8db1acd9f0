/** A client token says all that limits it, and says nothing that its gateway did not sign. */
import { describe, expect, it } from "vitest";
import { createSigner } from "../../src/domain/signing.ts";
import { formatToken, readToken, type TokenClaims } from "../../src/domain/tokens.ts";
import { t0 } from "../helpers/domain-values.ts";

const secret = "a-signing-secret-of-enough-characters";
const signer = createSigner(secret, "client-token");

const claims: TokenClaims = {
  id: "tok-1",
  tenantId: "acme",
  keyId: "key-0123456789abcdef",
  expiresMs: t0,
  maxImages: 10,
  allowedOrigins: ["https://app.example", "https://*.example.com"],
  models: ["wan-2.7-image"],
  endUser: "u-1",
};

/** Splits a token into its tenant, claims and check value. */
function parts(token: string): [string, string, string] {
  const [tenant = "", body = "", check = ""] = token.split(".");
  return [tenant, body, check];
}
const encode = (value: unknown) =>
  new TextEncoder().encode(JSON.stringify(value)).toBase64({ alphabet: "base64url", omitPadding: true });

describe("a token", () => {
  it.each<[string, Partial<TokenClaims>]>([
    ["as it usually is", {}],
    ["of any model and no end user", { models: null, endUser: null }],
    ["of any script", { endUser: '灯塔 😀 \u0000 " . wct_' }],
    ["of a tenant with the longest name", { tenantId: "a".repeat(32) }],
    [
      "of the longest end user and twenty pages",
      {
        endUser: "😀".repeat(64),
        allowedOrigins: Array.from(
          { length: 20 },
          (_, index) => `https://${"a".repeat(63)}.app-${index}.example`,
        ),
      },
    ],
  ])("says what it was made with: %s", async (_what, over) => {
    const token = await formatToken(signer, { ...claims, ...over });
    expect(await readToken(signer, token)).toEqual({ ...claims, ...over });
    expect(token).toMatch(/^wct_[A-Za-z0-9._-]+$/);
  });

  it("is read whether or not it has expired: that is for its reader to say", async () => {
    const token = await formatToken(signer, { ...claims, expiresMs: 0 });
    expect(await readToken(signer, token)).toMatchObject({ expiresMs: 0 });
  });

  it("is nothing when any one character of it was changed", async () => {
    const token = await formatToken(signer, claims);
    for (let at = 0; at < token.length; at++) {
      const other = token[at] === "a" ? "b" : "a";
      expect(await readToken(signer, token.slice(0, at) + other + token.slice(at + 1))).toBeUndefined();
    }
  });

  it("is nothing under another tenant, with other claims, or with another token's check value", async () => {
    const [tenant, body, check] = parts(await formatToken(signer, claims));
    const [, , otherCheck] = parts(await formatToken(signer, { ...claims, id: "tok-2" }));
    const { tenantId: _tenantId, ...inner } = claims;
    expect(encode(inner)).toBe(body);
    for (const forged of [
      `wct_other.${body}.${check}`,
      `${tenant}.${encode({ ...inner, maxImages: 1_000 })}.${check}`,
      `${tenant}.${body}.${otherCheck}`,
      `${tenant}.${body}.${"0".repeat(26)}`,
    ]) {
      expect(await readToken(signer, forged)).toBeUndefined();
    }
  });

  it("is its tenant's, whatever its claims say of a tenant", async () => {
    const signed = `wct_acme.${encode({ ...claims, tenantId: "other" })}`;
    const token = `${signed}.${await signer.sign(signed)}`;
    expect(await readToken(signer, token)).toMatchObject({ tenantId: "acme" });
  });

  it("of another secret, or signed for another use, is nothing", async () => {
    for (const other of [
      createSigner("another-signing-secret-of-enough-characters", "client-token"),
      createSigner(secret, "tenant-key"),
      createSigner(secret, "signed-link"),
    ]) {
      expect(await readToken(signer, await formatToken(other, claims))).toBeUndefined();
    }
  });

  it.each([
    ["nothing", () => ""],
    ["its prefix alone", () => "wct_"],
    ["two parts", (token: string) => token.slice(0, token.lastIndexOf("."))],
    ["four parts", (token: string) => `${token}.a`],
    ["upper case", (token: string) => token.toUpperCase()],
    ["another prefix", (token: string) => token.replace("wct_", "wsk_")],
    ["a space before it", (token: string) => ` ${token}`],
    ["a line break behind it", (token: string) => `${token}\n`],
    ["padding behind its claims", (token: string) => token.replace(/\.([^.]*)$/, "=.$1")],
    ["a check value one character short", (token: string) => token.slice(0, -1)],
    ["a check value one character long", (token: string) => `${token}0`],
    ["a very long body", (token: string) => token.replace(".", `.${"A".repeat(100_000)}`)],
  ])("is not read from a text with %s", async (_what, change) => {
    expect(await readToken(signer, change(await formatToken(signer, claims)))).toBeUndefined();
  });
});
