import { describe, expect, it } from "vitest";
import { formatKey, type KeyClaims, keySecretBytes, readKey } from "../../src/domain/keys.ts";
import { createSigner } from "../../src/domain/signing.ts";

const secret = "current-signing-secret-0123456789abcdef";
const signer = createSigner(secret, "tenant-key");
const previous = createSigner("previous-signing-secret-0123456789abcdef", "tenant-key");
const claims: KeyClaims = { kind: "secret", tenantId: "acme-reseller-1", keyId: "key-0123456789abcdef" };

const randomBytes = () => crypto.getRandomValues(new Uint8Array(keySecretBytes));
const makeKey = (over: Partial<KeyClaims> = {}, by = signer) =>
  formatKey(by, { ...claims, ...over }, randomBytes());

/** The five parts of a key, with some of them replaced. */
function rebuild(key: string, parts: Record<number, string>): string {
  return key
    .split("_")
    .map((part, index) => parts[index] ?? part)
    .join("_");
}

/** A key whose check value holds all of some letters. */
async function keyWith(letters: RegExp[]): Promise<string> {
  for (;;) {
    const key = await makeKey();
    const check = key.slice(key.lastIndexOf("_"));
    if (letters.every((letter) => letter.test(check))) return key;
  }
}

describe("a key", () => {
  it.each(["abc", "a-1", "-a-", "acme-reseller-1", "0".repeat(32)])(
    "of the tenant %s reads as what it was made of",
    async (tenantId) => {
      const key = await makeKey({ tenantId });
      expect(key.startsWith("wsk_")).toBe(true);
      expect(await readKey([signer], key)).toEqual({ ...claims, tenantId });
    },
  );

  it("can go into a header, a URL and a shell unquoted", async () => {
    expect(await makeKey()).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it("holds at least 128 secret bits: two keys of one id never agree", async () => {
    expect(keySecretBytes * 5).toBeGreaterThanOrEqual(128);
    const made = await Promise.all(Array.from({ length: 200 }, () => makeKey()));
    expect(new Set(made).size).toBe(200);
    const secrets = made.map((key) => key.split("_")[3] ?? "");
    expect(new Set(secrets.map((text) => text.length))).toEqual(new Set([keySecretBytes]));
  });

  it("is refused when any one of its characters differs", async () => {
    const key = await makeKey();
    for (let at = 0; at < key.length; at++) {
      const other = key[at] === "7" ? "8" : "7";
      expect(await readKey([signer], key.slice(0, at) + other + key.slice(at + 1))).toBeUndefined();
    }
  });

  it("is refused when cut anywhere", async () => {
    const key = await makeKey();
    for (let length = 0; length < key.length; length++) {
      expect(await readKey([signer], key.slice(0, length))).toBeUndefined();
    }
  });

  it("is refused with another tenant's id in it", async () => {
    const key = await makeKey();
    expect(await readKey([signer], rebuild(key, { 1: "victim" }))).toBeUndefined();
    const victims = await makeKey({ tenantId: "victim" });
    const spliced = rebuild(key, { 1: "victim", 4: victims.split("_")[4] ?? "" });
    expect(await readKey([signer], spliced)).toBeUndefined();
  });

  it("is refused with another key's id in it", async () => {
    const key = await makeKey();
    expect(await readKey([signer], rebuild(key, { 2: "f".repeat(16) }))).toBeUndefined();
  });

  it("is refused with another key's secret or check value", async () => {
    const [key, other] = [await makeKey(), await makeKey()];
    for (const part of [3, 4]) {
      const mixed = rebuild(key, { [part]: other.split("_")[part] ?? "" });
      expect(await readKey([signer], mixed)).toBeUndefined();
    }
  });

  it("is refused when it says to be of another kind", async () => {
    const key = await makeKey();
    for (const kind of ["wbk", "wct", "WSK", "sk", ""]) {
      expect(await readKey([signer], rebuild(key, { 0: kind }))).toBeUndefined();
    }
  });

  it("is refused in upper case, in whole or in part", async () => {
    const key = await makeKey({ tenantId: "acme", keyId: "key-abcdefghjkmnpqrs" });
    expect(await readKey([signer], key.toUpperCase())).toBeUndefined();
    for (const [index, part] of key.split("_").entries()) {
      const shouted = part.toUpperCase();
      expect(await readKey([signer], rebuild(key, { [index]: shouted }))).toBeUndefined();
    }
  });

  it.each([
    " %",
    "% ",
    "%\n",
    "\n%",
    "%\t",
    "\u00a0%",
    "%\u0000",
    "%\u200b",
    "Bearer %",
    '"%"',
    "%_",
    "_%",
    "%=",
  ])("is refused with something around it: %j", async (form) => {
    const key = await makeKey();
    expect(await readKey([signer], form.replace("%", key))).toBeUndefined();
  });

  it("has one spelling: letters that a lenient decoder reads alike do not pass", async () => {
    const key = await keyWith([/0/, /1/]);
    const at = key.lastIndexOf("_");
    const [signed, check] = [key.slice(0, at), key.slice(at)];
    for (const spelling of [
      check.replaceAll("0", "o"),
      check.replaceAll("1", "i"),
      check.replaceAll("1", "l"),
    ]) {
      expect(await readKey([signer], signed + spelling)).toBeUndefined();
    }
    expect(await readKey([signer], key)).toBeDefined();
  });

  it.each(["", "wsk", "wsk____", "_".repeat(200), "sk-1234567890", "wsk_a_b_c_d", "null", "💥".repeat(50)])(
    "is not made up: %j",
    async (text) => {
      expect(await readKey([signer], text)).toBeUndefined();
    },
  );
});

describe("after the signing secret was changed", () => {
  it("keys of the previous one still read", async () => {
    const key = await makeKey({}, previous);
    expect(await readKey([signer, previous], key)).toEqual(claims);
    expect(await readKey([signer, previous], await makeKey())).toEqual(claims);
  });

  it("keys of a secret that is configured no more are refused", async () => {
    expect(await readKey([signer], await makeKey({}, previous))).toBeUndefined();
  });

  it("keys of a secret that never was are refused", async () => {
    const unknown = createSigner("never-configured-secret-0123456789abcdef", "tenant-key");
    expect(await readKey([signer, previous], await makeKey({}, unknown))).toBeUndefined();
  });

  it("what the same secret signed for another use is no key", async () => {
    for (const use of ["client-token", "signed-link"] as const) {
      expect(await readKey([signer], await makeKey({}, createSigner(secret, use)))).toBeUndefined();
    }
  });

  it("no key reads where no secret is configured", async () => {
    expect(await readKey([], await makeKey())).toBeUndefined();
  });
});
