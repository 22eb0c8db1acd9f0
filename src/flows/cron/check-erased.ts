/** What a tenant's object has brought back since it was restored to an earlier time: requests of tasks that D1 has as erased. */
import { erasedAmong } from "../../d1/erasure/brought-back.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Discrepancy } from "./discrepancy.ts";

/** Numbers of the ledger that one check is about: some, anywhere in it, or all that an object has as a rule. */
const most = { some: 500, all: 50_000 };

/** Names those that are back, and has the object erase them again. @param isAll All of them; else some, others each time. */
export async function checkErased(
  { db, tenant: object, random }: Pick<Invocation, "db" | "tenant" | "random">,
  tenant: string,
  mends: boolean,
  isAll: boolean,
): Promise<Discrepancy[]> {
  const kept = await object(tenant).keptRequests(random(), isAll ? most.all : most.some);
  const ids = kept.map(({ id }) => id);
  const erased = await erasedAmong(db, tenant, ids);
  const back = kept.filter(({ id }) => erased.has(id));
  if (mends && back.length > 0) await object(tenant).erase(back);
  const text = `was erased, and is back in the tenant's object${mends ? ": erased again" : ""}`;
  return back.map(({ id }) => ({ kind: "erasure", tenant, subject: id, text }));
}
