/** Bringing a change of a tenant or its keys to the tenant's object, at once and, where that failed, by cron. */

import { loadTenantConfig, markPushed } from "../../d1/tenants/tenants.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";

/** Pushes a tenant's newest copy to its object. Twice or late does no harm: the object ignores older ones. */
export async function pushConfig(invocation: Invocation, tenantId: string): Promise<void> {
  const skip = skipUnreadable(invocation);
  const config = await loadTenantConfig(invocation.db, tenantId, invocation.now(), skip);
  if (!config) return;
  await markPushed(
    invocation.db,
    tenantId,
    await invocation.tenant(tenantId).configure(config, invocation.now()),
  );
}

/** Pushes again the settings that no object has acknowledged. */
export async function pushLagging(invocation: Invocation, tenantIds: string[]): Promise<void> {
  for (const tenantId of tenantIds) {
    try {
      await pushConfig(invocation, tenantId);
    } catch (error) {
      invocation.log({
        event: "config_not_pushed",
        level: "error",
        tenant: tenantId,
        problem: describe(error),
      });
    }
  }
}
