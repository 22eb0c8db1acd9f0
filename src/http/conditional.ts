/** Conditional requests (RFC 9110, 13.1.2). */
import * as z from "zod";
import { documented } from "../domain/documented.ts";

export const ifNoneMatch = {
  "if-none-match": z
    .string()
    .optional()
    .meta(
      documented(() => ({
        description: "An `ETag` from before: 304, when it is still so.",
        examples: ['W/"3"'],
      })),
    ),
};

/**
 * The entity tags of an `If-None-Match` field, as one field. R2 throws for a field with anything else in it.
 * @returns undefined for a field without any tag, which is no condition.
 */
export function entityTags(ifNoneMatch: string | undefined): string | undefined {
  if (ifNoneMatch?.trim() === "*") return "*";
  return ifNoneMatch?.match(/(?:W\/)?"[^"]*"/g)?.join(", ");
}

/** Whether `If-None-Match` names this entity tag, by the weak comparison that the field asks for. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = entityTags(ifNoneMatch);
  if (tags === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, "");
  return tags === "*" || tags.split(", ").some((tag) => opaque(tag) === opaque(etag));
}
