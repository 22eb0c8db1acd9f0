/** The fields that a refusal is about. */
import type { Refusal } from "./call.ts";

/**
 * The message of an invalid request names each field with its error; any other is about its `param`.
 * @returns each field, such as `size.width`, with its error as a sentence; an error of no field has "" for it.
 */
export function refusedFields({ code, message, param }: Refusal): [field: string, text: string][] {
  if (code !== "invalid_request") return [[param ?? "", asSentence(message)]];
  const refused: [string, string][] = [];
  for (const part of message.split("; ")) {
    const [, field, text] = /^([\w.-]+): (.+)$/s.exec(part) ?? [];
    const last = refused.at(-1);
    if (field !== undefined && text !== undefined) refused.push([field, asSentence(text)]);
    // A field's error may contain a semicolon.
    else if (last) last[1] += `; ${part}`;
    else refused.push([param ?? "", asSentence(part)]);
  }
  return refused;
}

const asSentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
