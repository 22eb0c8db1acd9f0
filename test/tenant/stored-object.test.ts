/** A tenant's object opens what an earlier version has stored in it, and names what it cannot read. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { defaultLimits, emptyCounters, limitNames } from "../../src/domain/admission.ts";
import { pathsOf, without } from "../helpers/absent.ts";
import {
  admitOne,
  beginTask,
  configOf,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

/** The tables that hold JSON, and their column. */
const columns = { config: "body", keys: "body", scopes: "body", open_tasks: "state" } as const;
type Table = keyof typeof columns;
const newest = {
  config: "",
  keys: "",
  scopes: "WHERE scope LIKE 'key-%'",
  open_tasks: "WHERE seq = (SELECT max(seq) FROM open_tasks)",
};

/** Changes the text that a table's newest row holds. */
const change = (id: string, table: Table, to: (stored: string) => string) =>
  runInDurableObject(objectOf(id), (_object, { storage: { sql } }) => {
    const column = columns[table];
    const { stored } = sql.exec(`SELECT ${column} AS stored FROM ${table} ${newest[table]} LIMIT 1`).one();
    sql.exec(`UPDATE ${table} SET ${column} = ? ${newest[table]}`, to(String(stored)));
  });
const lose = (id: string, table: Table, path: readonly string[]) =>
  change(id, table, (stored) => JSON.stringify(without(JSON.parse(stored) as object, path)));

/** A tenant with a limited key, one hold open and another one settled. */
async function tenantWithHolds(): Promise<{ id: string; open: number }> {
  const id = freshId();
  const keys = [keyOf(undefined, { limits: { images_per_day: 50, requests_per_minute: 40 } })];
  await configure(id, { limits: { ...defaultLimits }, openingBalance: 1_000, prepaid: true, keys });
  const { holdNumber: settled } = await admitOne(id, { images: 2 });
  const { holdNumber: open } = await admitOne(id, { images: 1 });
  await settle(id, settled, { images: 2 });
  await admitOne(id, { images: 3 });
  return { id, open };
}

/** The fields of an object's JSON that may be absent: admissions and settlements go on. */
const mayLack: [Table, string[]][] = [
  ...limitNames.map((name): [Table, string[]] => ["config", ["limits", name]]),
  ["config", ["limits"]],
  ["config", ["prices"]],
  ["config", ["models"]],
  ["config", ["lowBalance"]],
  ["config", ["openingBalance"]],
  ["keys", ["limits"]],
  ["keys", ["limits", "images_per_day"]],
  ["keys", ["allowedOrigins"]],
  ["keys", ["models"]],
  ["keys", ["token"]],
  ...pathsOf(emptyCounters).map((path): [Table, string[]] => ["scopes", path]),
];

describe("an object whose stored data lacks a field", () => {
  it.each(mayLack.map(([table, path]) => [`${table} ${path.join(".")}`, table, path] as const))(
    "admits, settles and shows its account: %s",
    async (_what, table, path) => {
      const { id, open } = await tenantWithHolds();
      await lose(id, table, path);
      expect((await beginTask(id, requestOf(id))).kind).toBe("admitted");
      expect(await settle(id, open, { images: 1 })).toBe("settled");
      expect(await summaryOf(id)).toMatchObject({ balance: 1_000 - 3 * 30, held: 4 * 30 });
    },
  );

  it("has the default of a limit that was not there", async () => {
    const id = freshId();
    await configure(id, { limits: limitsOf({}) });
    await admitOne(id, { images: 7 });
    await lose(id, "config", ["limits", "concurrent_tasks"]);
    const { limits, remaining } = await summaryOf(id);
    expect([limits.concurrent_tasks, remaining.concurrent_tasks]).toEqual([20, 19]);
  });
});

describe("an object whose stored data cannot be read", () => {
  it.each<[string, Table, (stored: string) => string, string]>([
    ["a copy that is no JSON", "config", () => "{private", "config body []"],
    [
      "a copy without a version",
      "config",
      (text) => text.replace('"version"', '"former"'),
      "config body.version []",
    ],
    [
      "a status that it does not know",
      "config",
      (text) => text.replace('"active"', '"private"'),
      "config body.status []",
    ],
    [
      "a key without a hash",
      "keys",
      (text) => text.replace('"hash"', '"former"'),
      "keys body.hash [key-0000000000000001]",
    ],
    [
      "a key of another kind",
      "keys",
      (text) => text.replace('"kind":"secret"', '"kind":"x"'),
      "keys body.kind [key-",
    ],
    [
      "counters of another type",
      "scopes",
      (text) => text.replace(/"open":\d+/, '"open":"private"'),
      "scopes body.open [key-",
    ],
    ["a state that ends too early", "open_tasks", () => "[1000,0,30]", "state state.3 []"],
    [
      "a sum that is no number",
      "open_tasks",
      (text) => text.replace(/^\[\d+/, '["private"'),
      "state state.0 []",
    ],
    ["a state that is no JSON", "open_tasks", () => "private", "state state []"],
  ])("says where it is, admits nothing and changes nothing: %s", async (_what, table, to, place) => {
    const { id } = await tenantWithHolds();
    await change(id, table, to);
    const rows = () =>
      runInDurableObject(objectOf(id), (_object, { storage: { sql } }) =>
        sql.exec("SELECT * FROM open_tasks").toArray(),
      );
    const before = await rows();
    const problem = await beginTask(id, requestOf(id)).then(() => "admitted", String);
    expect(problem).toContain(place);
    expect(problem).not.toContain("private");
    expect(await rows()).toEqual(before);
  });

  it("takes a newer copy in place of one that it cannot read", async () => {
    const { id } = await tenantWithHolds();
    await change(id, "config", () => "{private");
    expect((await stubOf(id).takeConfig(configOf({ version: 9 }), t0)).version).toBe(9);
    expect((await beginTask(id, requestOf(id))).kind).toBe("admitted");
  });
});
