/** Conditional requests (RFC 9110, 13.1.2). */
import * as z from "zod";

export const ifNoneMatch = {
  "if-none-match": z
    .string()
    .optional()
    .meta({ description: "An `ETag` from before: 304, when it is still so.", examples: ['W/"3"'] }),
};

/**
 * The entity tags of an `If-None-Match` field, as one field again, without what is none: R2 throws for that.
 * @returns undefined when there is nothing left, so that the condition does not count.
 */
export function entityTags(ifNoneMatch: string | undefined): string | undefined {
  if (ifNoneMatch?.trim() === "*") return "*";
  return ifNoneMatch?.match(/(?:W\/)?"[^"]*"/g)?.join(", ");
}

/** Whether `If-None-Match` names this entity tag; weak comparison, as that field asks for. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  const tags = entityTags(ifNoneMatch);
  if (tags === undefined) return false;
  const opaque = (tag: string) => tag.trim().replace(/^W\//, "");
  return tags === "*" || tags.split(", ").some((tag) => opaque(tag) === opaque(etag));
}
