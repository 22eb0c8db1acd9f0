/** A refusal by fields, so that each error stands beside its control. */
import { Refusal } from "../../ui/call.ts";
import { refusedFields } from "../../ui/refused-fields.ts";

export interface FieldErrors {
  /** The error of this field, such as `limits.images_per_day`, or of a part of it. */
  at(field: string): string | undefined;
  /** The error, if a part of it belongs to none of the form's fields. */
  rest: unknown;
}

/** @param fields The fields that the form shows. */
export function fieldErrors(error: unknown, fields: readonly string[]): FieldErrors {
  const texts = new Map<string, string>();
  let rest = error instanceof Refusal ? undefined : error;
  for (const [field, text] of error instanceof Refusal ? refusedFields(error) : []) {
    const own = fields.find((name) => field === name || field.startsWith(`${name}.`));
    if (own === undefined) rest = error;
    else if (!texts.has(own)) texts.set(own, text);
  }
  return { at: (field) => texts.get(field), rest };
}
