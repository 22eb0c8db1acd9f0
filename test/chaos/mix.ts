/** What a hostile upstream and a failing platform do, drawn at random. */
import type { Around } from "../gateway.ts";
import type { Chance } from "./chance.ts";

/** Scripts in prompts, each about one way in which a task goes; most of the time it goes well. */
const submitTroubles = [
  "[sim:429]",
  "[sim:429=5]",
  "[sim:429=date]",
  "[sim:submit-error]",
  "[sim:integer-code]",
  "[sim:oauth-error]",
  "[sim:submit-html]",
  "[sim:submit-text]",
  "[sim:submit-empty]",
  "[sim:reset-before]",
  "[sim:reset-after]",
  "[sim:error-after]",
  "[sim:still-running]",
  "[sim:no-id]",
  "[sim:non-object]",
  "[sim:replay]",
];
const refusals = ["[sim:refuse]", "[sim:refuse=invalid_parameters]", "[sim:quota]", "[sim:conflict]"];
const lives = [
  "[sim:done]",
  "[sim:fail]",
  "[sim:fail=channel_error]",
  "[sim:leak]",
  "[sim:read-429=5]",
  "[sim:read-error]",
  "[sim:read-html]",
  "[sim:read-404]",
  "[sim:read-reset]",
  "[sim:seconds=120]",
  "[sim:seconds=900]",
];
const pictures = [
  "[sim:stale-links]",
  "[sim:redirect]",
  "[sim:redirect=5]",
  "[sim:redirect-private]",
  "[sim:redirect-loop]",
  "[sim:picture-error=410]",
  "[sim:picture-html]",
  "[sim:type=text/html]",
  "[sim:really=webp]",
  "[sim:pixels=640x480]",
  "[sim:truncated=0.5]",
  "[sim:empty]",
  "[sim:no-length]",
  "[sim:lying-length=100]",
];

/** A prompt, with whatever is to go wrong with it. */
export function drawPrompt(chance: Chance): string {
  const parts = [`a boat, number ${chance.between(1, 1_000_000)}`];
  if (chance.happens(0.25)) parts.push(chance.pick(submitTroubles));
  else if (chance.happens(0.05)) parts.push(chance.pick(refusals));
  if (chance.happens(0.2)) parts.push(chance.pick(lives));
  else parts.push(`[sim:seconds=${chance.between(3, 60)}]`);
  if (chance.happens(0.12)) parts.push(chance.pick(pictures));
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
