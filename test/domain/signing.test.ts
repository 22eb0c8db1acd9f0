import { describe, expect, it } from "vitest";
import { createSigner, type SigningUse, sameSecret, sameText, sha256Hex } from "../../src/domain/signing.ts";

const secret = "signing-secret-of-this-test-0123456789abcdef";
const uses: SigningUse[] = ["tenant-key", "client-token", "signed-link"];

describe("a check value", () => {
  it.each(uses)("for a %s verifies for the text that it was made for", async (use) => {
    const check = await createSigner(secret, use).sign("a text");
    expect(await createSigner(secret, use).verify("a text", check)).toBe(true);
  });

  it("of one use verifies for no other", async () => {
    for (const made of uses) {
      const check = await createSigner(secret, made).sign("a text");
      for (const asked of uses) {
        expect(await createSigner(secret, asked).verify("a text", check)).toBe(made === asked);
      }
    }
  });

  it.each(["a texu", "A text", "a text ", " a text", "a\u0000text", "a tex", ""])(
    "does not verify for another text: %j",
    async (text) => {
      const signer = createSigner(secret, "tenant-key");
      expect(await signer.verify(text, await signer.sign("a text"))).toBe(false);
    },
  );

  it("does not verify under another secret", async () => {
    const check = await createSigner(secret, "tenant-key").sign("a text");
    for (const other of [`${secret}0`, secret.slice(1), secret.toUpperCase()]) {
      expect(await createSigner(other, "tenant-key").verify("a text", check)).toBe(false);
    }
  });

  it("is refused when any one character of it differs", async () => {
    const signer = createSigner(secret, "signed-link");
    const check = await signer.sign("a text");
    for (let at = 0; at < check.length; at++) {
      const wrong = check.slice(0, at) + (check[at] === "0" ? "1" : "0") + check.slice(at + 1);
      expect(await signer.verify("a text", wrong)).toBe(false);
    }
  });

  it("is refused when cut, grown, empty or in upper case", async () => {
    const signer = createSigner(secret, "signed-link");
    const check = await signer.sign("a text");
    for (const wrong of ["", check.slice(1), check.slice(0, -1), `${check}0`, check.toUpperCase()]) {
      expect(await signer.verify("a text", wrong)).toBe(false);
    }
  });

  it("has at least 96 bits", async () => {
    const check = await createSigner(secret, "tenant-key").sign("a text");
    expect(check).toMatch(/^[0-9a-hjkmnp-tv-z]+$/);
    expect(check.length * 5).toBeGreaterThanOrEqual(96);
  });

  it("stays what it was: keys that are out there were signed by earlier versions", async () => {
    const signed = await Promise.all(uses.map((use) => createSigner(secret, use).sign("wsk_acme_1")));
    // By HKDF (RFC 5869) and HMAC of another implementation, node:crypto.
    expect(signed).toEqual([
      "e6sckfmh3jej1c0h29pas0kta0",
      "m54de3t30v81xvhjc9zar628x7",
      "s820yyj2ctsgyva6x948mjge7d",
    ]);
  });
});

describe("comparing texts", () => {
  it("finds equal ones equal", () => {
    for (const text of ["", "a", "0123456789abcdefghjkmnpqrs", "ö𝟙"])
      expect(sameText(text, `${text}`)).toBe(true);
  });

  it("finds a difference at any place", () => {
    const text = "0123456789abcdefghjkmnpqrs";
    for (let at = 0; at < text.length; at++) {
      expect(sameText(text, `${text.slice(0, at)}~${text.slice(at + 1)}`)).toBe(false);
    }
  });

  it("lets differences at two places not cancel out", () => {
    expect(sameText("ab", "ba")).toBe(false);
    expect(sameText("aabb", "bbaa")).toBe(false);
  });

  it("distinguishes a part from the whole, in either direction", () => {
    for (const part of ["", "a", "ab"]) {
      expect(sameText(part, "abc")).toBe(false);
      expect(sameText("abc", part)).toBe(false);
    }
  });

  it("distinguishes code units that share their low byte", () => {
    expect(sameText("a", "\u0161")).toBe(false);
  });
});

describe("comparing secrets", () => {
  it("is true for the same secret only", async () => {
    expect(await sameSecret(secret, `${secret}`)).toBe(true);
    for (const other of [
      "",
      secret.slice(0, -1),
      `${secret} `,
      secret.toUpperCase(),
      "x".repeat(secret.length),
    ]) {
      expect(await sameSecret(other, secret)).toBe(false);
      expect(await sameSecret(secret, other)).toBe(false);
    }
  });
});

describe("SHA-256", () => {
  it("is that of FIPS 180-4, in hexadecimal", async () => {
    expect(await sha256Hex("")).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect(await sha256Hex("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  });

  it("of a text is that of its UTF-8 bytes", async () => {
    expect(await sha256Hex("ö€😀")).toBe(await sha256Hex(Uint8Array.from(new TextEncoder().encode("ö€😀"))));
  });

  it("of a part of a buffer is that of the part", async () => {
    const whole = Uint8Array.from(new TextEncoder().encode("xxabcxx"));
    expect(await sha256Hex(whole.subarray(2, 5))).toBe(await sha256Hex("abc"));
  });
});
