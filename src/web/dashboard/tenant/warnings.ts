/** Warnings about a tenant, which the operator should see before any figure. */
import type { Tenant } from "#gateway";
import { count } from "../../ui/format.ts";

export interface Warning {
  /** `bad`: its requests are refused. */
  tone: "bad" | "busy";
  /** The text in a table. */
  short: string;
  long: string;
}

/** How the requests of a tenant fare by its status; null: as usual. */
const statusWarnings: Record<Tenant["status"], string | null> = {
  active: null,
  suspended: "Suspended: every request of its keys and tokens is refused.",
};

export function warningsOf(tenant: Tenant): Warning[] {
  const { status, available, low_balance: low, webhook } = tenant;
  const warnings: Warning[] = [];
  const refused = statusWarnings[status];
  if (refused !== null) warnings.push({ tone: "bad", short: status, long: refused });
  if (available !== null && available <= 0) {
    warnings.push({
      tone: "bad",
      short: "no credits",
      long: "No credits are available: new tasks are refused until it is topped up.",
    });
  } else if (available !== null && low !== null && available < low) {
    warnings.push({
      tone: "busy",
      short: "low balance",
      long: `Credits are running out: ${count(available, "credit")} available, below the ${count(low, "credit")} that it is warned at.`,
    });
  }
  if (webhook.url !== null && webhook.status === "off") {
    warnings.push({
      tone: "busy",
      short: "webhook off",
      long: `Its webhook is switched off: it ${webhook.disabled?.reason === "failing" ? "took nothing for days" : "answered 410"}. Set it again to switch it on.`,
    });
  }
  return warnings;
}
