/** A refusal by fields, so that each error stands beside its control. */
import { Refusal } from "../../ui/call.ts";

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
  for (const [field, text] of error instanceof Refusal ? problemsOf(error) : []) {
    const own = fields.find((name) => field === name || field.startsWith(`${name}.`));
    if (own === undefined) rest = error;
    else if (!texts.has(own)) texts.set(own, text.charAt(0).toUpperCase() + text.slice(1));
  }
  return { at: (field) => texts.get(field), rest };
}

/** The message of an invalid request names each field with its error; any other is about its `param`. */
function problemsOf({ code, message, param }: Refusal): [field: string, text: string][] {
  if (code !== "invalid_request") return [[param ?? "", message]];
  const problems: [string, string][] = [];
  for (const part of message.split("; ")) {
    const [, field, text] = /^([\w.-]+): (.+)$/s.exec(part) ?? [];
    const last = problems.at(-1);
    if (field !== undefined && text !== undefined) problems.push([field, text]);
    // A field's error may contain a semicolon.
    else if (last) last[1] += `; ${part}`;
    else problems.push([param ?? "", part]);
  }
  return problems;
}
