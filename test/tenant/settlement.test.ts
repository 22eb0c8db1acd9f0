/**
 * Credits are held at admission, charged for what was made and released for the rest, each once per task; they
 * come in once per reference; and the ledger has a line for every move, with the account as it was afterwards.
 */
import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Credit, LedgerLine } from "../../src/domain/ledger-lines.ts";
import type { TenantConfig } from "../../src/domain/tenant.ts";
import {
  admitMany,
  admitOne,
  admitted,
  beginTask,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

/** A prepaid tenant of no limits with 1,000 credits. */
async function prepaid(over: Partial<TenantConfig> = {}): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: 1_000, ...over });
  return id;
}

const moneyOf = async (id: string) => {
  const { balance, held, available } = await summaryOf(id);
  return [balance, held, available];
};
const credit = (id: string, over: Partial<Credit> = {}) =>
  stubOf(id).credit(id, { type: "topup", amount: 100, reference: "r", note: null, ...over }, t0);

/** The ledger in the order in which it was written, as type and amount. */
const movesOf = async (id: string) =>
  (await ledgerOf(id)).toReversed().map(({ type, amount, balance, held }) => [type, amount, balance, held]);

describe("a hold", () => {
  it("sets aside the price of all images, which stay in the balance", async () => {
    const id = await prepaid();
    await admitOne(id, { images: 4 });
    expect(await moneyOf(id)).toEqual([1_000, 120, 880]);
  });

  it.each([
    [4, 120, 0],
    [3, 90, 30],
    [1, 30, 90],
    [0, 0, 120],
    // More than were asked for are never charged.
    [9, 120, 0],
  ])("of which %i of 4 images were made charges %i and releases %i", async (images, charged, released) => {
    const id = await prepaid();
    const { holdNumber: hold } = await admitOne(id, { images: 4 });
    await settle(id, hold, { images });
    expect(await moneyOf(id)).toEqual([1_000 - charged, 0, 1_000 - charged]);
    const lines = (await movesOf(id)).slice(2);
    expect(lines).toEqual([
      ...(charged > 0 ? [["charge", charged, 1_000 - charged, 120 - charged]] : []),
      ...(released > 0 ? [["release", released, 1_000 - charged, 0]] : []),
    ]);
  });

  it("is ended once, by whichever comes first, at once or after an eviction", async () => {
    const id = await prepaid();
    const { holdNumber: hold } = await admitOne(id, { images: 2 });
    await Promise.all([2, 2, 2].map((images) => settle(id, hold, { images })));
    const after = await ledgerOf(id);
    await evictDurableObject(objectOf(id));
    await settle(id, hold, { images: 0, refused: true, deleteReplay: true, nowMs: t0 + 5_000 });
    expect(await moneyOf(id)).toEqual([940, 0, 940]);
    expect(await ledgerOf(id)).toEqual(after);
  });

  it("of another task is left alone, and that is said", async () => {
    const id = await prepaid();
    const { holdNumber: hold } = await admitOne(id, { images: 2, taskId: "task-own" });
    expect(await settle(id, hold, { taskId: "task-other", images: 2 })).toBe("no_hold");
    expect(await settle(id, 9_999, { taskId: "task-own", images: 2 })).toBe("no_hold");
    expect(await moneyOf(id)).toEqual([1_000, 60, 940]);
    expect(await settle(id, hold, { taskId: "task-own", images: 2 })).toBe("settled");
    expect(await moneyOf(id)).toEqual([940, 0, 940]);
  });

  it.each([0, 7, -1, 1])("that there never was changes nothing: %i", async (hold) => {
    const id = await prepaid();
    await admitOne(id);
    const before = [await summaryOf(id), await ledgerOf(id)];
    // 1 is the opening balance's number.
    await settle(id, hold, { images: 1 });
    expect([await summaryOf(id), await ledgerOf(id)]).toEqual(before);
  });

  it("that the balance does not cover is refused, with what is missing, and leaves no line", async () => {
    const id = await prepaid({ openingBalance: 100 });
    await admitOne(id, { images: 2 });
    const before = await ledgerOf(id);
    const decision = await beginTask(id, requestOf(id, { images: 2 }));
    expect(decision).toMatchObject({ kind: "insufficient_balance", needed: 60, available: 40 });
    expect(await ledgerOf(id)).toEqual(before);
  });

  it("of a tenant that is only metered may go below nothing", async () => {
    const id = await prepaid({ prepaid: false, openingBalance: 0 });
    const { holdNumber: hold } = await admitOne(id, { images: 2 });
    expect(await moneyOf(id)).toEqual([0, 60, -60]);
    await settle(id, hold, { images: 2 });
    expect(await moneyOf(id)).toEqual([-60, 0, -60]);
  });
});

describe("a price", () => {
  const prices = { "wan-2.7-image": 7 };

  it("of the tenant's own goes over the gateway's, model by model", async () => {
    const id = await prepaid({ prices });
    expect((await admitOne(id)).price).toBe(7);
    expect((await admitOne(id, { model: "wan-2.7-image-pro", price: 75 })).price).toBe(75);
    expect(await moneyOf(id)).toEqual([1_000, 82, 918]);
  });

  it("of nothing is a price as well", async () => {
    const id = await prepaid({ prices: { "wan-2.7-image": 0 }, openingBalance: 0 });
    const { holdNumber: hold, price } = await admitOne(id, { images: 4 });
    await settle(id, hold, { images: 4 });
    expect(price).toBe(0);
    expect(await moneyOf(id)).toEqual([0, 0, 0]);
  });

  it("is fixed at the admission, whatever it is changed to", async () => {
    const id = await prepaid({ prices });
    const { holdNumber: hold } = await admitOne(id, { images: 3 });
    await configure(id, { version: 2, prepaid: true, prices: { "wan-2.7-image": 500 } });
    await settle(id, hold, { images: 2 });
    expect(await moneyOf(id)).toEqual([986, 0, 986]);
  });
});

describe("a credit", () => {
  it("goes in once per reference, of however many at once", async () => {
    const id = await prepaid();
    const results = await Promise.all(Array.from({ length: 50 }, () => credit(id)));
    expect(results.filter((one) => one.kind === "done" && !one.isReplay)).toHaveLength(1);
    expect(results.filter((one) => one.kind === "done" && one.isReplay)).toHaveLength(49);
    await evictDurableObject(objectOf(id));
    const again = await credit(id);
    expect(again).toEqual(results.find((one) => one.kind === "done" && one.isReplay));
    expect(await moneyOf(id)).toEqual([1_100, 0, 1_100]);
  });

  it.each([{ amount: 101 }, { type: "refund" }] as const)(
    "whose reference was used for something else is refused: %j",
    async (other) => {
      const id = await prepaid();
      await credit(id);
      expect(await credit(id, other)).toEqual({ kind: "reference_taken" });
      expect(await moneyOf(id)).toEqual([1_100, 0, 1_100]);
    },
  );

  it("never takes what is held, and takes all that is not", async () => {
    const id = await prepaid();
    await admitOne(id, { images: 4 });
    const down = (amount: number) => credit(id, { type: "adjustment", amount, reference: `down ${amount}` });
    expect(await down(-881)).toEqual({ kind: "balance_held", available: 880 });
    // A reference that did nothing is still free.
    expect(await down(-880)).toMatchObject({ kind: "done", isReplay: false });
    expect(await moneyOf(id)).toEqual([120, 120, 0]);
  });

  it("to a tenant that does not exist goes nowhere", async () => {
    expect(await credit(freshId())).toEqual({ kind: "no_tenant" });
  });
});

describe("a balance that is set", () => {
  const set = (id: string, balance: number, reference = `set ${balance}`) =>
    stubOf(id).setBalance(id, balance, reference, t0);

  it("to what it is leaves no line", async () => {
    const id = await prepaid();
    expect(await set(id, 1_000)).toEqual({ kind: "unchanged" });
    expect(await movesOf(id)).toHaveLength(1);
  });

  it.each([0, 400, 5_000])("is %i afterwards, by one adjustment", async (balance) => {
    const id = await prepaid();
    expect(await set(id, balance)).toMatchObject({ kind: "done", line: { type: "adjustment" } });
    expect(await moneyOf(id)).toEqual([balance, 0, balance]);
    expect((await movesOf(id)).at(-1)).toEqual(["adjustment", balance - 1_000, balance, 0]);
  });

  it.each([true, false])("is never less than what is held; prepaid: %s", async (isPrepaid) => {
    const id = await prepaid({ prepaid: isPrepaid });
    await admitOne(id, { images: 4 });
    expect(await set(id, 119)).toEqual({ kind: "balance_held", available: 880 });
    expect((await set(id, 120)).kind).toBe("done");
    expect(await moneyOf(id)).toEqual([120, 120, 0]);
  });
});

describe("the opening balance", () => {
  it("goes in once, whatever copies come later", async () => {
    const id = await prepaid();
    await Promise.all([2, 3, 4].map((version) => configure(id, { version, openingBalance: 9_000 })));
    await evictDurableObject(objectOf(id));
    await configure(id, { version: 5, openingBalance: 9_000 });
    expect(await moneyOf(id)).toEqual([1_000, 0, 1_000]);
  });

  it("of nothing is one too: none goes in later", async () => {
    const id = await prepaid({ openingBalance: 0 });
    await configure(id, { version: 2, prepaid: true, openingBalance: 9_000 });
    expect(await moneyOf(id)).toEqual([0, 0, 0]);
  });
});

describe("a low balance", () => {
  it("is noted by the admission that crosses the line, and again only after a top-up", async () => {
    const id = await prepaid({ openingBalance: 150, lowBalance: 100 });
    const isNoted = async () => (await admitOne(id)).balanceLow !== null;
    expect([await isNoted(), await isNoted(), await isNoted()]).toEqual([false, true, false]);
    await credit(id, { amount: 70 });
    expect([await isNoted(), await isNoted()]).toEqual([false, true]);
  });
});

describe("the ledger", () => {
  it("is read in pages that neither leave out nor repeat a line, nor tear a task's end apart", async () => {
    const id = await prepaid({ openingBalance: 5_000 });
    expect(admitted(await admitMany(id, 25, { images: 3 }))).toBe(25);
    // 1 is the opening balance, then the holds.
    for (let hold = 2; hold <= 26; hold++) await settle(id, hold, { images: hold % 4 });
    const all = await ledgerOf(id);
    expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).toSorted((a, b) => b - a));
    for (const limit of [1, 2, 7]) {
      const read: LedgerLine[] = [];
      for (let page = await ledgerOf(id, { limit }); page.length > 0; ) {
        read.push(...page);
        page = await ledgerOf(id, { limit, beforeSeq: page.at(-1)?.seq ?? 0 });
      }
      expect(read).toEqual(all);
    }
  });

  it("may be asked for one task, and for a time", async () => {
    const id = await prepaid();
    const { holdNumber: hold } = await admitOne(id, { taskId: "task-a", images: 2, nowMs: t0 + 1_000 });
    await admitOne(id, { nowMs: t0 + 1_500 });
    await settle(id, hold, { images: 1, nowMs: t0 + 2_000 });
    const types = async (over = {}) => (await ledgerOf(id, over)).map(({ type }) => type);
    expect(await types({ taskId: "task-a" })).toEqual(["release", "charge", "hold"]);
    expect(await types({ fromMs: t0 + 1_000, toMs: t0 + 2_000 })).toEqual(["hold", "hold"]);
  });
});
