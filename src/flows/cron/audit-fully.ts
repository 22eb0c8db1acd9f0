/**
 * The audit of everything that money is written in: each tenant's account, its open holds and all its ledger, down to the
 * first line. It is too much for one call; each does some of it and says where the next one goes on.
 */
import { tenantIds } from "../../d1/tenants/tenants.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { verifyParts } from "./check-ledger.ts";
import type { Discrepancy } from "./discrepancy.ts";
import { reconcileOne } from "./reconcile.ts";

/**
 * Where an audit goes on with a tenant: empty: with its account; `<number>:<id>`: with comparing its tasks; a number: with its
 * parts that have lines before it.
 */
export interface AuditPlace {
  tenant: string;
  rest: string;
}

export interface FullAudit {
  discrepancies: Discrepancy[];
  /** Tenants whose account was checked, and parts that were verified. */
  tenants: number;
  parts: number;
  next: AuditPlace | null;
}

/** Of one call: each part is some megabytes of text. */
const partsAtOnce = 20;
const tenantsAtOnce = 20;
const slicesAtOnce = 100;

/** @param only One tenant alone. @param from Where the call before has ended; null: at the first tenant. */
export async function auditFully(
  invocation: Invocation,
  only: string | null,
  from: AuditPlace | null,
): Promise<FullAudit> {
  const done: FullAudit = { discrepancies: [], tenants: 0, parts: 0, next: null };
  const room = { slices: slicesAtOnce };
  // One that a call has begun comes first in the next one.
  const others =
    only === null ? await tenantIds(invocation.db, from?.tenant ?? "", tenantsAtOnce + 1, true) : [];
  const begun = from?.tenant ?? only;
  for (const tenant of [...(begun === null ? [] : [begun]), ...others]) {
    const isFull = done.tenants === tenantsAtOnce || done.parts >= partsAtOnce || room.slices <= 0;
    let rest = tenant === from?.tenant ? from.rest : "";
    if (isFull) return { ...done, next: { tenant, rest } };
    if (rest === "" || rest.includes(":")) {
      const checked = await reconcileOne(invocation, tenant, room, rest);
      done.discrepancies.push(...checked.found);
      if (checked.rest !== null) return { ...done, next: { tenant, rest: checked.rest } };
      done.tenants++;
      rest = String(Number.MAX_SAFE_INTEGER);
    }
    const verified = await verifyParts(invocation, tenant, Number(rest), partsAtOnce - done.parts);
    done.discrepancies.push(...verified.discrepancies);
    done.parts += verified.parts;
    if (verified.nextSeq !== null) return { ...done, next: { tenant, rest: String(verified.nextSeq) } };
  }
  return done;
}
