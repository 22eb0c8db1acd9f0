/** Bringing a change of a tenant or its keys to the tenant's object, at once and, where that failed, by cron. */

import { loadTenantConfig, markPushed } from "../../d1/tenants/tenants.ts";
import { type Deps, describe } from "../../platform/invocation.ts";

/** Pushes a tenant's newest copy to its object. Twice or late does no harm: the object ignores older ones. */
export async function pushConfig(deps: Deps, tenantId: string): Promise<void> {
  const config = await loadTenantConfig(deps.db, tenantId, deps.now());
  if (!config) return;
  await markPushed(deps.db, tenantId, await deps.tenant(tenantId).configure(config, deps.now()));
}

/** Pushes again what no object has acknowledged. */
export async function pushLagging(deps: Deps, tenantIds: string[]): Promise<void> {
  for (const tenantId of tenantIds) {
    try {
      await pushConfig(deps, tenantId);
    } catch (error) {
      deps.log({ event: "config_not_pushed", level: "error", tenant: tenantId, problem: describe(error) });
    }
  }
}
