/** Reading a tenant's ledger in pages of lines, newest first. */

import { type LedgerLine, lineNumber, rowsBefore } from "../../domain/ledger-lines.ts";
import type { Invocation } from "../../platform/invocation.ts";

export interface LedgerListQuery {
  fromMs: number;
  toMs: number;
  taskId: string | null;
  /** {@link lineNumber} of the last line of the page before; null: from the newest on. */
  before: number | null;
  limit: number;
}

/** @returns up to `limit` lines, and whether there are more. */
export async function listLedger(
  invocation: Invocation,
  tenantId: string,
  { before, limit, ...query }: LedgerListQuery,
): Promise<{ lines: LedgerLine[]; more: boolean }> {
  const beforeSeq = rowsBefore(before);
  // One row more, since the first one may have been shown already, and another to know whether there is more.
  const rows = await invocation.tenant(tenantId).ledger({ ...query, beforeSeq, limit: limit + 2 });
  const lines = rows.filter((line) => before === null || lineNumber(line) < before);
  return { lines: lines.slice(0, limit), more: lines.length > limit };
}

const rowsAtOnce = 1_000;

/** Reads all lines of a period, however many there are. */
export async function* ledgerPages(
  invocation: Invocation,
  tenantId: string,
  query: Omit<LedgerListQuery, "before" | "limit">,
): AsyncGenerator<LedgerLine[]> {
  let before: number | null = null;
  for (let more = true; more; ) {
    const page = await listLedger(invocation, tenantId, { ...query, before, limit: rowsAtOnce });
    const last = page.lines.at(-1);
    if (last) yield page.lines;
    before = last ? lineNumber(last) : before;
    more = page.more;
  }
}
