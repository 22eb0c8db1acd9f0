/**
 * Client tokens: what a tenant's server, or a browser key with a Turnstile answer, gives one end user for
 * minutes. A token carries all that limits it, signed, so that no database is asked for it; only the images it
 * has used are counted, by the tenant's object.
 *
 *   wct_<tenant>.<claims, JSON as base64url>.<check>
 */
import { type Model, models } from "./model-catalog.ts";
import type { Signer } from "./signing.ts";
import { json, knownOf, list, orNull, readStored, record, text, whole, withDefaults } from "./stored.ts";

export interface TokenClaims {
  /** Names the token where its images are counted. */
  id: string;
  tenantId: string;
  /** The key that made it, and with which it ends. */
  keyId: string;
  expiresMs: number;
  maxImages: number;
  allowedOrigins: string[];
  models: Model[] | null;
  endUser: string | null;
}

type SignedClaims = Omit<TokenClaims, "tenantId">;

const signedClaims = record<SignedClaims>(
  withDefaults<SignedClaims>(
    { allowedOrigins: [], models: null, endUser: null },
    {
      id: text,
      keyId: text,
      expiresMs: whole,
      maxImages: whole,
      allowedOrigins: list(text),
      models: orNull(knownOf(models)),
      endUser: orNull(text),
    },
  ),
);

/** The claims are as long as 20 origins of 300 characters and an end user of 128 make them, and no longer. */
const maxCharacters = 12_400;
const tokenPattern = /^wct_([a-z0-9-]{3,32})\.([A-Za-z0-9_-]{1,12288})\.([0-9a-z]{26})$/;

export async function formatToken(signer: Signer, { tenantId, ...claims }: TokenClaims): Promise<string> {
  const bytes = new TextEncoder().encode(JSON.stringify(claims));
  const signed = `wct_${tenantId}.${bytes.toBase64({ alphabet: "base64url", omitPadding: true })}`;
  return `${signed}.${await signer.sign(signed)}`;
}

/**
 * Reads a token without touching storage. Expiry is the caller's to check.
 * @returns undefined for whatever this gateway did not sign.
 * @throws StoredDataUnreadable when a signed token's claims are not those of a token.
 */
export async function readToken(signer: Signer, text: string): Promise<TokenClaims | undefined> {
  const [, tenantId, body, check] = (text.length <= maxCharacters && tokenPattern.exec(text)) || [];
  if (!tenantId || !body || !check) return undefined;
  if (!(await signer.verify(text.slice(0, -check.length - 1), check))) return undefined;
  const claims = new TextDecoder().decode(Uint8Array.fromBase64(body, { alphabet: "base64url" }));
  const place = { table: "token", field: "claims", id: tenantId };
  return { ...readStored(place, json(signedClaims), claims), tenantId };
}
