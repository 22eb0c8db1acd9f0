/** One comparison: the gateway and what it is measured against, in turns, so that a machine that slows down slows all. */
import type { Comparison, Measure, Reference, Target } from "./cases.ts";
import { type Measured, median, run } from "./load.ts";
import type { Prepared } from "./prepare.ts";

/** How long and how often each is measured. */
export interface Effort {
  rounds: number;
  seconds: number;
}

/** One measure of a comparison. */
export interface Compared {
  name: string;
  by: Measure;
  gateway: number;
  references: { name: string; value: number; ratio: number; target?: Target; met?: boolean }[];
}

/** The ratio is the median of those of the rounds. @param step Called after each run. */
export async function compare(
  one: Comparison,
  prepared: Prepared,
  { rounds, seconds }: Effort,
  step: () => void,
): Promise<Compared[]> {
  await fetch(`${prepared.upstreamUrl}/_pause/${one.upstreamMs ?? 0}`, { method: "POST" });
  const loads = [one.gateway, ...one.references.map(({ load }) => load)];
  const measured = loads.map(() => [] as Measured[]);
  for (let round = 0; round <= rounds; round++) {
    for (const [index, load] of loads.entries()) {
      // The first round warms up: code is compiled, connections and tables are there.
      const result = await run(load(round), round === 0 ? Math.min(2, seconds) : seconds);
      if (round > 0) measured[index]?.push(result);
      step();
    }
  }
  const [gateway = [], ...others] = measured;
  return one.measures.map((by) => ({
    name: one.name,
    by,
    gateway: median(gateway.map((result) => result[by])),
    references: one.references.map((reference, index) => judge(reference, by, gateway, others[index] ?? [])),
  }));
}

function judge({ name, targets }: Reference, by: Measure, gateway: Measured[], other: Measured[]) {
  const ratio = median(gateway.map((result, round) => result[by] / (other[round]?.[by] ?? Number.NaN)));
  const target = targets?.[by];
  const value = median(other.map((result) => result[by]));
  return { name, value, ratio, ...(target && { target, met: isMet(target, ratio) }) };
}

function isMet(target: Target, ratio: number): boolean {
  return "atLeast" in target ? ratio >= target.atLeast : ratio <= target.atMost;
}
