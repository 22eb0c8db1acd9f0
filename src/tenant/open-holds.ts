/**
 * Which holds have not ended, as ranges of their numbers, in order: [[3, 7], [9, 9]]. The state carries them, so that a hold is
 * ended by the entry of its end and the hold's own row is never written again. They are ranges, since tasks that wait
 * were admitted one after the other.
 */

import { type Decode, list, whole } from "../domain/stored.ts";

export type OpenHolds = readonly (readonly [first: number, last: number])[];

/** How they are stored. A range is a list of two numbers, in which nothing is copied. */
export const openHoldRanges = list(list(whole)) as unknown as Decode<OpenHolds>;

/** @param hold The highest number so far. */
export function withHold(open: OpenHolds, hold: number): OpenHolds {
  const newest = open.at(-1);
  return newest?.[1] === hold - 1 ? [...open.slice(0, -1), [newest[0], hold]] : [...open, [hold, hold]];
}

/** Undefined when the hold is not open. */
export function withoutHold(open: OpenHolds, hold: number): OpenHolds | undefined {
  const at = open.findIndex(([first, last]) => first <= hold && hold <= last);
  const range = open[at];
  if (!range) return undefined;
  const [first, last] = range;
  const left = first < hold ? [[first, hold - 1] as const] : [];
  const right = hold < last ? [[hold + 1, last] as const] : [];
  return [...open.slice(0, at), ...left, ...right, ...open.slice(at + 1)];
}

/** Those of a span of numbers. */
export function spanOf(open: OpenHolds, afterSeq: number, upToSeq: number): OpenHolds {
  return open
    .map(([first, last]) => [Math.max(first, afterSeq + 1), Math.min(last, upToSeq)] as const)
    .filter(([first, last]) => first <= last);
}
