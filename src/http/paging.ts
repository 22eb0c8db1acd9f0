/** Paging, as every list has it. */
import * as z from "zod";
import { documented } from "../domain/documented.ts";

export const pageLimit = z.coerce.number().int().min(1).max(100).default(20);

export const pageQuery = z.object({
  limit: pageLimit,
  cursor: z
    .string()
    .max(100)
    .default("")
    .meta(documented(() => ({ description: "`next_cursor` of the page before." }))),
});

/** What a walk that is bounded has found: see `src/d1/walk.ts`. */
interface Found<Row> {
  rows: Row[];
  walkedTo: string | null;
}

/** Makes a page of what a bounded walk has found, which goes on where the walk ended. */
export function toWalkedPage<Row, View>(
  { rows, walkedTo }: Found<Row>,
  limit: number,
  view: (row: Row) => View,
) {
  const page = toPage(rows, limit, view);
  return { ...page, next_cursor: page.next_cursor ?? walkedTo };
}

/** Says it where a page may come before it is full. */
export const walkedPages = "A page may have fewer than `limit`, or none: go on until `next_cursor` is null.";

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
