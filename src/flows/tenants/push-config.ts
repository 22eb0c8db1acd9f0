/**
 * Bringing a change of a tenant or its keys to the tenant's object, at once and, where that failed, by cron.
 *
 * D1 is the truth, and versions say what is newer. After D1 was restored to an earlier time its versions are behind the
 * object's, or equal with another content, and the object would keep what D1 has no more. So a push is done when the
 * object has this version with this content, and otherwise D1's version is raised beyond the object's:
 *
 *   pusher A (version 5)      pusher B (version 6)        object       D1
 *   1. reads 5                                                         then 6, by B's change
 *                             2. reads 6, pushes: taken   6
 *   3. pushes 5: not taken                                6
 *   4. raises 5 to 7: it is
 *      6 by now, no change
 *   5. reads 6, pushes: known                             6            6
 *
 * A tenant that was stopped in the time that D1 has lost stays suspended, in D1 too: a stop is lifted by the operator alone.
 * That is known from an object that is ahead; one that is not, after more changes than were lost, takes what D1 has.
 *
 * Where the settings cannot be read the object gets the keys alone and admits nothing, so that what the change has closed
 * is closed; that is no copy, so cron pushes again.
 */
import { loadReadable, markPushed, raiseConfigVersion } from "../../d1/tenants/tenants.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";

/** One more than it takes with two changes meanwhile. */
const mostAttempts = 4;

export interface Pushed {
  /** The object had something else although it had acknowledged this copy. */
  wasOff: boolean;
  /** It was suspended there and not in D1, and is in both now. */
  keptStop: boolean;
}

/**
 * Pushes a tenant's newest copy to its object. Twice or late does no harm.
 * @param lifts The operator makes the tenant active: no stop is kept.
 * @throws BindingUnavailable when the object does not take it, however often the version is raised.
 */
export async function pushConfig(
  invocation: Invocation,
  tenantId: string,
  { lifts = false }: { lifts?: boolean } = {},
): Promise<Pushed> {
  const skip = skipUnreadable(invocation);
  invocation.refusals.drop(tenantId);
  let wasOff = false;
  let keptStop = false;
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const loaded = await loadReadable(invocation.db, tenantId, invocation.now(), skip);
    if (!loaded) return { wasOff, keptStop };
    const { version, settings, keys, isAcknowledged, locationHint } = loaded;
    // A tenant's first push is the first call that its object gets, and decides where it lives.
    const object = invocation.tenant(tenantId, locationHint);
    if (!settings) {
      await object.suspend(version, keys);
      return { wasOff, keptStop };
    }
    const copied = await object.takeConfig({ ...settings, keys }, invocation.now());
    wasOff ||= isAcknowledged && !copied.isKnown;
    if (copied.isTaken) {
      if (!isAcknowledged) await markPushed(invocation.db, tenantId, copied.version);
      return { wasOff, keptStop };
    }
    const isSuspended = !lifts && settings.status === "active" && copied.isSuspended === true;
    const raised = { from: version, beyond: copied.version, isSuspended };
    const isRaised = await raiseConfigVersion(invocation.db, tenantId, raised);
    if (!isRaised || !isSuspended) continue;
    keptStop = true;
    invocation.log({ event: "stop_kept", level: "error", tenant: tenantId });
  }
  throw new BindingUnavailable("the tenant's settings were not taken");
}

/**
 * Closes keys of a tenant in its object, or all of them, before anything else is pushed: however much that is, and whatever
 * of it cannot be taken, what was stopped is stopped.
 */
export async function close(
  invocation: Invocation,
  tenantId: string,
  { keyIds = [], isSuspended = false }: { keyIds?: string[]; isSuspended?: boolean },
): Promise<void> {
  invocation.refusals.drop(tenantId);
  await invocation.tenant(tenantId).close(keyIds, isSuspended);
}

/** Whether the object has the copy that it has acknowledged, as far as that can be read; changes nothing. */
export async function hasItsCopy(invocation: Invocation, tenantId: string): Promise<boolean> {
  const loaded = await loadReadable(invocation.db, tenantId, invocation.now(), skipUnreadable(invocation));
  // A deleted tenant's object keeps the ledger alone.
  if (!loaded?.settings || !loaded.isAcknowledged || loaded.isDeleted) return true;
  const { settings, keys, locationHint } = loaded;
  const object = invocation.tenant(tenantId, locationHint);
  return (await object.takeConfig({ ...settings, keys }, invocation.now(), true)).isKnown;
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
