/** What decoders make of stored values: defaults, passing on without a copy, and errors that name a place and no contents. */
import { describe, expect, it } from "vitest";
import {
  bit,
  json,
  knownOf,
  list,
  mapOf,
  oneOf,
  optional,
  orNull,
  readable,
  readStored,
  record,
  rowCodec,
  StoredDataUnreadable,
  text,
  whole,
  wholeFrom,
  withDefault,
  withDefaults,
  yesOrNo,
} from "../../src/domain/stored.ts";

const place = { table: "things", field: "body", id: "thing-1" };

/** The error of reading a value. */
function problemOf(decode: (value: unknown) => unknown, value: unknown): StoredDataUnreadable {
  try {
    readStored(place, decode, value);
  } catch (error) {
    if (error instanceof StoredDataUnreadable) return error;
    throw error;
  }
  throw new Error("it was read");
}

interface Shape {
  name: string;
  size: number;
  parts: { kind: string }[];
}
const shape = record<Shape>(
  withDefaults<Shape>(
    { size: 7 },
    { name: text, size: whole, parts: list(record({ kind: oneOf(["a", "b"]) })) },
  ),
);

describe("a decoder", () => {
  it.each([
    ["a text", text, ["", "a"], [1, null, undefined, {}]],
    ["a whole number", whole, [0, -3, 2 ** 53 - 1], [0.5, "1", NaN, Infinity, 2 ** 53, null, undefined]],
    ["true or false", yesOrNo, [true, false], [0, 1, "true", null, undefined]],
    ["a word", oneOf(["a", "b"]), ["a", "b"], ["c", "A", "", null, undefined, ["a"]]],
    [
      "a whole number from 1 on",
      wholeFrom(1),
      [1, 2 ** 53 - 1],
      [0, -5, 1.5, "1", "forever", null, undefined],
    ],
    ["what may be null", orNull(whole), [null, 1], [undefined, "1"]],
    ["what may be absent", optional(whole), [undefined, 1], [null, "1"]],
    ["a list", list(whole), [[], [1, 2]], [{}, "1", null, undefined, [1, "2"]]],
    ["values by name", mapOf(whole), [{}, { a: 1 }], [[], null, undefined, "{}", { a: "1" }]],
    ["an object", record({ a: whole }), [{ a: 1 }], [[], null, undefined, 1, {}, { a: null }]],
  ] as const)("of %s passes on what fits and refuses the rest", (_what, decode, good, bad) => {
    for (const value of good) expect(readStored<unknown>(place, decode, value)).toBe(value);
    for (const value of bad) problemOf(decode, value);
  });

  it("reads SQLite's yes and no", () => {
    expect([bit(1), bit(0)]).toEqual([true, false]);
    for (const value of [2, true, "1", null, undefined]) problemOf(bit, value);
  });

  it("gives a default to what is absent, not to null or to what does not fit", () => {
    expect(withDefault(whole, 5)(undefined)).toBe(5);
    for (const value of [null, "5", NaN]) problemOf(withDefault(whole, 5), value);
  });

  it("leaves out words that it does not know", () => {
    const known = knownOf(["a", "b"]);
    expect(known(["b", "c", "a"])).toEqual(["b", "a"]);
    for (const value of ["a", [1], null]) problemOf(known, value);
  });

  it("copies nothing that needs no default, and only what holds what does", () => {
    const whole1 = { name: "n", size: 1, parts: [{ kind: "a" }, { kind: "b" }], later: { x: 1 } };
    expect(shape(whole1)).toBe(whole1);
    const lacking = { name: "n", parts: whole1.parts, later: { x: 1 } };
    const read = shape(lacking);
    expect(read).toEqual({ ...lacking, size: 7 });
    expect(read.parts).toBe(whole1.parts);
    expect(lacking).not.toHaveProperty("size");
  });

  it("copies a list from which an item lacks something, and not its other items", () => {
    const items = list(record<{ n: number }>({ n: withDefault(whole, 4) }));
    const stored = [{ n: 1 }, {}, { n: 3 }];
    const read = items(stored);
    expect(read).toEqual([{ n: 1 }, { n: 4 }, { n: 3 }]);
    expect(read[0]).toBe(stored[0]);
    expect(stored[1]).toEqual({});
  });
});

describe("what cannot be read", () => {
  it.each([
    ["no JSON", "{", "body", "JSON"],
    ["JSON of something else", '"secret"', "body", "an object"],
    ["a field that is missing", '{"parts":[]}', "body.name", "a text"],
    [
      "a field of another type",
      '{"name":"secret","size":"secret","parts":[]}',
      "body.size",
      "a whole number",
    ],
    [
      "a word deep inside",
      '{"name":"n","parts":[{"kind":"a"},{"kind":"secret"}]}',
      "body.parts.1.kind",
      "one of a, b",
    ],
  ])(
    "is named by its place and what belongs there, not by its contents: %s",
    (_what, stored, field, expected) => {
      const problem = problemOf(json(shape), stored);
      expect(problem).toMatchObject({ name: "StoredDataUnreadable", place: { ...place, field }, expected });
      expect(problem.message).toContain(`things ${field} [thing-1]`);
      expect(problem.message).not.toContain("secret");
    },
  );

  it("is known again after an object has thrown it to a Worker, which keeps its message alone", () => {
    const thrown = problemOf(json(shape), "{}");
    expect(StoredDataUnreadable.from(new Error(thrown.message), "acme")).toMatchObject({
      place: thrown.place,
      expected: thrown.expected,
    });
    const ownerless = new StoredDataUnreadable({ ...place, id: "" }, "JSON");
    expect(StoredDataUnreadable.from(new Error(ownerless.message), "acme")?.place.id).toBe("acme");
    for (const other of [new Error("no answer in time"), "text", undefined]) {
      expect(StoredDataUnreadable.from(other, "acme")).toBeUndefined();
    }
  });
});

describe("a table's codec", () => {
  const codec = rowCodec<{ isOpen: boolean; count: number }>("things", {
    isOpen: ["open", bit],
    count: ["counted", whole, "length(text)"],
  });

  it("selects its columns and reads them under their own names", () => {
    expect(codec.columns).toBe("open, length(text) AS counted");
    expect(codec.read({ id: "thing-1", open: 1, counted: 3, other: "x" })).toEqual({
      isOpen: true,
      count: 3,
    });
  });

  it("names the table, the column and the row of what it cannot read", () => {
    const row = { id: "thing-1", open: 1, counted: null };
    expect(() => codec.read(row)).toThrow(
      expect.objectContaining({ place: { table: "things", field: "counted", id: "thing-1" } }),
    );
  });

  it("leaves out such a row of a sweep that takes note of it, and only such", () => {
    const rows = [
      { id: "a", open: 1, counted: 1 },
      { id: "b", open: 7, counted: 1 },
      { id: "c", open: 0, counted: 2 },
    ];
    const skipped: string[] = [];
    const read = readable(rows, codec.read, ({ place: { id } }) => skipped.push(id));
    expect([read.map(({ count }) => count), skipped]).toEqual([[1, 2], ["b"]]);
    expect(() => readable(rows, codec.read)).toThrow(StoredDataUnreadable);
    const broken = () => {
      throw new TypeError("a bug");
    };
    expect(() => readable(rows, broken, () => undefined)).toThrow(TypeError);
  });
});
