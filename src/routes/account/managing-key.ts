/** Authorizes the tenant's own keys of scope `manage`, for keys, webhook, usage and ledger. */
import { hasOwnLimits, type StoredKey } from "../../domain/keys.ts";
import { ApiError } from "../../errors.ts";
import type { Actor } from "../../flows/tenants/audit-entry.ts";
import { authorize } from "../../flows/tenants/authorize.ts";
import { countChange } from "../../http/call-limits.ts";
import type { AppContext } from "../../http/context.ts";
import { unlessKeyRefused } from "../tasks/refusals.ts";

/** The caller of a route for scope `manage`: its key as it is stored, its tenant, and the actor for the audit log. */
export interface Manager {
  key: StoredKey;
  tenantId: string;
  by: Actor;
}

/** @throws ApiError for a key that is refused, or lacks scope `manage`. */
export async function authorizeManager(c: AppContext): Promise<Manager> {
  const caller = c.get("caller");
  const { known } = unlessKeyRefused(await authorize(c.get("invocation"), caller, { action: "manage" }));
  await countChange(c);
  const by = { actor: caller.keyId, requestId: c.get("requestId") };
  return { key: known.key, tenantId: caller.tenantId, by };
}

/** Says why a change was not made whose key, or tenant, was stopped after its check. @throws ApiError */
export async function refuseStopped(c: AppContext): Promise<never> {
  await authorizeManager(c);
  throw new ApiError(
    "unavailable",
    "The key or its tenant was stopped for a moment. Nothing was changed; try again.",
    {
      headers: { "retry-after": "1" },
    },
  );
}

/**
 * Authorizes the making of keys. A key with limits of its own would escape them by a key that it makes.
 * @throws ApiError for a key that is refused, lacks scope `manage`, or has limits of its own.
 */
export async function authorizeKeyMaker(c: AppContext): Promise<Manager> {
  const manager = await authorizeManager(c);
  if (hasOwnLimits(manager.key)) {
    throw new ApiError(
      "scope_denied",
      "A key with limits of its own makes and rotates no keys: use one of scope manage without limits.",
    );
  }
  return manager;
}
