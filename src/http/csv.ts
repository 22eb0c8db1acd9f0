/** What statements of usage and ledgers share: their period, and CSV for spreadsheets. */
import { stringify } from "@vanillaes/csv";
import * as z from "zod";
import type { Invocation } from "../platform/invocation.ts";
import type { AppContext } from "./context.ts";
import { headers } from "./reply-headers.ts";
import { invalidRequest } from "./validation.ts";

const dayMs = 86_400_000;
const datePattern = /^\d{4}-\d\d-\d\d$/;

/** A moment in unix seconds, or a whole UTC day. */
const moment = z
  .string()
  .refine(
    (text) => (datePattern.test(text) ? isDay(text) : /^\d{1,10}$/.test(text)),
    "must be unix seconds or a date such as 2026-01-31",
  )
  .meta({ pattern: String.raw`^(\d{4}-\d\d-\d\d|\d{1,10})$` });

/** Dates that no month has parse as ones of the next month. */
function isDay(text: string): boolean {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

export const periodQuery = {
  from: moment.optional().meta({ description: "Unix seconds, or a UTC day. Default: 30 days ago." }),
  to: moment
    .optional()
    .meta({ description: "Unix seconds, exclusive, or a UTC day, inclusive. Default: now." }),
  format: z.enum(["json", "csv"]).default("json"),
};

export interface Period {
  fromMs: number;
  toMs: number;
}

/** @param defaultDays How far back it goes when nothing is said. */
export function periodOf(
  invocation: Pick<Invocation, "now">,
  { from, to }: { from?: string | undefined; to?: string | undefined },
  defaultDays = 30,
): Period {
  const toMs = to === undefined ? invocation.now() + 1 : msOf(to, dayMs);
  const fromMs = from === undefined ? Math.max(0, toMs - defaultDays * dayMs) : msOf(from, 0);
  if (fromMs > toMs) throw invalidRequest([{ path: ["from"], message: "must not be after to" }]);
  return { fromMs, toMs };
}

function msOf(text: string, wholeDayMs: number): number {
  return datePattern.test(text) ? Date.parse(text) + wholeDayMs : Number(text) * 1000;
}

const formula = /^[=+\-@\t\r\n＝＋－＠]/;

/**
 * Replies with a table. Cells that a spreadsheet would run as a formula are defused
 * (owasp.org/www-community/attacks/CSV_Injection); numbers stay numbers.
 */
export function csvReply(c: AppContext, name: string, columns: string[], rows: object[]): Response {
  const cells = rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column])));
  const csv = [columns, ...cells].map((line) => stringify([line], { eof: false }, quoted)).join("\r\n");
  return c.body(`${csv}\r\n`, 200, {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": `attachment; filename="${name}.csv"`,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
}

function cell(value: unknown): string | number {
  if (typeof value === "string") return formula.test(value) ? `'${value}` : value;
  return typeof value === "number" ? value : "";
}

/** Some programs trim a bare cell, or drop its byte order mark, and then the formula would be first again. */
function quoted(value: string | number): string | number {
  return typeof value === "string" && /^[ ']| $|^[^"]*\ufeff/.test(value) ? `"${value}"` : value;
}

/** A reply that `format=csv` makes a table of. */
export const orCsv = <Content extends object>(reply: { description: string; content: Content }) => ({
  ...reply,
  content: { ...reply.content, "text/csv": { schema: z.string() } },
  headers: headers("content-disposition"),
});
