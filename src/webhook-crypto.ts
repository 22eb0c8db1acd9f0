/**
 * What the library that signs webhooks needs of two others, by the platform's own means. `wrangler.toml` puts it in their
 * place: they take 3 KB of the bundle.
 */
import { createHmac } from "node:crypto";

/** Of `fast-sha256`. */
export const hmac = (key: Uint8Array, data: Uint8Array): Uint8Array =>
  createHmac("sha256", key).update(data).digest();

/** Of `@stablelib/base64`. */
export const encode = (bytes: Uint8Array): string => bytes.toBase64();
export const decode = (text: string): Uint8Array => Uint8Array.fromBase64(text);
