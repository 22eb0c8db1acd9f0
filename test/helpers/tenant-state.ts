/** The state of a tenant in its object, changed without the object's code. */
import { runInDurableObject } from "cloudflare:test";
import { readState, type TenantState, writeState } from "../../src/tenant/tenant-state.ts";
import { objectOf } from "./tenant-object.ts";

/** @param path Such as `account.charged`. */
export const setInState = (tenantId: string, path: string, value: number) =>
  runInDurableObject(objectOf(tenantId), (_tenant, { storage: { sql } }) => {
    const [group, field] = path.split(".") as ["account" | "counters", string];
    const state: TenantState = readState(sql);
    writeState(sql, { ...state, [group]: { ...state[group], [field]: value } });
  });
