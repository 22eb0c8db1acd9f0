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

/**
 * Page and end are of one moment: rows that go or come between the two would move the end past what was examined.
 * @param limit Rows at the most.
 * @param beside Statements that are to be of that moment too.
 */
export async function walk(
  db: D1Database,
  { from, sought, fits, values, most }: Walk,
  limit: number,
  beside: D1PreparedStatement[] = [],
): Promise<Walked<unknown> & { beside: D1Result[] }> {
  const walked = (columns: string) =>
    `SELECT ${columns} FROM ${from} WHERE ${sought.join(" AND ")} ORDER BY id DESC LIMIT`;
  // A subquery with a limit is read as far as the outer one asks, and the end is looked for where the page is not full.
  const page = `SELECT *, 0 AS is_end FROM (${walked("*")} ${most}) WHERE ${["1", ...fits].join(" AND ")}`;
  const end = `SELECT *, 1 FROM ${from.split(" ")[0]} WHERE id = (${walked("id")} 1 OFFSET ${most - 1})`;
  const [read, ...others] = await db.batch<{ id: string; is_end: number }>([
    db.prepare(`${page} UNION ALL ${end} LIMIT ${limit}`).bind(...values, ...values.slice(0, sought.length)),
    ...beside,
  ]);
  const rows = Map.groupBy(read?.results ?? [], ({ is_end: isEnd }) => isEnd);
  return { rows: rows.get(0) ?? [], walkedTo: rows.get(1)?.[0]?.id ?? null, beside: others };
}
