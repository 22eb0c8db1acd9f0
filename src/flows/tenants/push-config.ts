/** Bringing a change of a tenant or its keys to the tenant's object, at once and, where that failed, by cron. */

import { loadReadable, markPushed } from "../../d1/tenants/tenants.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";

/**
 * Pushes a tenant's newest copy to its object. Twice or late does no harm: the object ignores older ones. Where the
 * settings cannot be read the object gets the keys alone and admits nothing, so that what the change has closed is closed;
 * that is no copy, so cron pushes again.
 */
export async function pushConfig(invocation: Invocation, tenantId: string): Promise<void> {
  const skip = skipUnreadable(invocation);
  const loaded = await loadReadable(invocation.db, tenantId, invocation.now(), skip);
  if (!loaded) return;
  const { settings, version, keys } = loaded;
  const object = invocation.tenant(tenantId);
  if (!settings) return object.suspend(version, keys);
  const pushed = await object.configure({ ...settings, keys }, invocation.now());
  await markPushed(invocation.db, tenantId, pushed);
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
