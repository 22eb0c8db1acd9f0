/** What a tenant's object has to know to decide: a copy of the tenant's settings and keys, by version. */
import { defaultLimits, type Limits } from "./admission.ts";
import type { StoredKey } from "./keys.ts";
import { type Model, models } from "./model-catalog.ts";
import { type Fields, knownOf, mapOf, oneOf, orNull, whole, withDefaults, yesOrNo } from "./stored.ts";
import { allLimits } from "./stored-limits.ts";

export const tenantStatuses = ["active", "suspended"] as const;
export type TenantStatus = (typeof tenantStatuses)[number];

/** Credits per image, by model. */
export type Prices = Partial<Record<Model, number>>;

/** What an operator sets of a tenant and its requests are decided by. */
export interface TenantSettings {
  status: TenantStatus;
  limits: Limits;
  /** The tenant's own; they go over the gateway's. */
  prices: Prices;
  /** Null: all. */
  models: Model[] | null;
  /** Prepaid: nothing is admitted that the balance does not cover. Else metered only. */
  prepaid: boolean;
  /** Credits that the tenant started with. */
  openingBalance: number;
  /** `balance.low` is sent when what is available falls below this; null: never. */
  lowBalance: number | null;
}

/** How settings are stored, in D1 and in the tenant's object. The defaults are those that D1's migrations gave. */
export const tenantSettingsFields: Fields<TenantSettings> = withDefaults(
  { limits: defaultLimits, prices: {}, models: null, prepaid: false, openingBalance: 0, lowBalance: null },
  {
    status: oneOf(tenantStatuses),
    limits: allLimits,
    prices: mapOf(whole),
    models: orNull(knownOf(models)),
    prepaid: yesOrNo,
    openingBalance: whole,
    lowBalance: orNull(whole),
  },
);

export interface TenantConfig extends TenantSettings {
  version: number;
  /** Those that may still be used; a key that is not here is refused. */
  keys: StoredKey[];
}
