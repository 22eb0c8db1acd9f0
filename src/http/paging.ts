/** Paging, as every list has it. */
import * as z from "zod";

export const pageLimit = z.coerce.number().int().min(1).max(100).default(20);

export const pageQuery = z.object({
  limit: pageLimit,
  cursor: z.string().max(100).default("").meta({ description: "`next_cursor` of the page before." }),
});

/** Makes a page of what was read, which is one row more than `limit` when there is a next page. */
export function toPage<Row, View>(
  rows: Row[],
  limit: number,
  view: (row: Row) => View,
  cursorOf: (row: Row) => string = (row) => (row as { id: string }).id,
) {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const next_cursor = rows.length > limit && last !== undefined ? cursorOf(last) : null;
  return { object: "list" as const, data: page.map(view), next_cursor };
}
