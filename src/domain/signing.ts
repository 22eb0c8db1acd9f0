/**
 * Check values and hashes. One configured secret serves several uses; each gets a key of its own through
 * HKDF (RFC 5869), so that a value made for one use never verifies for another.
 */
import { base32 } from "./ids.ts";

export type SigningUse = "tenant-key" | "client-token" | "signed-link";

/** Signs and verifies texts for one use of one secret. */
export interface Signer {
  /** The check value of a text: 26 characters of base 32, 130 bits of HMAC-SHA-256. */
  sign(text: string): Promise<string>;
  /** Whether `check` is the check value of `text`; takes the same time wherever they differ. */
  verify(text: string, check: string): Promise<boolean>;
}

const checkCharacters = 26;
const encoder = new TextEncoder();

/** Derives the signer for one use. The work is done once; keep the result. */
export function createSigner(secret: string, use: SigningUse): Signer {
  // The key and not its promise: that would stay the promise of the request which made it.
  let key: CryptoKey | undefined;
  const sign = async (text: string) => {
    key ??= await deriveKey(secret, use);
    const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
    return base32(mac.subarray(0, checkCharacters));
  };
  return { sign, verify: async (text, check) => sameText(await sign(text), check) };
}

async function deriveKey(secret: string, use: SigningUse): Promise<CryptoKey> {
  const material = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveKey"]);
  return crypto.subtle.deriveKey(
    { name: "HKDF", hash: "SHA-256", salt: encoder.encode("wan-gateway"), info: encoder.encode(use) },
    material,
    { name: "HMAC", hash: "SHA-256", length: 256 },
    false,
    ["sign"],
  );
}

/** SHA-256 of bytes or of a text's UTF-8, as 64 hexadecimal digits. */
export async function sha256Hex(data: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof data === "string" ? encoder.encode(data) : data;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/**
 * Compares two texts in time that depends on their lengths only. A check value's length is no secret.
 */
export function sameText(a: string, b: string): boolean {
  const [bytesA, bytesB] = [encoder.encode(a), encoder.encode(b)];
  return bytesA.length === bytesB.length && crypto.subtle.timingSafeEqual(bytesA, bytesB);
}

/** Compares two secrets by their hashes, in constant time, so that the length does not leak either. */
export async function sameSecret(a: string, b: string): Promise<boolean> {
  const [hashA, hashB] = await Promise.all([sha256Hex(a), sha256Hex(b)]);
  return sameText(hashA, hashB);
}
