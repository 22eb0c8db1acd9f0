/** Authorizing requests that the tenant's object does not decide, in the same call to D1 that reads their data. */

import { firstKey, type KnownKey, selectKey } from "../../d1/tenants/keys.ts";
import { type Action, type Caller, checkAccess, type KeyRefusal } from "../../domain/access.ts";
import type { Model } from "../../domain/model-catalog.ts";
import type { Invocation } from "../../platform/invocation.ts";

export type Authorized =
  | { kind: "key_refused"; refusal: KeyRefusal }
  | { kind: "in"; known: KnownKey; results: D1Result[] };

/** Checks the caller's key as D1 has it now, so that revocation holds at once, and runs `statements` beside. */
export async function authorize(
  invocation: Invocation,
  caller: Caller,
  asked: { action: Action; model?: Model },
  statements: D1PreparedStatement[] = [],
): Promise<Authorized> {
  const [keys, ...results] = await invocation.db.batch([
    selectKey(invocation.db, caller.tenantId, caller.keyId),
    ...statements,
  ]);
  const known = firstKey(keys);
  const gate = known?.tenant ?? { status: "active" as const, models: null };
  const refusal = checkAccess(caller, known?.key, gate, asked, invocation.now());
  if (refusal) return { kind: "key_refused", refusal };
  if (!known) return { kind: "key_refused", refusal: "invalid_key" };
  return { kind: "in", known, results };
}
