/** Limits that follow from other limits, each by itself. */
import { type LimitName, type Limits, limitNames } from "./admission.ts";
import { visitorShare } from "./limit-parts.ts";

/** The limits of a page's visitors, by key and by token, where they are not set. @param whole What they have a part of. */
export function visitorLimits(whole: Limits): Limits {
  return limitsBy((name) => visitorShare(whole[name]));
}

/** Of two sets of limits the lower ones. */
export function lowerLimits(one: Limits, other: Limits): Limits {
  const infinite = Number.POSITIVE_INFINITY;
  return limitsBy((name) => {
    const lower = Math.min(one[name] ?? infinite, other[name] ?? infinite);
    return lower === infinite ? null : lower;
  });
}

const limitsBy = (of: (name: LimitName) => number | null) =>
  Object.fromEntries(limitNames.map((name) => [name, of(name)])) as Record<LimitName, number | null>;
