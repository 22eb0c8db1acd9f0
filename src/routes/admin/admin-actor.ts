/** What the admin routes share. */
import type { ErrorCode } from "../../errors.ts";
import type { Actor } from "../../flows/tenants/tenants.ts";
import type { AppContext } from "../../http/context.ts";

/** Codes that every operation behind the admin key can answer with. */
export const adminErrors = [
  "missing_key",
  "invalid_key",
  "scope_denied",
  "rate_limited",
  "unavailable",
] as const satisfies ErrorCode[];

/** Who acts, for the log of acts. */
export function adminActor(c: AppContext): Actor {
  return { actor: "admin", requestId: c.get("requestId") };
}
