/**
 * The gateway's refusal by the fields of the form. Its message lists every field that breaks a rule; a refusal that
 * belongs to no field is shown above the button.
 */
import { Refusal } from "../../ui/call.ts";
import { refusedFields } from "../../ui/refused-fields.ts";
import { type Body, choiceNames } from "./draft.ts";

/** Errors by the field's name in the request: `image_urls.1` is the second reference, `size.width` one of the sides. */
export type FieldErrors = Record<string, string>;

/** The rarely used fields, which the form shows when asked to. */
export const moreFields = ["negative_prompt", "seed", ...choiceNames] as const;
/** The fields that the form has a control for. */
const fields = ["model", "prompt", "image_urls", "n", "size", ...moreFields] as const;
type FieldName = (typeof fields)[number];

const isField = (name: string | undefined): name is FieldName => fields.some((field) => field === name);

/**
 * Splits a refusal by fields.
 * @param sent The refused request.
 * @returns the fields' errors, and the whole error if it belongs to no field.
 */
export function fieldErrorsOf(error: unknown, sent?: Body): { fields: FieldErrors; rest: unknown } {
  if (!(error instanceof Refusal)) return { fields: {}, rest: error };
  // The policy refuses the content, which the prompt can change.
  if (error.code === "content_policy_violation")
    return { fields: { prompt: error.message }, rest: undefined };
  // The model does not name the field that it refuses; a custom size is the likeliest.
  if (error.code === "invalid_parameters" && typeof sent?.size === "object")
    return { fields: { size: error.message }, rest: undefined };
  if (!isField(error.param ?? undefined)) return { fields: {}, rest: error };
  const sorted: FieldErrors = {};
  for (const [path, text] of refusedFields(error)) {
    const [root, place] = path.split(".");
    // What the form has no control for stands at the one field that the gateway names.
    if (!isField(root)) return { fields: { [String(error.param)]: error.message }, rest: undefined };
    const hasParts = root === "image_urls" || root === "size";
    const name = hasParts && place !== undefined ? path : root;
    sorted[name] ??= text;
  }
  return { fields: sorted, rest: undefined };
}

/** The errors of the fields that have not been changed since they were sent. */
export function unchangedErrors(errors: FieldErrors, sent: Body, now: Body): FieldErrors {
  const same = (name: string) => {
    const field = name.split(".")[0] as FieldName;
    return JSON.stringify(sent[field]) === JSON.stringify(now[field]);
  };
  return Object.fromEntries(Object.entries(errors).filter(([name]) => same(name)));
}
