/** The ledger as the operator and the tenant see it. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import {
  formatLedgerCursor,
  type LedgerLine,
  ledgerCursorPattern,
  lineTypes,
  readLedgerCursor,
} from "../../domain/ledger-lines.ts";
import { toSeconds } from "../../domain/task.ts";
import { ledgerPages, listLedger } from "../../flows/tenants/ledger-listing.ts";
import type { AppContext } from "../../http/context.ts";
import { csvReply, formatQuery, orCsv } from "../../http/csv.ts";
import { pageLimit, walkedPages } from "../../http/paging.ts";
import { periodName, periodOf, periodQuery } from "../../http/period.ts";
import { json, listReply } from "../../http/replies.ts";
import { notStored } from "../../http/reply-headers.ts";

export const ledgerQuery = z.object({
  ...periodQuery,
  ...formatQuery,
  task: z
    .string()
    .max(100)
    .optional()
    .meta(documented(() => ({ description: "Only what is about this task." }))),
  limit: pageLimit,
  cursor: z.string().regex(ledgerCursorPattern, "must be a next_cursor").default(""),
});

export const ledgerLine = z
  .object({
    at: z.int(),
    type: z.enum(lineTypes),
    amount: z.int().meta(
      documented(() => ({
        description: "Credits. Negative only in adjustments: the type says which way they go.",
      })),
    ),
    task: z.string().nullable(),
    reference: z.string().nullable(),
    note: z.string().nullable(),
    balance: z.int().meta(documented(() => ({ description: "Topped up − charged, afterwards." }))),
    held: z.int().meta(documented(() => ({ description: "Afterwards." }))),
  })
  .meta(
    documented(() => ({
      id: "LedgerEntry",
      examples: [
        {
          at: 1_757_165_031,
          type: "topup",
          amount: 5_000,
          task: null,
          reference: "invoice-1001",
          note: null,
          balance: 8_000,
          held: 30,
        },
      ],
    })),
  );

const page = documented(() =>
  json(
    listReply(ledgerLine),
    `Entries, newest first; with \`format=csv\` all of the period at once, without \`limit\` and \`cursor\`. ${walkedPages}`,
  ),
);
export const ledgerReply = documented(() => orCsv(page));

export function viewLine(line: LedgerLine): z.output<typeof ledgerLine> {
  const { atMs, type, amount, taskId: task, reference, note, balance, held } = line;
  return { at: toSeconds(atMs), type, amount, task, reference, note, balance, held };
}

const [at, ...others] = Object.keys(ledgerLine.shape);
/** A spreadsheet shows no unix seconds as a time. */
const csvColumns = [at ?? "", "at_utc", ...others];

async function* csvPages(...asked: Parameters<typeof ledgerPages>): AsyncGenerator<object[]> {
  for await (const lines of ledgerPages(...asked))
    yield lines.map((line) => ({ ...viewLine(line), at_utc: new Date(line.atMs).toISOString() }));
}

/** Replies with a page of a tenant's ledger, or with the CSV of all of it. Without a period it goes back to the start. */
export async function replyWithLedger(c: AppContext, tenantId: string, query: z.output<typeof ledgerQuery>) {
  const invocation = c.get("invocation");
  const asked = { ...periodOf(invocation, query, 100 * 366), taskId: query.task ?? null };
  if (query.format === "csv") {
    const name = `ledger-${tenantId}${periodName(query)}`;
    return csvReply(c, name, csvColumns, csvPages(invocation, tenantId, asked));
  }
  const before = readLedgerCursor(query.cursor);
  const { lines, next } = await listLedger(invocation, tenantId, { ...asked, before, limit: query.limit });
  const next_cursor = next === null ? null : formatLedgerCursor(next);
  return c.json({ object: "list" as const, data: lines.map(viewLine), next_cursor }, 200, notStored);
}
