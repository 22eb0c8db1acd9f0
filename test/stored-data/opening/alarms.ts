/**
 * Alarms of tenants' objects, by the test's clock. The platform's come by the machine's, for which all times of a fixture
 * are long past: an alarm would come while the very admission that sets it goes on.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";

export interface Alarms {
  /** From now on an object's alarm is set here. An object that was made anew since is another one. */
  take(tenant: string): Promise<void>;
  /** Rings those that are due. */
  ring(nowMs: number): Promise<void>;
}

/** @param dueMs When the alarms are due that the objects have set before. */
export function createAlarms(tenants: string[], dueMs: number): Alarms {
  const due = new Map(tenants.map((tenant) => [tenant, dueMs]));
  const take = (tenant: string, storage: DurableObjectStorage) => {
    storage.setAlarm = async (atMs) => void due.set(tenant, Number(atMs));
  };
  return {
    take: (tenant) =>
      runInDurableObject(env.TENANTS.getByName(tenant), (_object, { storage }) => take(tenant, storage)),
    async ring(nowMs) {
      for (const [tenant, atMs] of due) {
        if (atMs > nowMs) continue;
        due.delete(tenant);
        await runInDurableObject(env.TENANTS.getByName(tenant), (object, { storage }) => {
          take(tenant, storage);
          return object.alarm();
        });
      }
    },
  };
}
