/** CSV for spreadsheets, which `format=csv` asks for. */
import { stringify } from "@vanillaes/csv";
import * as z from "zod";
import type { AppContext } from "./context.ts";
import { headers, notStored } from "./reply-headers.ts";
import { invalidRequest } from "./validation.ts";

/** The query's field that asks for CSV. */
export const formatQuery = { format: z.enum(["json", "csv"]).default("json") };

const formula = /^[=+\-@\t\r\n＝＋－＠]/;

const unpaged = "must be left out with format=csv, which has all of the period: from and to choose it";

/** Spreadsheets take a file that begins with it for UTF-8. */
const byteOrderMark = "\ufeff";

/**
 * Replies with a table, of all pages. A quote defuses each cell that a spreadsheet would run as a formula
 * (owasp.org/www-community/attacks/CSV_Injection). Numbers stay numbers. Pages are read as fast as the client takes them;
 * where one cannot be read the connection breaks, so that half a table is not taken for all of it.
 * @throws what the first page does, while the reply still has a status; ApiError `invalid_request` for fields of paging.
 */
export async function csvReply(
  c: AppContext,
  name: string,
  columns: string[],
  pages: AsyncGenerator<object[]>,
): Promise<Response> {
  const paging = ["limit", "cursor"].filter((field) => c.req.query(field) !== undefined);
  if (paging.length > 0) throw invalidRequest(paging.map((field) => ({ path: [field], message: unpaged })));
  const encoder = new TextEncoder();
  const encode = (rows: unknown[][], before = "") =>
    encoder.encode(before + rows.map((row) => `${stringify([row], { eof: false }, quoted)}\r\n`).join(""));
  const cells = (rows: object[]) =>
    rows.map((row) => columns.map((column) => cell((row as Record<string, unknown>)[column])));
  const first = await pages.next();
  async function* chunks() {
    yield encode([columns, ...cells(first.value ?? [])], byteOrderMark);
    for await (const page of pages) yield encode(cells(page));
  }
  const all = chunks();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await all.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await all.return();
    },
  });
  return c.body(body, 200, {
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

/** A table that is there at once. */
export async function* onePage(rows: object[]): AsyncGenerator<object[]> {
  yield rows;
}

/** A reply's contract, which allows for CSV as well. */
export const orCsv = <Content extends object>(reply: { description: string; content: Content }) => ({
  ...reply,
  content: { ...reply.content, "text/csv": { schema: z.string() } },
  headers: headers("content-disposition"),
});
