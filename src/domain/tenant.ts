/** What a tenant's object has to know to decide: a copy of the tenant's settings and keys, by version. */
import type { Limits } from "./admission.ts";
import type { StoredKey } from "./keys.ts";
import type { Model } from "./model-catalog.ts";

export type TenantStatus = "active" | "suspended";

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
  /** `balance.low` is told when what is available falls below this; null: never. */
  lowBalance: number | null;
}

export interface TenantConfig extends TenantSettings {
  version: number;
  /** Those that may still be used; a key that is not here is refused. */
  keys: StoredKey[];
}
