/** The parts that the contracts and handlers of all admin routes share. */
import type { ErrorCode } from "../../errors.ts";
import type { Actor } from "../../flows/tenants/audit-entry.ts";
import type { AppContext } from "../../http/context.ts";

/** Each operation takes the operator's key, in the words of its contract. */
export const adminSecurity = [{ admin: [] }];

/** Codes that every operation behind the admin key can answer with. */
export const adminErrors = [
  "invalid_request",
  "missing_key",
  "invalid_key",
  "scope_denied",
  "rate_limited",
  "migrations_missing",
  "unavailable",
] as const satisfies ErrorCode[];

/** The operator, as the audit log names the actor of a change. */
export function adminActor(c: AppContext): Actor {
  return { actor: "admin", requestId: c.get("requestId") };
}
