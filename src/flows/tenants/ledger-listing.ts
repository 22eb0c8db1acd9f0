/** Reading a tenant's ledger in pages of lines, newest first. */

import type { LedgerLine } from "../../domain/ledger-lines.ts";
import type { Deps } from "../../platform/invocation.ts";

export interface StatementQuery {
  fromMs: number;
  toMs: number;
  task: string | null;
  /** {@link lineNumber} of the last line of the page before; null: from the newest on. */
  before: number | null;
  limit: number;
}

/** A row of the ledger is up to two lines; this numbers them all. */
export function lineNumber({ seq, type }: LedgerLine): number {
  return seq * 2 + (type === "release" ? 1 : 0);
}

/** @returns up to `limit` lines, and whether there are more. */
export async function readStatement(
  deps: Deps,
  tenantId: string,
  { before, limit, ...query }: StatementQuery,
): Promise<{ lines: LedgerLine[]; more: boolean }> {
  const beforeSeq = before === null ? Number.MAX_SAFE_INTEGER : Math.floor(before / 2) + 1;
  // One row more, since the first one may have been shown already, and another to know whether there is more.
  const rows = await deps.tenant(tenantId).ledger({ ...query, beforeSeq, limit: limit + 2 });
  const lines = rows.filter((line) => before === null || lineNumber(line) < before);
  return { lines: lines.slice(0, limit), more: lines.length > limit };
}

const rowsAtOnce = 1_000;
/** A statement of more lines is for the JSON pages. */
export const maxStatementLines = 100_000;

/** Reads all lines of a period. */
export async function readWholeStatement(
  deps: Deps,
  tenantId: string,
  query: Omit<StatementQuery, "before" | "limit">,
): Promise<LedgerLine[]> {
  const all: LedgerLine[] = [];
  let before: number | null = null;
  for (let more = true; more && all.length < maxStatementLines; ) {
    const page = await readStatement(deps, tenantId, { ...query, before, limit: rowsAtOnce });
    all.push(...page.lines);
    const last = page.lines.at(-1);
    before = last ? lineNumber(last) : before;
    more = page.more;
  }
  return all;
}
