/** What a tenant's object has to know to decide: a copy of the tenant's settings and keys, by version. */
import type { StoredKey } from "./keys.ts";
import type { Limits } from "./limits.ts";

export type TenantStatus = "active" | "suspended";

export interface TenantConfig {
  version: number;
  status: TenantStatus;
  limits: Limits;
  /** Those that may still be used; a key that is not here is refused. */
  keys: StoredKey[];
}

export type KeyRefusal = "invalid_key" | "tenant_suspended" | "scope_denied";

/**
 * Whether a key with a good check value may be used for `scope`. One answer for unknown, revoked and expired.
 * @param hash SHA-256 of the key as it was presented.
 */
export function checkKey(
  stored: StoredKey | undefined,
  status: TenantStatus,
  presented: { hash: string; scope: StoredKey["scopes"][number] },
  nowMs: number,
): KeyRefusal | undefined {
  if (!stored || stored.hash !== presented.hash) return "invalid_key";
  if (stored.revokedMs !== null && stored.revokedMs <= nowMs) return "invalid_key";
  if (stored.expiresMs !== null && stored.expiresMs <= nowMs) return "invalid_key";
  if (status === "suspended") return "tenant_suspended";
  if (!stored.scopes.includes(presented.scope)) return "scope_denied";
  return undefined;
}
