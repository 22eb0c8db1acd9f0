/** A tenant's object, as far as a Worker calls it. */
import type { LocationHint } from "../domain/location-hints.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import type { Tenant } from "../tenant/object.ts";
import { BindingUnavailable, callBinding } from "./binding.ts";
import { type Spender, timed } from "./spending.ts";

const tenantMethods = [
  "begin",
  "noteOutcome",
  "writeRow",
  "endEarly",
  "giveUp",
  "takeOver",
  "readYoung",
  "flush",
  "catchUp",
  "writeAgain",
  "settle",
  "isSettled",
  "openBefore",
  "countRequest",
  "admitFile",
  "keepFile",
  "dropFile",
  "credit",
  "setBalance",
  "summary",
  "ledgerPage",
  "closedParts",
  "closeBooks",
  "check",
  "compareEnds",
  "comparePlace",
  "takeConfig",
  "suspend",
  "close",
  "erase",
  "keptRequests",
  "ping",
] as const;
type TenantMethod = (typeof tenantMethods)[number];

/** All but these do nothing the second time, by the same arguments. */
const madeOnce: ReadonlySet<TenantMethod> = new Set(["countRequest", "admitFile", "setBalance"]);

/** Every call may throw `BindingUnavailable`. */
export type TenantStub = {
  [Method in TenantMethod]: (
    ...args: Parameters<Tenant[Method]>
  ) => Promise<Awaited<ReturnType<Tenant[Method]>>>;
};

/** The object looks for a task of that id, which it need not otherwise. */
const repeatedBegin = ([request, ...rest]: unknown[]) => [
  { ...(request as object), isRepeated: true },
  ...rest,
];

/**
 * The stub of one tenant. Each call takes a new one of the platform's: after an exception an old one stays broken. A call
 * that broke, as when the object moves or its code is updated, is made once more where the platform advises it. Stored
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
  const once = (method: TenantMethod, args: unknown[]) =>
    callBinding(
      "tenant",
      () => (TENANTS.getByName(id, options) as unknown as Record<TenantMethod, Call>)[method](...args),
      (error) => StoredDataUnreadable.from(error, id),
    );
  const call =
    (method: TenantMethod): Call =>
    (...args) =>
      timed(spender, "admit", async () => {
        try {
          return await once(method, args);
        } catch (error) {
          if (!(error instanceof BindingUnavailable && error.isRetryable) || madeOnce.has(method))
            throw error;
          return once(method, method === "begin" ? repeatedBegin(args) : args);
        }
      });
  return Object.fromEntries(tenantMethods.map((method) => [method, call(method)])) as unknown as TenantStub;
}
