/** The codec of limits: a tenant's, in D1 and in its object, and a key's. Both follow the list of limits. */
import { defaultLimits, type Limits, limitNames } from "./admission.ts";
import { type Decode, type Fields, mapOf, orNull, record, whole, withDefaults } from "./stored.ts";

const limit = orNull(whole);
const known: Fields<Limits> = Object.fromEntries(limitNames.map((name) => [name, limit])) as Fields<Limits>;

/** A limit that was not there when they were stored has its default. */
export const allLimits: Decode<Limits> = record<Limits>(withDefaults(defaultLimits, known));

/** A key's, on top of its tenant's: an absent limit is none. */
export const someLimits = mapOf(limit) as Decode<Partial<Limits>>;
