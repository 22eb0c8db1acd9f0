/**
 * The rules that the form checks while the person types. They are the gateway's rules that the hints name; the gateway
 * judges the rest.
 */
import { browserMaxImages, modelCatalog, requestBounds } from "#definitions";
import { showNumber } from "../../ui/format.ts";
import { codePoints, type Draft, type Model } from "./draft.ts";
import type { FieldErrors } from "./draft-errors.ts";

export const { side, seed, negativePromptCharacters } = requestBounds;
/** Of a request for any model: the page asks for references before a model is settled. */
export const maxReferences = Math.max(...Object.values(modelCatalog).map(({ bounds }) => bounds.references));

/** The most images that a page's key makes at once of a model, with references or without. */
export function maxImagesOf(model: Model): number {
  const { images, editedImages } = modelCatalog[model].bounds;
  return Math.min(browserMaxImages, images, editedImages);
}

export const maxPromptOf = (model: Model): number => modelCatalog[model].bounds.promptCharacters;

/**
 * The draft's errors, by the field's name in the request. An empty prompt is no error, only unfinished.
 * @param model The one that the request names.
 */
export function problemsOf(draft: Draft, model: Model): FieldErrors {
  const isCustom = draft.size === "custom";
  const sides = [side.least, side.most, " px"] as const;
  const found = {
    prompt: tooLong(draft.prompt, maxPromptOf(model)),
    negative_prompt: tooLong(draft.negativePrompt, negativePromptCharacters),
    n: draft.n.trim() === "" ? undefined : notWhole(draft.n, 1, maxImagesOf(model)),
    seed: draft.seed.trim() === "" ? undefined : notWhole(draft.seed, seed.least, seed.most),
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
