/** What a hostile upstream and a failing platform do, drawn at random. */

import { NAMES } from "../simulator/prompt.ts";
import type { Chance } from "./chance.ts";
import type { Around } from "./gateway.ts";

/** These cost real time and not the clock's, time and again; tests of storing have them. */
const slow = ["picture-hang", "stalled", "drip", "bytes"];
/** Each of these pauses the whole account for up to a minute, so that more than a few would be all there is. */
const pauses = ["429", "read-429"];
const behaviours = [...NAMES.keys()].filter((name) => !slow.includes(name) && !pauses.includes(name));

/** A prompt, with whatever is to go wrong with it: any behaviour that the simulator knows. */
export function drawPrompt(chance: Chance): string {
  const parts = [`a boat, number ${chance.between(1, 1_000_000)}`, `[sim:seconds=${chance.between(3, 60)}]`];
  if (chance.happens(0.4)) parts.push(`[sim:${chance.pick(behaviours)}]`);
  if (chance.happens(0.005)) parts.push(`[sim:${chance.pick(pauses)}]`);
  if (chance.happens(0.1)) parts.push(`[sim:${chance.pick(behaviours)}]`);
  return parts.join(" ");
}

/** What goes wrong at our own platform's doors: a call fails before it is made, or after it took effect. */
export function faultyPlatform(
  chance: Chance,
  share: () => number,
): { around: Around; faults: () => number } {
  let faults = 0;
  const around: Around = async (_name, call) => {
    const isFaulty = chance.happens(share());
    const before = chance.happens(0.5);
    if (isFaulty) faults++;
    if (isFaulty && before) throw new Error("the platform failed before");
    const result = await call();
    if (isFaulty) throw new Error("the platform failed after");
    return result;
  };
  return { around, faults: () => faults };
}
