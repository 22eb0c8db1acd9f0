/**
 * Every limit admits exactly what it says, of however many requests that come at once and across evictions; it
 * names the moment from which on it admits again; and a refusal by one of them consumes nothing of any other.
 */
import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { LimitName } from "../../src/domain/admission.ts";
import {
  admissionsOf,
  admitMany,
  admitOne,
  admitted,
  beginTask,
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

const dayMs = 86_400_000;
/** How many tasks each limit below has room for. */
const room = 37;

/** A limit, the images of each task, and how it refuses. */
const limits = [
  ["requests_per_minute", 1, "rate_limited"],
  ["images_per_minute", 3, "rate_limited"],
  ["concurrent_tasks", 1, "too_many_tasks"],
  ["images_per_day", 3, "quota_exceeded"],
  ["images_per_month", 3, "quota_exceeded"],
] as const;

/** A tenant with room for 37 tasks of so many images, and all but one image of another, by one limit. */
async function configured(limit: LimitName, images = 1): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({ [limit]: room * images + images - 1 }) });
  return id;
}

const decide = (id: string, over = {}) => beginTask(id, requestOf(id, over));

describe.each(limits)("%s", (limit, images, code) => {
  it("admits exactly that many of 500 that come at once, and answers the others why", async () => {
    const id = await configured(limit, images);
    const decisions = await admitMany(id, 500, { images });
    expect(admitted(decisions)).toBe(room);
    const refusals = decisions.filter((one) => one.kind !== "admitted");
    expect(refusals).toHaveLength(500 - room);
    for (const one of refusals) expect(one).toMatchObject({ kind: "limited", code, limit });
  });

  it("admits exactly that many across an eviction", async () => {
    const id = await configured(limit, images);
    const first = await admitMany(id, 20, { images });
    await evictDurableObject(objectOf(id));
    const second = admitMany(id, 240, { images });
    const evicted = evictDurableObject(objectOf(id));
    const third = admitMany(id, 240, { images });
    await evicted;
    expect(admitted([...first, ...(await second), ...(await third)])).toBe(room);
  });

  it("admits again when the time that it named is over, and a millisecond earlier does not", async () => {
    const id = await configured(limit, images);
    const [first] = admissionsOf(await admitMany(id, room, { images }));
    const refusal = await decide(id, { images });
    if (refusal.kind !== "limited" || !first) throw new Error("was not limited");
    const againMs = t0 + refusal.retryAfterMs;
    expect(againMs).toBeGreaterThan(t0);
    expect((await decide(id, { images, nowMs: againMs - 1 })).kind).toBe("limited");
    if (limit === "concurrent_tasks") {
      // What it names is an estimate: a task in flight has to end.
      expect((await decide(id, { nowMs: againMs })).kind).toBe("limited");
      await settle(id, first.holdNumber);
    }
    expect((await decide(id, { images, nowMs: againMs })).kind).toBe("admitted");
  });

  it("that refuses takes nothing from the other limits, the balance or itself", async () => {
    const id = freshId();
    const others = Object.fromEntries(limits.map(([name]) => [name, 5_000]));
    const own = limitsOf({ ...others, [limit]: room * images, refusals_per_day: 100 });
    await configure(id, { limits: own, prepaid: true, openingBalance: 500_000 });
    expect(admitted(await admitMany(id, room, { images }))).toBe(room);
    const before = await summaryOf(id);
    expect(before.remaining[limit]).toBe(0);
    expect(admitted(await admitMany(id, 100, { images }))).toBe(0);
    expect(await summaryOf(id)).toEqual(before);
  });

  it("of a key applies on top of its tenant's, and to no other key", async () => {
    const id = freshId();
    const other = keyOf("key-0000000000000002");
    const key = keyOf(undefined, { limits: { [limit]: 2 * images } });
    await configure(id, { limits: limitsOf({ [limit]: 5 * images }), keys: [key, other] });
    const withOther = { images, keyId: other.id, keyHash: other.hash };
    expect(admitted(await admitMany(id, 50, { images }))).toBe(2);
    expect(await decide(id, { images })).toMatchObject({ kind: "limited", code, limit });
    expect((await summaryOf(id)).remaining[limit]).toBe(3 * images);
    expect(admitted(await admitMany(id, 50, withOther))).toBe(3);
    expect(await decide(id, withOther)).toMatchObject({ kind: "limited", code, limit });
  });
});

describe("a prepaid balance", () => {
  it("admits exactly what it covers of 500 that come at once, and one more for each task's worth", async () => {
    const id = freshId();
    await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: room * 60 });
    const first = await admitMany(id, 250, { images: 2 });
    await evictDurableObject(objectOf(id));
    const decisions = [...first, ...(await admitMany(id, 250, { images: 2 }))];
    expect(admitted(decisions)).toBe(room);
    for (const one of decisions.filter(({ kind }) => kind !== "admitted"))
      expect(one).toMatchObject({ kind: "insufficient_balance", needed: 60, available: 0 });
    const topUp = (amount: number, reference: string) =>
      stubOf(id).credit(id, { type: "topup", amount, reference, note: null }, t0);
    await topUp(59, "a");
    expect(await decide(id, { images: 2 })).toMatchObject({ kind: "insufficient_balance", available: 59 });
    await topUp(1, "b");
    expect(admitted(await admitMany(id, 20, { images: 2 }))).toBe(1);
  });
});

describe("refusals of content", () => {
  it("stop everything for the rest of the UTC day once there were so many", async () => {
    const id = freshId();
    await configure(id, { limits: limitsOf({ refusals_per_day: room }) });
    let count = 0;
    for (let batch = 0; batch < 5; batch++) {
      const admissions = admissionsOf(await admitMany(id, 10));
      count += admissions.length;
      await Promise.all(
        admissions.map(({ holdNumber: hold }, at) => settle(id, hold, { refused: batch < 3 || at < 7 })),
      );
      await evictDurableObject(objectOf(id));
    }
    // 3 × 10, then 7 of the next 10.
    expect(count).toBe(40);
    expect((await summaryOf(id)).remaining.refusals_per_day).toBe(0);
    const refusal = await decide(id);
    const expected = { kind: "limited", code: "quota_exceeded", limit: "refusals_per_day" };
    expect(refusal).toMatchObject({ ...expected, retryAfterMs: dayMs - (t0 % dayMs) });
    const midnight = t0 - (t0 % dayMs) + dayMs;
    expect(await decide(id, { nowMs: midnight - 1 })).toMatchObject({ ...expected, retryAfterMs: 1 });
    expect((await decide(id, { nowMs: midnight })).kind).toBe("admitted");
  });
});

describe("more images than a whole limit", () => {
  it.each(["images_per_minute", "images_per_day", "images_per_month"] as const)(
    "of %s never fit, of a tenant or of a key, and consume nothing",
    async (limit) => {
      const [ofTenant, ofKey] = [freshId(), freshId()];
      const broke = { prepaid: true, openingBalance: 0 };
      await configure(ofTenant, { ...broke, limits: limitsOf({ [limit]: 4 }) });
      await configure(ofKey, { limits: limitsOf({}), keys: [keyOf(undefined, { limits: { [limit]: 4 } })] });
      for (const id of [ofTenant, ofKey]) {
        // No waiting and no money helps: it comes before all that they do help against.
        expect(await decide(id, { images: 5 })).toMatchObject({ kind: "never_fits", limit, most: 4 });
      }
      expect(await decide(ofTenant, { images: 4 })).toMatchObject({ kind: "insufficient_balance" });
      expect((await decide(ofKey, { images: 4 })).kind).toBe("admitted");
    },
  );
});

describe("several limits that refuse at once", () => {
  it("are described by the one that takes longest to admit again", async () => {
    const id = freshId();
    const own = limitsOf({ requests_per_minute: 2, images_per_minute: 2, images_per_day: 2 });
    await configure(id, { limits: own });
    await admitMany(id, 2);
    const expected = { limit: "images_per_day", retryAfterMs: dayMs - (t0 % dayMs) };
    expect(await decide(id)).toMatchObject(expected);
  });
});

describe("images of a day and month", () => {
  const april = Date.UTC(2030, 3, 1);

  it.each([
    ["images_per_day", Date.UTC(2030, 2, 18)],
    ["images_per_month", april],
  ] as const)("are counted anew from midnight UTC: %s", async (limit, borderMs) => {
    const id = await configured(limit);
    const lastMs = borderMs - 1;
    expect(admitted(await admitMany(id, 100, { nowMs: lastMs }))).toBe(room);
    expect(await decide(id, { nowMs: lastMs })).toMatchObject({ limit, retryAfterMs: 1 });
    expect(admitted(await admitMany(id, 100, { nowMs: borderMs }))).toBe(room);
    // A Worker whose clock is a moment behind counts into the new day as well.
    expect(admitted(await admitMany(id, 20, { nowMs: lastMs }))).toBe(0);
  });

  it("come back when they were not made, once, and rates keep their slots", async () => {
    const id = freshId();
    const own = { requests_per_minute: 10, images_per_minute: 10, images_per_day: 10, images_per_month: 10 };
    await configure(id, { limits: limitsOf(own) });
    const { holdNumber: hold } = await admitOne(id, { images: 4 });
    for (let times = 0; times < 2; times++) {
      await settle(id, hold, { images: 1 });
      expect((await summaryOf(id)).remaining).toMatchObject({
        requests_per_minute: 9,
        images_per_minute: 6,
        images_per_day: 9,
        images_per_month: 9,
      });
    }
  });

  it("come back to the day and month of admission only", async () => {
    const id = freshId();
    await configure(id, { limits: limitsOf({ images_per_day: 10, images_per_month: 20 }) });
    const [early, last, next] = [april - 2 * dayMs, april - dayMs, april];
    const first = await admitOne(id, { images: 4, nowMs: early });
    const second = await admitOne(id, { images: 4, nowMs: last });
    await admitOne(id, { images: 5, nowMs: last });
    await settle(id, first.holdNumber, { nowMs: last });
    const left = async (nowMs: number) => (await summaryOf(id, nowMs)).remaining;
    expect(await left(last)).toMatchObject({ images_per_day: 1, images_per_month: 11 });
    await admitOne(id, { images: 5, nowMs: next });
    await settle(id, second.holdNumber, { nowMs: next });
    expect(await left(next)).toMatchObject({ images_per_day: 5, images_per_month: 15 });
  });
});
