/** CSV for spreadsheets, which `format=csv` asks for. */
import { stringify } from "@vanillaes/csv";
import * as z from "zod";
import type { AppContext } from "./context.ts";
import { headers, notStored } from "./reply-headers.ts";

/** The query's field that asks for CSV. */
export const formatQuery = { format: z.enum(["json", "csv"]).default("json") };

const formula = /^[=+\-@\t\r\n＝＋－＠]/;

/**
 * Replies with a table. A quote defuses each cell that a spreadsheet would run as a formula
 * (owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers.
 */
export function csvReply(c: AppContext, name: string, columns: string[], rows: object[]): Response {
  const cells = rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column])));
  const csv = [columns, ...cells].map((line) => stringify([line], { eof: false }, quoted)).join("\r\n");
  return c.body(`${csv}\r\n`, 200, {
    "content-type": "text/csv; charset=utf-8",
    "content-disposition": `attachment; filename="${name}.csv"`,
    ...notStored,
    "x-content-type-options": "nosniff",
  });
}

function cell(value: unknown): string | number {
  if (typeof value === "string") return formula.test(value) ? `'${value}` : value;
  return typeof value === "number" ? value : "";
}

/** Quotes a cell that some programs would trim, or rid of its byte order mark, so that a formula came first again. */
function quoted(value: string | number): string | number {
  return typeof value === "string" && /^[ ']| $|^[^"]*\ufeff/.test(value) ? `"${value}"` : value;
}

/** A reply's contract, which allows for CSV as well. */
export const orCsv = <Content extends object>(reply: { description: string; content: Content }) => ({
  ...reply,
  content: { ...reply.content, "text/csv": { schema: z.string() } },
  headers: headers("content-disposition"),
});
