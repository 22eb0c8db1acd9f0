/** A part of a ledger is read as it was written, or not at all; and it is verified against the part before it. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { LedgerLine } from "../../src/domain/ledger-lines.ts";
import {
  addLine,
  beforeFirstPart,
  type LedgerPart,
  makePart,
  readPart,
  verifyPart,
} from "../../src/domain/ledger-part.ts";

const drawn = fc.record({
  type: fc.constantFrom("topup", "refund", "adjustment", "hold", "charge", "release"),
  amount: fc.integer({ min: 0, max: 10_000 }),
  atMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  taskId: fc.option(fc.string()),
  reference: fc.option(fc.string({ unit: "grapheme" })),
  note: fc.option(fc.string({ unit: "grapheme" })),
});

/** Lines that add up, whatever they are. */
function linesOf(
  moves: (typeof drawn extends fc.Arbitrary<infer T> ? T : never)[],
  firstSeq = 1,
): LedgerLine[] {
  let sums = { credited: 0, charged: 0, held: 0 };
  return moves.map((move, i) => {
    sums = addLine(sums, move as LedgerLine);
    return {
      ...(move as LedgerLine),
      seq: firstSeq + i,
      balance: sums.credited - sums.charged,
      held: sums.held,
    };
  });
}

const make = (lines: LedgerLine[], before: Parameters<typeof makePart>[1] = beforeFirstPart) =>
  makePart("acme", before, { key: "k", upToSeq: lines.at(-1)?.seq ?? 0 }, lines);

it("is read as it was written, and holds", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(drawn, { minLength: 1, maxLength: 40 }), async (moves) => {
      const lines = linesOf(moves);
      const { part, bytes } = await make(lines);
      expect(await readPart(part, bytes)).toEqual(lines);
      expect(await verifyPart(part, beforeFirstPart, bytes)).toEqual([]);
      expect(part).toMatchObject({
        lines: lines.length,
        fromMs: Math.min(...lines.map(({ atMs }) => atMs)),
        toMs: Math.max(...lines.map(({ atMs }) => atMs)),
      });
    }),
    { numRuns: 50 },
  );
});

describe("a part that", () => {
  const line = (seq: number, over: Partial<LedgerLine> = {}): LedgerLine => ({
    ...{ seq, atMs: seq, type: "topup", amount: 10, taskId: null, reference: `r${seq}`, note: null },
    ...{ balance: seq * 10, held: 0 },
    ...over,
  });
  const verify = async (
    part: Partial<LedgerPart>,
    { lines = [line(3), line(4)], before = {} as Partial<LedgerPart> } = {},
  ) => {
    const first = (await make([line(1), line(2)])).part;
    const { part: made, bytes } = await make(lines, first);
    return verifyPart({ ...made, ...part }, { ...first, ...before }, bytes);
  };

  it("follows another one holds", async () => expect(await verify({})).toEqual([]));

  it.each<[string, Parameters<typeof verify>, string]>([
    ["follows another hash", [{}, { before: { sha256: "0" } }], "does not follow the part before it"],
    ["has another place", [{ number: 9 }], "does not follow the part before it"],
    ["has another text", [{ sha256: "0" }], "is not what was written"],
    [
      "has a line of another amount",
      [{}, { lines: [line(3), line(4, { amount: 11 })] }],
      "does not add up at line 4",
    ],
    ["lacks a line", [{}, { lines: [line(4)] }], "does not add up at line 4"],
    ["has a line of other holds", [{}, { lines: [line(3, { held: 1 })] }], "does not add up at line 3"],
    ["has other sums", [{ charged: 1 }], "has other sums than its tenant's object"],
    ["has fewer lines", [{ lines: 3 }], "has other sums than its tenant's object"],
  ])("%s is named", async (_what, asked, problem) => {
    expect(await verify(...asked)).toEqual([problem]);
  });
});
