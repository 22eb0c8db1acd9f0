/** What the gateway says about a request's fields, sorted out so that each is told beside its own control. */
import { Refusal } from "../../ui/call.ts";

export interface Said {
  /** What is wrong with this field, such as `limits.images_per_day`, or with a part of it. */
  at(field: string): string | undefined;
  /** What belongs to none of the fields on the screen. */
  rest: unknown;
}

/** @param fields Those that the form shows. */
export function said(error: unknown, fields: readonly string[]): Said {
  const told = new Map<string, string>();
  let rest = error instanceof Refusal ? undefined : error;
  for (const [field, text] of error instanceof Refusal ? problemsOf(error) : []) {
    const own = fields.find((name) => field === name || field.startsWith(`${name}.`));
    if (own === undefined) rest = error;
    else if (!told.has(own)) told.set(own, text.charAt(0).toUpperCase() + text.slice(1));
  }
  return { at: (field) => told.get(field), rest };
}

/** A bad request's text names each field with what is wrong with it; any other is about its `param`. */
function problemsOf({ code, message, param }: Refusal): [field: string, text: string][] {
  if (code !== "invalid_request") return [[param ?? "", message]];
  const problems: [string, string][] = [];
  for (const part of message.split("; ")) {
    const [, field, text] = /^([\w.-]+): (.+)$/s.exec(part) ?? [];
    const last = problems.at(-1);
    if (field !== undefined && text !== undefined) problems.push([field, text]);
    // A rule may have a semicolon of its own.
    else if (last) last[1] += `; ${part}`;
    else problems.push([param ?? "", part]);
  }
  return problems;
}
