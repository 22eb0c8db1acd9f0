/** A tenant's three sums: no order of operations makes a credit appear, vanish or be spent twice. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type Account,
  availableOf,
  balanceOf,
  chargedImages,
  chargeOf,
  credit,
  emptyAccount,
  hold,
  maxAmount,
  priceOf,
  settle,
} from "../../src/domain/account.ts";

const account: Account = { toppedUp: 1_000, charged: 300, held: 200 };

describe("an account", () => {
  it("has what was topped up and not charged, of which what is held is not available", () => {
    expect(balanceOf(account)).toBe(700);
    expect(availableOf(account)).toBe(500);
    expect([balanceOf(emptyAccount), availableOf(emptyAccount)]).toEqual([0, 0]);
  });
});

describe("a hold", () => {
  it.each([
    [0, true],
    [1, true],
    [500, true],
    [501, false],
    [700, false],
  ])("of %i of 500 available credits is made: %s", (amount, made) => {
    const after = made ? { ...account, held: 200 + amount } : undefined;
    expect(hold(account, amount, true)).toEqual(after);
    // Who is only metered holds what he likes.
    expect(hold(account, amount, false)).toEqual({ ...account, held: 200 + amount });
  });

  it("of nothing is made by an account that has nothing", () => {
    expect(hold(emptyAccount, 0, true)).toEqual(emptyAccount);
    expect(hold(emptyAccount, 1, true)).toBeUndefined();
  });
});

describe("the end of a hold", () => {
  it.each([0, 50, 200])("charges %i of its 200 credits and releases the rest", (charge) => {
    const after = settle(account, 200, charge);
    expect(after).toEqual({ toppedUp: 1_000, charged: 300 + charge, held: 0 });
    expect(availableOf(after)).toBe(700 - charge);
  });
});

describe("a credit", () => {
  it.each([
    [1, true],
    [0, true],
    [-500, true],
    [-501, false],
    [-700, false],
  ])("of %i beside 500 available credits goes in: %s", (amount, goes) => {
    const after = { ...account, toppedUp: 1_000 + amount };
    expect(credit(account, amount, true)).toEqual(goes ? after : undefined);
    expect(credit(account, amount, false)).toEqual(after);
  });

  it("to an account that is in the red goes in, though it does not make it whole", () => {
    const red: Account = { toppedUp: 0, charged: 900, held: 0 };
    expect(credit(red, 100, true)).toEqual({ ...red, toppedUp: 100 });
    expect(credit(red, -1, true)).toBeUndefined();
  });

  it("counts exactly at the largest amount, thousands of times", () => {
    let rich: Account | undefined = emptyAccount;
    for (let times = 0; times < 9_000; times++) rich = rich && credit(rich, maxAmount, true);
    if (!rich) throw new Error("was refused");
    const more = credit(rich, 1, true);
    expect(more && balanceOf(more) - balanceOf(rich)).toBe(1);
    expect(Number.isSafeInteger(rich.toppedUp)).toBe(true);
  });
});

describe("any order of operations", () => {
  const step = fc.record({
    does: fc.constantFrom("hold", "settle", "credit"),
    amount: fc.integer({ min: -400, max: 400 }),
    part: fc.nat({ max: 400 }),
  });

  it.each([true, false])(
    "keeps the sums, and a prepaid account from owing anything; prepaid: %s",
    (prepaid) => {
      const runs = fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        let now = emptyAccount;
        let [credited, charged] = [0, 0];
        const open: number[] = [];
        for (const { does, amount, part } of steps) {
          const size = Math.abs(amount);
          if (does === "hold") {
            const after = hold(now, size, prepaid);
            if (after) open.push(size);
            now = after ?? now;
          } else if (does === "credit") {
            const after = credit(now, amount, prepaid);
            if (after) credited += amount;
            now = after ?? now;
          } else {
            const ends = open.shift();
            if (ends === undefined) continue;
            const charge = Math.min(part, ends);
            now = settle(now, ends, charge);
            charged += charge;
          }
          expect(balanceOf(now)).toBe(credited - charged);
          expect(now.held).toBe(open.reduce((sum, one) => sum + one, 0));
          expect(availableOf(now)).toBe(balanceOf(now) - now.held);
          if (prepaid) expect(availableOf(now)).toBeGreaterThanOrEqual(0);
        }
      });
      fc.assert(runs, { numRuns: 200 });
    },
  );
});

describe("what a hold comes to", () => {
  it.each([
    [0, { charged: 0, released: 120, unmade: 4 }],
    [3, { charged: 90, released: 30, unmade: 1 }],
    [4, { charged: 120, released: 0, unmade: 0 }],
    [9, { charged: 120, released: 0, unmade: 0 }],
  ])("is the price of %i stored images, and the rest of what was held", (stored, expected) => {
    const held = { images: 4, price: 30 };
    expect(chargeOf(held, stored)).toEqual(expected);
    expect(priceOf(held)).toBe(120);
  });

  it("counts the images of a completed task alone", () => {
    const images = [{ id: "img-1", state: "stored" as const }];
    expect(chargedImages({ state: "completed", images })).toBe(1);
    for (const state of ["failed", "cancelled", "storing"] as const)
      expect(chargedImages({ state, images })).toBe(0);
  });
});
