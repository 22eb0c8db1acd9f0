/** `docs/data.md` against the schemas: it names each table and column of D1 and of the tenant's object, and no other. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import text from "../../docs/data.md?raw";
import { objectOf } from "../helpers/tenant-object.ts";

/** Names of tables, each with its columns. */
type Schema = Record<string, Set<string>>;

const schemaOf = (tables: string[], columnsOf: (table: string) => string[]): Schema =>
  Object.fromEntries(tables.map((table) => [table, new Set(columnsOf(table))]));

/** What a section of the document says: a heading a table, and a line a column in the table below it. */
function documented(section: string): Schema {
  const [, body = ""] = new RegExp(`^## ${section}$(.*?)(?=^## )`, "ms").exec(text) ?? [];
  const parts = body.split(/^#{3,4} /m).filter((part) => /^`\w+`\n/.test(part));
  const tableOf = (part: string) => part.slice(1, part.indexOf("`", 1));
  const columns = new Map(
    parts.map((part) => [
      tableOf(part),
      [...part.matchAll(/^\| `(\w+)` \|/gm)].map(([, column = ""]) => column),
    ]),
  );
  return schemaOf([...columns.keys()], (table) => columns.get(table) ?? []);
}

/** The platform's own tables. */
const isOwn = (name: string) => !/^(_cf|sqlite|d1_)/.test(name);

describe("docs/data.md", () => {
  it("names each table and column of D1, and no other", async () => {
    const { results } = await env.DB.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all<{
      name: string;
    }>();
    const tables = results.map(({ name }) => name).filter(isOwn);
    // Not in one statement: D1 refuses to describe its own tables.
    const columns = await env.DB.batch<{ name: string }>(
      tables.map((table) => env.DB.prepare("SELECT name FROM pragma_table_info(?1)").bind(table)),
    );
    const stored = schemaOf(
      tables,
      (table) => columns[tables.indexOf(table)]?.results.map(({ name }) => name) ?? [],
    );
    expect(Object.keys(stored).length).toBeGreaterThan(5);
    expect(documented("D1")).toEqual(stored);
  });

  it("names each table and column of a tenant's object, and no other", async () => {
    const stored = await runInDurableObject(objectOf("document"), (_object, { storage }) => {
      const rows = storage.sql
        .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'table'")
        .toArray();
      return schemaOf(rows.map(({ name }) => name).filter(isOwn), (table) =>
        storage.sql
          .exec<{ name: string }>("SELECT name FROM pragma_table_info(?)", table)
          .toArray()
          .map(({ name }) => name),
      );
    });
    expect(Object.keys(stored).length).toBeGreaterThan(5);
    expect(documented("The tenant's object")).toEqual(stored);
  });
});
