/** Chances that a seed decides: the same seed, the same chances, as long as they are asked for in the same order. */
import { uniformFloat64 } from "pure-rand/distribution/uniformFloat64";
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus";

export interface Chance {
  /** Whether something of this probability happens. */
  happens(probability: number): boolean;
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number;
  pick<T>(from: readonly T[]): T;
}

export function chanceOf(seed: number): Chance {
  const generator = xoroshiro128plus(seed);
  const next = () => uniformFloat64(generator);
  const between = (min: number, max: number) => min + Math.floor(next() * (max - min + 1));
  return {
    happens: (probability) => next() < probability,
    between,
    pick(from) {
      const picked = from[between(0, from.length - 1)];
      if (picked === undefined) throw new Error("nothing to pick from");
      return picked;
    },
  };
}
