/**
 * The rules that the form checks while the person types. They are the gateway's rules that the hints name; the gateway
 * judges the rest.
 */
import { showNumber } from "../../ui/format.ts";
import { codePoints, type Draft, maxImages, maxSeed } from "./draft.ts";
import type { FieldErrors } from "./field-errors.ts";

export const longestPrompt = 2_000;
export const longestNegativePrompt = 500;
export const leastSide = 64;
export const mostSide = 4_096;

/** The draft's errors, by the field's name in the request. An empty prompt is no error, only unfinished. */
export function problemsOf(draft: Draft): FieldErrors {
  const isCustom = draft.size === "custom";
  const sides = [leastSide, mostSide, " px"] as const;
  const found = {
    prompt: tooLong(draft.prompt, longestPrompt),
    negative_prompt: tooLong(draft.negativePrompt, longestNegativePrompt),
    n: draft.n.trim() === "" ? undefined : notWhole(draft.n, 1, maxImages),
    seed: draft.seed.trim() === "" ? undefined : notWhole(draft.seed, 0, maxSeed),
    "size.width": isCustom ? notWhole(draft.width, ...sides) : undefined,
    "size.height": isCustom ? notWhole(draft.height, ...sides) : undefined,
  };
  return Object.fromEntries(Object.entries(found).flatMap(([name, text]) => (text ? [[name, text]] : [])));
}

function tooLong(text: string, most: number): string | undefined {
  const over = codePoints(text.trim()) - most;
  return over > 0 ? `At most ${showNumber(most)} characters: ${showNumber(over)} too many.` : undefined;
}

function notWhole(typed: string, least: number, most: number, unit = ""): string | undefined {
  const value = /^\d+$/.test(typed.trim()) ? Number(typed) : Number.NaN;
  if (value >= least && value <= most) return undefined;
  return `A whole number, ${showNumber(least)} to ${showNumber(most)}${unit}.`;
}
