/** The bench's figures as tables. */
import Table from "cli-table3";
import type { Measure, Target } from "./cases.ts";
import type { Compared } from "./compare.ts";
import type { Round } from "./round.ts";

const units: Record<Measure, string> = { perSecond: "/s", p50Ms: "ms, p50", p99Ms: "ms, p99" };
const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Without colours: it is to be copied. */
const plain = { style: { head: [], border: [] } };

export function comparedTable(compared: Compared[]): string {
  const table = new Table({ ...plain, head: ["case", "gateway", "against", "", "ratio", "target", ""] });
  const value = (by: Measure, figure: number) => `${numbers.format(figure)} ${units[by]}`;
  for (const { name, by, gateway, references } of compared) {
    for (const reference of references) {
      const { target, met } = reference;
      table.push([
        name,
        value(by, gateway),
        reference.name,
        value(by, reference.value),
        reference.ratio.toFixed(reference.ratio < 10 ? 2 : 0),
        showTarget(target),
        met === undefined ? "" : met ? "met" : "missed",
      ]);
    }
  }
  return table.toString();
}

function showTarget(target: Target | undefined): string {
  if (!target) return "";
  return "atLeast" in target ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`;
}

export function roundTable(rounds: Round[], rowsPerDue: number): string {
  const head = ["finished tasks", "due", "ms", "rows read", "for each due", "budget", ""];
  const table = new Table({ ...plain, head });
  for (const { finished, due, ms, rowsRead } of rounds) {
    const each = rowsRead / due;
    const met = each <= rowsPerDue ? "met" : "broken";
    table.push([
      ...[finished, due, ms, rowsRead].map((n) => numbers.format(n)),
      each.toFixed(2),
      `≤ ${rowsPerDue}`,
      met,
    ]);
  }
  return table.toString();
}
