import { describe, expect, it } from "vitest";
import {
  base32,
  formatId,
  type IdKind,
  idPrefixes,
  imageIdPattern,
  randomBytesFor,
  taskIdPattern,
  tenantIdPattern,
} from "../../src/domain/ids.ts";

const t0 = 1_900_000_000_000;
const kinds = Object.keys(idPrefixes) as IdKind[];

const randomId = (kind: IdKind, nowMs = t0) =>
  formatId(kind, nowMs, crypto.getRandomValues(new Uint8Array(randomBytesFor(kind))));
const idOf = (kind: IdKind, nowMs: number, byte: number) =>
  formatId(kind, nowMs, new Uint8Array(randomBytesFor(kind)).fill(byte));

describe("an id", () => {
  it.each(kinds)("of a %s says by its prefix what it names, and is safe in a URL", (kind) => {
    const id = randomId(kind);
    expect(id.startsWith(idPrefixes[kind])).toBe(true);
    expect(id).toMatch(/^[a-z]+-[0-9a-z]+$/);
    expect(encodeURIComponent(id)).toBe(id);
  });

  it.each(kinds)("of a %s is never made twice", (kind) => {
    const ids = new Set(Array.from({ length: 5_000 }, () => randomId(kind)));
    expect(ids.size).toBe(5_000);
  });

  it("cannot be guessed where nothing else protects what it names", () => {
    expect(randomBytesFor("task") * 5).toBeGreaterThanOrEqual(100);
    expect(randomBytesFor("image") * 5).toBeGreaterThanOrEqual(128);
  });

  it.each(kinds)("of a %s depends on every one of its random bytes", (kind) => {
    const count = randomBytesFor(kind);
    const ids = Array.from({ length: count }, (_, index) =>
      formatId(
        kind,
        t0,
        new Uint8Array(count).map((_byte, at) => (at === index ? 1 : 0)),
      ),
    );
    expect(new Set([...ids, idOf(kind, t0, 0)]).size).toBe(count + 1);
  });

  it("uses every letter of its alphabet equally often", () => {
    const text = base32(Uint8Array.from({ length: 256 }, (_, index) => index));
    const counts = Map.groupBy(text, (letter) => letter);
    expect(counts.size).toBe(32);
    for (const letters of counts.values()) expect(letters).toHaveLength(8);
    expect(text).not.toMatch(/[ilou]/);
  });
});

describe("a task's id", () => {
  it("sorts by age, whatever its random part", () => {
    const times = [0, 1, 31, 32, 33, 1_023, 1_024, t0 - 1, t0, t0 + 1, t0 + 86_400_000, 2 ** 49];
    // The older, the larger the random part: only the time may decide.
    const ids = times.map((ms, index) => idOf("task", ms, 31 - index));
    expect(ids.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids);
  });

  it("has one length for all times, so that one pattern fits them", () => {
    for (const ms of [0, t0, 2 ** 49]) expect(idOf("task", ms, 7)).toMatch(taskIdPattern);
  });

  it("may serve as the upstream's idempotency key", () => {
    expect(randomId("task")).toMatch(/^[A-Za-z0-9._-]{16,96}$/);
  });
});

describe("the pattern of", () => {
  const task = idOf("task", t0, 3);
  const image = idOf("image", t0, 3);

  it.each([
    ["no prefix", task.slice(5)],
    ["another kind", task.replace("task-", "img-")],
    ["one character less", task.slice(0, -1)],
    ["one character more", `${task}0`],
    ["upper case", task.toUpperCase()],
    ["a line break behind it", `${task}\n`],
    ["a slash in it", `${task.slice(0, -1)}/`],
    ["a percent sign in it", `${task.slice(0, -1)}%`],
    ["the upstream's form", "task-unified-1757165031-uyujaw3d"],
    ["nothing", ""],
  ])("task ids refuses %s", (_what, text) => {
    expect(taskIdPattern.test(task)).toBe(true);
    expect(taskIdPattern.test(text)).toBe(false);
  });

  it.each([
    image.slice(0, -1),
    `${image}0`,
    image.toUpperCase(),
    `${image}.png`,
    `../${image}`,
    image.slice(4),
  ])("image ids refuses %s", (text) => {
    expect(imageIdPattern.test(image)).toBe(true);
    expect(imageIdPattern.test(text)).toBe(false);
  });

  it("tenant ids takes what an operator may choose, and the ids made up for him", () => {
    for (const id of ["abc", "a-1", "acme-reseller-2", "a".repeat(32), randomId("tenant")]) {
      expect(tenantIdPattern.test(id)).toBe(true);
    }
  });

  it.each(["", "ab", "a".repeat(33), "Acme", "a_b", "a.b", "a b", "acme\n", "ä-b", "_ready"])(
    "tenant ids refuses %j",
    (id) => {
      expect(tenantIdPattern.test(id)).toBe(false);
    },
  );
});
