/** Holds that have not ended, as ranges: whatever is opened and ended in whatever order, they are the same set. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type OpenHolds, spanOf, withHold, withoutHold } from "../../src/tenant/open-holds.ts";

const numbersOf = (open: OpenHolds) =>
  open.flatMap(([first, last]) => Array.from({ length: last - first + 1 }, (_, index) => first + index));

it("say of each number whether it is open, in order, and end it once", () => {
  // A step opens the next number, skips it (an entry has it), or ends one, open or not.
  const step = fc.oneof(
    fc.constant("open" as const),
    fc.constant("skip" as const),
    fc.integer({ min: 0, max: 30 }),
  );
  const runs = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const known = new Set<number>();
    let open: OpenHolds = [];
    let seq = 0;
    for (const one of steps) {
      if (typeof one === "string") seq += 1;
      if (one === "open") {
        known.add(seq);
        open = withHold(open, seq);
      } else if (typeof one === "number") {
        const after = withoutHold(open, one);
        expect(after !== undefined).toBe(known.delete(one));
        open = after ?? open;
      }
      expect(numbersOf(open)).toEqual([...known]);
      const [from, to] = [Math.floor(seq / 4), Math.ceil(seq / 2)];
      expect(numbersOf(spanOf(open, from, to))).toEqual(
        [...known].filter((hold) => hold > from && hold <= to),
      );
    }
  });
  fc.assert(runs);
});

it("of a crowd of which none has ended are one range", () => {
  let open: OpenHolds = [];
  for (let seq = 2; seq <= 5_000; seq++) open = withHold(open, seq);
  expect(open).toEqual([[2, 5_000]]);
});
