/** A tenant's object, as far as a Worker calls it. */
import type { LocationHint } from "../domain/location-hints.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import type { Tenant } from "../tenant/object.ts";
import { callBinding } from "./binding.ts";
import { type Spender, timed } from "./spending.ts";

const tenantMethods = [
  "begin",
  "submitted",
  "settle",
  "admitFile",
  "keepFile",
  "dropFile",
  "credit",
  "setBalance",
  "summary",
  "ledger",
  "check",
  "takeConfig",
  "suspend",
  "ping",
] as const;
type TenantMethod = (typeof tenantMethods)[number];

/** Every call may throw `BindingUnavailable`. */
export type TenantStub = {
  [Method in TenantMethod]: (
    ...args: Parameters<Tenant[Method]>
  ) => Promise<Awaited<ReturnType<Tenant[Method]>>>;
};

/**
 * The stub of one tenant. Each call takes a new one of the platform's: after an exception an old one stays broken. Stored
 * data that the object cannot read is an error of its own, and no outage.
 * @param hint Given with every call, since the first one decides where the object lives for good.
 */
export function tenantStub(
  { TENANTS }: Pick<Env, "TENANTS">,
  spender: Spender,
  id: string,
  hint: LocationHint | null,
): TenantStub {
  const options = hint === null ? {} : { locationHint: hint };
  type Call = (...args: unknown[]) => Promise<unknown>;
  const call =
    (method: TenantMethod): Call =>
    (...args) =>
      timed(spender, "admit", () =>
        callBinding(
          "tenant",
          () => (TENANTS.getByName(id, options) as unknown as Record<TenantMethod, Call>)[method](...args),
          (error) => StoredDataUnreadable.from(error, id),
        ),
      );
  return Object.fromEntries(tenantMethods.map((method) => [method, call(method)])) as unknown as TenantStub;
}
