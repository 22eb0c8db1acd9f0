/** The log line of an erasure that failed, and comes again. */
import { StoredDataUnreadable } from "../../domain/stored.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable } from "../../platform/unreadable.ts";

/** @param tenant Whose it is; null: of many. */
export function logNotErased(invocation: Invocation, tenant: string | null, error: unknown): void {
  if (error instanceof StoredDataUnreadable) logUnreadable(invocation, error);
  else invocation.log({ event: "not_erased", level: "error", tenant, problem: describe(error) });
}
