/** The documents: links lead somewhere, tables are tables, and the log events are those that are written. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string) => readFileSync(join(root, name), "utf8");
const namesIn = (folder: string, ending: RegExp) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => ending.test(name))
    .map((name) => join(folder, name));

const documents = ["README.md", "AGENTS.md", ...namesIn("docs", /\.md$/)].map((name) => {
  const text = read(name);
  // A link or a heading in a block of code is none.
  const prose = text.replaceAll(/^```.*?^```$/gms, "");
  return { name, text, prose };
});

const mostLines = 200;
const mostCharacters = 160;

/** The anchors that GitHub gives to a document's headings. */
function anchorsOf(prose: string): string[] {
  return [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

const links = documents.flatMap(({ name, prose }) =>
  [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => ({ name, target })),
);

describe("a link", () => {
  it("there are some to check", () => {
    expect(links.length).toBeGreaterThan(50);
  });

  it("to a file or a heading leads there", () => {
    const broken = links
      .filter(({ target }) => !/^https:/.test(target))
      .filter(({ name, target }) => {
        const [path = "", anchor] = target.split("#");
        const file = path === "" ? name : relative(root, resolve(root, dirname(name), path));
        if (!existsSync(join(root, file))) return true;
        return anchor !== undefined && !anchorsOf(proseOf(file)).includes(anchor);
      });
    expect(broken).toEqual([]);
  });
});

const proseOf = (name: string) => documents.find((one) => one.name === name)?.prose ?? "";

/** Source files that a document names in code, as `src/…` or `test/…`. */
it("a path that a document names is there", () => {
  const named = documents.flatMap(({ name, prose }) =>
    [...prose.matchAll(/`((?:src|test|docs)\/[\w./-]*\w)`/g)].map(([, path = ""]) => ({ name, path })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ path }) => !existsSync(join(root, path)))).toEqual([]);
});

describe("README.md", () => {
  it(`has at most ${mostLines} lines`, () => {
    expect(read("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(mostLines);
  });
});

describe("a table", () => {
  it(`has no cell of more than ${mostCharacters} characters`, () => {
    const cells = documents
      .filter(({ name }) => name !== "AGENTS.md")
      .flatMap(({ name, prose }) =>
        [...prose.matchAll(/^\|.*\|$/gm)].flatMap(([line]) =>
          line
            .split("|")
            .map((cell) => ({ name, cell: cell.trim() }))
            .slice(1, -1),
        ),
      );
    expect(cells.length).toBeGreaterThan(200);
    expect(cells.filter(({ cell }) => [...cell].length > mostCharacters)).toEqual([]);
  });
});

describe("the table of log events", () => {
  const [, table = ""] = /^## Log events$(.*?)^## /ms.exec(proseOf("docs/operations.md")) ?? [];
  const events = [...table.matchAll(/^\| `(\w+)` \|.*\|$/gm)].map(([, name = ""]) => name);
  const written = new Set(
    namesIn("src", /\.ts$/)
      .filter((name) => !name.startsWith("src/web"))
      .flatMap((name) =>
        [...read(name).matchAll(/\bevent: (?:\w+ \? )?"(\w+)"(?: : "(\w+)")?/g)].flatMap(([, one, other]) =>
          [one, other].filter((event) => event !== undefined),
        ),
      ),
  );

  it("has each event that is written", () => {
    expect([...written].filter((event) => !events.includes(event))).toEqual([]);
  });

  it("has no event that is not written", () => {
    expect(events.length).toBeGreaterThan(20);
    expect(events.filter((event) => !written.has(event))).toEqual([]);
  });

  it("has the former name of each event that was renamed", () => {
    const renamed = [...table.matchAll(/^\| `(\w+)` \|.*\| `(\w+)` \|$/gm)].map(([, name, former]) => [
      former,
      name,
    ]);
    expect(Object.fromEntries(renamed)).toEqual({
      chores_failed: "maintenance_failed",
      not_handed_over: "not_enqueued",
      piece_failed: "work_item_failed",
      place_not_left: "file_hold_not_released",
      unsound: "discrepancy",
      not_checked: "not_reconciled",
    });
  });
});

it("the glossary has 25 to 35 terms, each once and in a line", () => {
  const terms = [...proseOf("docs/glossary.md").matchAll(/^\| (?!term \||-)([^|]+) \| [^|]+ \|$/gm)].map(
    ([, term]) => term,
  );
  expect(terms.length).toBeGreaterThanOrEqual(25);
  expect(terms.length).toBeLessThanOrEqual(35);
  expect(new Set(terms).size).toBe(terms.length);
});
