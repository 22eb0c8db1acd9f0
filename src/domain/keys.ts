/**
 * Tenant keys. A key names its kind, tenant and id, and carries a check value over all of it: a forged or
 * mistyped one costs one HMAC and no storage call, and the tenant's object is found without a look-up.
 *
 *   wsk_<tenant>_<id>_<secret>_<check>      secret: the tenant's server
 *   wbk_<tenant>_<id>_<secret>_<check>      browser: a page, so everybody who opens it
 */
import type { Limits } from "./admission.ts";
import { base32 } from "./ids.ts";
import { type Model, models } from "./model-catalog.ts";
import type { Signer } from "./signing.ts";
import { type Fields, knownOf, list, oneOf, orNull, record, text, whole, withDefaults } from "./stored.ts";
import { someLimits } from "./stored-limits.ts";

export const keyKinds = ["secret", "browser"] as const;
export type KeyKind = (typeof keyKinds)[number];
export const keyScopes = ["images", "manage"] as const;
export type KeyScope = (typeof keyScopes)[number];

const prefixes: Record<KeyKind, string> = { secret: "wsk", browser: "wbk" };
const keyPattern = /^(wsk|wbk)_([a-z0-9-]{3,32})_([0-9a-z]{16})_[0-9a-z]{32}_([0-9a-z]{26})$/;

/** What a key says of itself once its check value has been verified. */
export interface KeyClaims {
  kind: KeyKind;
  tenantId: string;
  /** `key-…`, as the admin API names it. */
  keyId: string;
}

export const keySecretBytes = 32;

/**
 * Makes the text of a key.
 * @param keyId `key-` and 16 characters.
 * @param random {@link keySecretBytes} random bytes: 160 bits.
 */
export async function formatKey(signer: Signer, claims: KeyClaims, random: Uint8Array): Promise<string> {
  const id = claims.keyId.slice("key-".length);
  const signed = `${prefixes[claims.kind]}_${claims.tenantId}_${id}_${base32(random)}`;
  return `${signed}_${await signer.sign(signed)}`;
}

/**
 * Reads a key without touching storage. The check value is compared as text, so that no second spelling
 * of the same bits passes.
 * @param signers The current secret's signer, then the previous one's, if any.
 * @returns undefined for whatever this gateway did not issue.
 */
export async function readKey(signers: readonly Signer[], text: string): Promise<KeyClaims | undefined> {
  const match = keyPattern.exec(text);
  const [, prefix, tenantId, id, check] = match ?? [];
  if (!prefix || !tenantId || !id || !check) return undefined;
  const kind = prefix === prefixes.browser ? "browser" : "secret";
  const signed = text.slice(0, -check.length - 1);
  for (const signer of signers) {
    if (await signer.verify(signed, check)) return { kind, tenantId, keyId: `key-${id}` };
  }
  return undefined;
}

/** What client tokens that a browser key mints are given. */
export interface TokenSettings {
  ttlSeconds: number;
  maxImages: number;
}

/** What is stored of a key, beside its name. */
export interface StoredKey {
  id: string;
  kind: KeyKind;
  /** SHA-256 of the whole key, hexadecimal. */
  hash: string;
  scopes: KeyScope[];
  /** Of browser keys only. */
  allowedOrigins: string[];
  /** Null: all of the tenant's. */
  models: Model[] | null;
  /** On top of the tenant's. */
  limits: Partial<Limits>;
  /** Of browser keys only. */
  token: TokenSettings;
  expiresMs: number | null;
  revokedMs: number | null;
}

export const defaultTokenSettings: TokenSettings = { ttlSeconds: 600, maxImages: 10 };
/** The most of each that a token may be minted with. */
export const mostOfToken: TokenSettings = { ttlSeconds: 3_600, maxImages: 1_000 };
/** Keys of a tenant that are alive at a time, and the most that the operator may allow. */
export const keyCounts = { usual: 100, most: 1_000 };
/** The longest time for which a key, or a webhook's secret, works beside the one that replaces it. */
export const maxOverlapDays = 30;

/** What a key's maker sets of it, stored as one JSON in D1. */
export type KeySettings = Pick<StoredKey, "allowedOrigins" | "models" | "limits" | "token">;

export const keySettingsFields: Fields<KeySettings> = withDefaults(
  { allowedOrigins: [], models: null, limits: {}, token: defaultTokenSettings },
  {
    allowedOrigins: list(text),
    models: orNull(knownOf(models)),
    limits: someLimits,
    token: record<TokenSettings>(withDefaults(defaultTokenSettings, { ttlSeconds: whole, maxImages: whole })),
  },
);

/** How a key is stored, in D1 and in its tenant's object. */
export const storedKeyFields: Fields<StoredKey> = {
  ...keySettingsFields,
  id: text,
  kind: oneOf(keyKinds),
  hash: text,
  scopes: knownOf(keyScopes),
  expiresMs: orNull(whole),
  revokedMs: orNull(whole),
};

/** Whether a key still works: not revoked, and not expired. */
export function isAlive({ expiresMs, revokedMs }: Pick<StoredKey, "expiresMs" | "revokedMs">, nowMs: number) {
  return (expiresMs === null || expiresMs > nowMs) && (revokedMs === null || revokedMs > nowMs);
}

/** Everybody who opens the page holds the key, so it is capped unless its maker says otherwise. */
export const browserKeyLimits = { images_per_day: 100, images_per_minute: 10 } as const;
/** Images that one submission by a browser key or a client token may ask for. */
export const browserMaxImages = 4;

/**
 * The first thing in which a key would go beyond another, under the API's name for it; undefined when it does not.
 * Limits are not compared: a key that has its own makes none ({@link hasOwnLimits}).
 */
export function keyProblem(
  wanted: Pick<StoredKey, "scopes" | "models" | "expiresMs">,
  maker: Pick<StoredKey, "scopes" | "models" | "expiresMs">,
): "scopes" | "models" | "expires_at" | undefined {
  if (!wanted.scopes.every((scope) => maker.scopes.includes(scope))) return "scopes";
  const { models: allowed } = maker;
  if (allowed !== null && !(wanted.models?.every((model) => allowed.includes(model)) ?? false))
    return "models";
  const { expiresMs } = maker;
  if (expiresMs !== null && (wanted.expiresMs ?? Number.POSITIVE_INFINITY) > expiresMs) return "expires_at";
  return undefined;
}

/** Whether a key may do anything that another one may not, so that the other one neither revokes nor replaces it. */
export function mayDoMore(key: StoredKey, than: StoredKey): boolean {
  return keyProblem(key, than) !== undefined || (hasOwnLimits(than) && !hasOwnLimits(key));
}

/** Whether a key is limited beyond its tenant. It would escape that by making another one, so it makes none. */
export function hasOwnLimits({ limits }: Pick<StoredKey, "limits">): boolean {
  return Object.values(limits).some((limit) => limit !== null);
}
