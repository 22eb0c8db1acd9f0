/**
 * Erasing requests again in a tenant's object: those of tasks that D1 has as erased and the object still knows, since it was
 * restored to an earlier time, or a version erased them that left them there.
 */
import { erasedAmong } from "../../d1/erasure/brought-back.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** Numbers of the ledger that one call is about: some, anywhere in it, or all that an object has as a rule. */
const most = { some: 500, all: 50_000 };

/** @param isAll All of them; else some, others each time. */
export async function eraseAgain(
  { db, tenant: object, random, log }: Pick<Invocation, "db" | "tenant" | "random" | "log">,
  tenant: string,
  isAll: boolean,
): Promise<void> {
  const kept = await object(tenant).keptRequests(random(), isAll ? most.all : most.some);
  const ids = kept.map(({ id }) => id);
  const erased = await erasedAmong(db, tenant, ids);
  const back = kept.filter(({ id }) => erased.has(id));
  if (back.length === 0) return;
  await object(tenant).erase(back);
  log({ event: "erased_again", tenant, tasks: back.length });
}
