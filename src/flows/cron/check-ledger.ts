/** Whether a tenant's ledger adds up: from its checkpoint on, as cron does in turn, or all of it, part by part. */
import { beforeFirstPart, verifyPart } from "../../domain/ledger-part.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import { callBinding } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import type { Check } from "../../tenant/check-state.ts";
import type { Discrepancy } from "./discrepancy.ts";

/** Checks a tenant's account, in calls that are short each. */
export async function checkAccount(invocation: Invocation, tenantId: string): Promise<Check> {
  const tenant = invocation.tenant(tenantId);
  const { unsummed, ...check } = await tenant.check();
  const problems = [...check.problems];
  for (let rest = unsummed; rest; ) {
    const next = await tenant.check(rest);
    problems.push(...next.problems);
    rest = next.unsummed;
  }
  return { ...check, problems };
}

export interface PartsVerified {
  discrepancies: Discrepancy[];
  parts: number;
  /** Parts with lines before this number come next; null: all are verified. */
  nextSeq: number | null;
}

/** Verifies closed parts, newest first, `limit` at the most, each as the one that follows the part before it. */
export async function verifyParts(
  invocation: Invocation,
  tenant: string,
  beforeSeq: number,
  limit: number,
): Promise<PartsVerified> {
  const asked = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, beforeSeq, limit: limit + 1 };
  const found = await invocation.tenant(tenant).closedParts(asked);
  const parts = found.slice(0, limit);
  const discrepancies = await inParallel(
    parts.map((part, i) => ({ part, before: found[i + 1] ?? beforeFirstPart })),
    async ({ part, before }): Promise<Discrepancy[]> => {
      const bytes = await callBinding("storage", async () =>
        (await invocation.bucket.get(part.key))?.arrayBuffer(),
      );
      const problems = bytes ? await problemsOf(() => verifyPart(part, before, bytes)) : ["is not in R2"];
      const subject = part.key;
      return problems.map((text) => ({
        ...{ kind: "balance", tenant, subject },
        text: `part ${part.number} of the ledger ${text}`,
      }));
    },
    { concurrency: connections },
  );
  const last = parts.at(-1);
  return {
    discrepancies: discrepancies.flat(),
    parts: parts.length,
    nextSeq: found.length > limit && last ? last.afterSeq + 1 : null,
  };
}

async function problemsOf(verify: () => Promise<string[]>): Promise<string[]> {
  try {
    return await verify();
  } catch (error) {
    if (!(error instanceof StoredDataUnreadable)) throw error;
    return [`has a line that cannot be read: ${error.place.field} must be ${error.expected}`];
  }
}
