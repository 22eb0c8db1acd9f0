/** Topping up a tenant's credits, refunding and adjusting them. */
import type { Credit } from "../../domain/ledger-lines.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { CreditResult } from "../../tenant/settlement.ts";
import { type Actor, auditEntry } from "./audit-entry.ts";

/** Gives credits, once per reference. */
export async function giveCredits(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  credit: Credit,
): Promise<CreditResult> {
  const result = await invocation.tenant(tenantId).credit(tenantId, credit, invocation.now());
  if (result.kind === "done" && !result.isReplay) {
    const { type, amount, reference } = credit;
    const details = { type, amount, reference };
    await auditEntry(invocation, by, {
      action: "credits.give",
      tenantId,
      subject: tenantId,
      details,
    }).run();
  }
  return result;
}
