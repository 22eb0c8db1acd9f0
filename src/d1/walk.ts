/**
 * A bounded walk over a list, newest first: what an index finds is examined until a page is full, or until so many rows
 * have been. A filter that few rows fit costs no more than one that all do; its pages are short, or empty, and go on.
 */

/** How many rows are examined for one page: of a tenant's own list, and of the operator's over all tenants. */
export const mostWalked = { tenant: 1_000, operator: 10_000 };

export interface Walk {
  /** With the index that it is read by, where that is not its key. */
  from: string;
  /** Conditions that the index serves, of a value each. */
  sought: string[];
  /** Conditions that each row is examined for. */
  fits: string[];
  /** In the order of `sought`, then of `fits`. */
  values: (string | number)[];
  most: number;
}

export interface Walked<Row> {
  rows: Row[];
  /** Where the next page goes on, when this one ended because enough was examined. */
  walkedTo: string | null;
}

/** @param limit Rows at the most. */
export async function walk(
  db: D1Database,
  { from, sought, fits, values, most }: Walk,
  limit: number,
): Promise<Walked<unknown>> {
  const walked = (columns: string) =>
    `SELECT ${columns} FROM ${from} WHERE ${sought.join(" AND ")} ORDER BY id DESC LIMIT`;
  // A subquery with a limit is read as far as the outer one asks.
  const { results } = await db
    .prepare(`SELECT * FROM (${walked("*")} ${most}) WHERE ${["1", ...fits].join(" AND ")} LIMIT ${limit}`)
    .bind(...values)
    .all();
  if (results.length >= limit || fits.length === 0) return { rows: results, walkedTo: null };
  const last = await db
    .prepare(`${walked("id")} 1 OFFSET ${most - 1}`)
    .bind(...values.slice(0, sought.length))
    .all<{ id: string }>();
  return { rows: results, walkedTo: last.results[0]?.id ?? null };
}
