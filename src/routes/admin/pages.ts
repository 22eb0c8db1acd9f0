/** What the admin routes share: paging, and the errors of all of them. */
import * as z from "zod";
import type { ErrorCode } from "../../errors.ts";

/** Codes that every operation behind the admin key can answer with. */
export const adminErrors = [
  "missing_key",
  "invalid_key",
  "scope_denied",
  "unavailable",
] as const satisfies ErrorCode[];

export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  cursor: z.string().max(100).default("").meta({ description: "`next_cursor` of the page before." }),
});

/** Makes a page of what was read, which is one row more than `limit` when there is a next page. */
export function toPage<Row extends { id: string }, View>(
  rows: Row[],
  limit: number,
  view: (row: Row) => View,
) {
  const page = rows.slice(0, limit);
  const next_cursor = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
  return { object: "list" as const, data: page.map(view), next_cursor };
}
