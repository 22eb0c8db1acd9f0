/** The bench's figures as tables. */
import Table from "cli-table3";
import type { Bill } from "./bill.ts";
import type { Budget } from "./budgets.ts";
import type { Measure, Target } from "./cases.ts";
import type { Compared } from "./compare.ts";
import type { Outage } from "./distance.ts";
import type { Round } from "./round.ts";

const units: Record<Measure, string> = { perSecond: "/s", p50Ms: "ms, p50", p99Ms: "ms, p99" };
const numbers = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Without colours: it is to be copied. */
const plain = { style: { head: [], border: [] } };

export function comparedTable(compared: Compared[]): string {
  const table = new Table({ ...plain, head: ["case", "gateway", "against", "", "ratio", "target", ""] });
  const value = (by: Measure, figure: number) => `${numbers.format(figure)} ${units[by]}`;
  for (const { name, by, gateway, references } of compared) {
    if (references.length === 0) table.push([name, value(by, gateway), "", "", "", "", ""]);
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

export const showCount = (count: number): string => numbers.format(count);

export function roundTable(rounds: Round[]): string {
  const table = new Table({ ...plain, head: ["finished tasks", "due", "ms", "rows read", "for each due"] });
  for (const { finished, due, ms, rowsRead } of rounds) {
    table.push([...[finished, due, ms, rowsRead].map(showCount), (rowsRead / due).toFixed(2)]);
  }
  return table.toString();
}

export function outageTable({ seconds, accepted, errors, lost, caughtUpMs }: Outage): string {
  const head = ["D1 is out for", "accepted", "errors", "lost", "D1 has them all after"];
  const table = new Table({ ...plain, head });
  table.push([`${seconds} s`, ...[accepted, errors, lost].map(showCount), `${showCount(caughtUpMs)} ms`]);
  return table.toString();
}

export function budgetTable(budgets: Budget[]): string {
  const table = new Table({ ...plain, head: ["budget", "measured", "at most", ""] });
  for (const { what, measured, most } of budgets) {
    const figure = Number.isInteger(measured) ? showCount(measured) : measured.toFixed(2);
    table.push([what, figure, showCount(most), measured <= most ? "met" : "broken"]);
  }
  return table.toString();
}

/** Of a million tasks. */
export function billTable(bill: Bill): string {
  const table = new Table({ ...plain, head: ["a million tasks", "count", "dollars"] });
  for (const { what, count, dollars } of bill.lines) table.push([what, showCount(count), dollars.toFixed(2)]);
  table.push(["in all", "", bill.dollars.toFixed(2)]);
  table.push([
    "each further read, once the task has ended",
    showCount(1_000_000),
    bill.finishedReadsDollars.toFixed(2),
  ]);
  table.push(["each further read while it runs", showCount(1_000_000), bill.runningReadsDollars.toFixed(2)]);
  table.push(["cron, in a month without a task", "", bill.idleMonthDollars.toFixed(2)]);
  return table.toString();
}
