/**
 * The arithmetic of all limits together: what refuses, until when, what is left, and what comes back. Refusing
 * never changes the counters that came in.
 */
import { describe, expect, it } from "vitest";
import {
  afterTask,
  checkLimits,
  dateOf,
  defaultLimits,
  emptyCounters,
  keyLimits,
  type LimitName,
  type LimitRefusal,
  type Limits,
  limitNames,
  longest,
  monthOf,
  type PolicyState,
  policiesOf,
  remainingOf,
  tightest,
  type UsageCounters,
} from "../../src/domain/admission.ts";
import { t0 } from "../helpers/domain-values.ts";

const dayMs = 86_400_000;
const midnight = t0 - (t0 % dayMs);
const none = keyLimits({});

/** UsageCounters after tasks of so many images each, admitted at one moment. */
function countersAfter(images: number[], limits: Limits = defaultLimits, nowMs = t0): UsageCounters {
  return images.reduce((counters, count) => checkLimits(counters, limits, count, nowMs).after, emptyCounters);
}

/** What refuses one more task. */
const refusing = (counters: UsageCounters, own: Partial<Limits>, images = 1, nowMs = t0) =>
  checkLimits(counters, keyLimits(own), images, nowMs).refusals;

describe("a task", () => {
  it.each([
    ["requests_per_minute", 3, "rate_limited", 20_000],
    ["images_per_minute", 12, "rate_limited", 20_000],
    ["concurrent_tasks", 3, "too_many_tasks", 10_000],
    ["images_per_day", 12, "quota_exceeded", midnight + dayMs - t0],
    ["images_per_month", 12, "quota_exceeded", Date.UTC(2030, 3, 1) - t0],
  ] as const)("fits into %s up to the last one, and not beyond", (limit, most, code, retryAfterMs) => {
    const own = { [limit]: most };
    const two = countersAfter([4, 4], keyLimits(own));
    const three = countersAfter([4, 4, 4], keyLimits(own));
    expect(refusing(two, own, 4)).toEqual([]);
    expect(refusing(three, own, 4)).toEqual([{ code, limit, retryAfterMs }]);
  });

  it("gets every limit that refuses it", () => {
    const own = { requests_per_minute: 1, images_per_minute: 1, concurrent_tasks: 1, images_per_day: 1 };
    const limits = refusing(countersAfter([1], keyLimits(own)), own).map(({ limit }) => limit);
    expect(limits).toEqual([
      "requests_per_minute",
      "images_per_minute",
      "concurrent_tasks",
      "images_per_day",
    ]);
  });

  it.each([
    [1, 30_000],
    [20, 1_500],
    [30, 1_000],
    [1_000, 1_000],
  ])("that waits for one of %i in flight is to come again in %i ms", (concurrent_tasks, retryAfterMs) => {
    const counters = { ...emptyCounters, open: concurrent_tasks };
    expect(refusing(counters, { concurrent_tasks })).toMatchObject([{ retryAfterMs }]);
  });

  it("leaves the counters that it is checked against as they were", () => {
    const counters = Object.freeze({ ...emptyCounters, open: 7 });
    const before = structuredClone(counters);
    for (const images of [1, 1_000]) checkLimits(counters, defaultLimits, images, t0);
    expect(counters).toEqual(before);
  });

  it.each([
    [{ images_per_minute: 4 }, ["images_per_minute"]],
    [{ images_per_day: 4, images_per_month: 5 }, ["images_per_day"]],
    [{ images_per_day: 4, images_per_month: 3 }, ["images_per_day", "images_per_month"]],
    [{ requests_per_minute: 4, concurrent_tasks: 4, refusals_per_day: 4 }, []],
    [{}, []],
  ] as [Partial<Limits>, LimitName[]][])("of 5 images never fits into %j", (own, names) => {
    expect(checkLimits(emptyCounters, keyLimits(own), 5, t0).neverFits).toEqual(names);
  });

  it("is counted where there is no limit, so that one that is set later knows of it", () => {
    const counters = countersAfter([3, 3], none);
    expect(counters).toMatchObject({ open: 2, day: { images: 6 }, month: { images: 6 } });
    expect(refusing(counters, { images_per_day: 6 })).toHaveLength(1);
  });
});

describe("days and months", () => {
  it.each([
    [Date.UTC(2030, 0, 31, 23, 59, 59, 999), 1, 1],
    [Date.UTC(2030, 1, 28), dayMs, dayMs],
    [Date.UTC(2032, 1, 28), dayMs, 2 * dayMs],
    [Date.UTC(2030, 11, 31, 12), dayMs / 2, dayMs / 2],
    [Date.UTC(2030, 11, 1), dayMs, 31 * dayMs],
    [Date.UTC(2030, 3, 30, 23), 3_600_000, 3_600_000],
  ])("of the moment %i end after %i and %i ms", (nowMs, ofDay, ofMonth) => {
    const own = { images_per_day: 1, images_per_month: 1 };
    const counters = countersAfter([1], none, nowMs);
    const waits = refusing(counters, own, 1, nowMs).map(({ retryAfterMs }) => retryAfterMs);
    expect(waits).toEqual([ofDay, ofMonth]);
    expect(refusing(counters, { images_per_day: 1 }, 1, nowMs + ofDay)).toEqual([]);
    expect(refusing(counters, { images_per_day: 1 }, 1, nowMs + ofDay - 1)).toHaveLength(1);
    expect(refusing(counters, own, 1, nowMs + ofMonth)).toEqual([]);
    expect(refusing(counters, { images_per_month: 1 }, 1, nowMs + ofMonth - 1)).toHaveLength(1);
  });

  it("are named as in ISO 8601", () => {
    expect(dateOf(Date.UTC(2030, 0, 5, 23, 59))).toBe("2030-01-05");
    expect(monthOf("2030-01-05")).toBe("2030-01");
  });

  it("do not come back for a clock that is behind", () => {
    const april = Date.UTC(2030, 3, 1);
    const counters = countersAfter([5], none, april);
    for (const limit of ["images_per_day", "images_per_month"] as const)
      expect(refusing(counters, { [limit]: 5 }, 1, april - 1)).toMatchObject([{ limit }]);
    const { day, month } = checkLimits(counters, none, 2, april - 1).after;
    expect(day).toEqual({ date: "2030-04-01", images: 7, refusals: 0 });
    expect(month).toEqual({ month: "2030-04", images: 7 });
  });
});

describe("a task that has ended", () => {
  const counters = countersAfter([4, 4]);
  const ended = { date: dateOf(t0), unmade: 3, refused: false };

  it("gives back its place and the images that were not made, and no slot of a rate", () => {
    const after = afterTask(counters, ended, t0);
    expect(after).toMatchObject({ open: 1, day: { images: 5, refusals: 0 }, month: { images: 5 } });
    expect([after.requests, after.images]).toEqual([counters.requests, counters.images]);
  });

  it.each([
    ["on the same day", dateOf(t0), t0, 5, 5],
    ["a day later, of the same month", dateOf(t0), t0 + dayMs, 0, 5],
    ["a month later", dateOf(t0), t0 + 20 * dayMs, 0, 0],
    ["of the day before", dateOf(t0 - dayMs), t0, 8, 5],
    ["of the month before", dateOf(t0 - 20 * dayMs), t0, 8, 8],
    ["of the same day a year ago", "2029-03-17", t0, 8, 8],
  ])("%s gives them back to the day and month of admission only", (_when, date, nowMs, day, month) => {
    const after = afterTask(counters, { ...ended, date }, nowMs);
    expect([after.day.images, after.month.images]).toEqual([day, month]);
  });

  it("counts as refused on the day on which it was", () => {
    const refused = { ...ended, refused: true };
    expect(afterTask(afterTask(counters, refused, t0), refused, t0).day.refusals).toBe(2);
    expect(afterTask(counters, refused, t0 + dayMs).day).toMatchObject({
      date: dateOf(t0 + dayMs),
      refusals: 1,
    });
  });

  it("never takes a counter below nothing", () => {
    const after = afterTask(emptyCounters, { ...ended, unmade: 9 }, t0);
    expect(after).toMatchObject({ open: 0, day: { images: 0 }, month: { images: 0 } });
  });
});

describe("every limit of images", () => {
  type OfImages = Extract<LimitName, `images_per_${string}`>;
  const ofImages = limitNames.filter((name): name is OfImages => name.startsWith("images_per_"));

  it.each(ofImages)("%s refuses, never fits, is a policy, is left and is given back", (name) => {
    const own = keyLimits({ [name]: 2 });
    const tooMany = checkLimits(emptyCounters, own, 3, t0);
    expect(tooMany).toMatchObject({ refusals: [{ limit: name }], neverFits: [name] });
    const { after } = checkLimits(emptyCounters, own, 2, t0);
    expect(policiesOf(after, own, t0)).toMatchObject([{ limit: 2, remaining: 0 }]);
    const back = afterTask(after, { date: dateOf(t0), unmade: 1, refused: false }, t0);
    // Slots of rates stay taken.
    const left = tooMany.refusals[0]?.code === "rate_limited" ? 0 : 1;
    expect([after, back].map((counters) => remainingOf(counters, own, t0)[name])).toEqual([0, left]);
  });
});

describe("what is left", () => {
  const used: UsageCounters = { ...countersAfter([4, 4]), day: { date: dateOf(t0), images: 8, refusals: 3 } };
  // Files have counters of their own.
  const { files_per_day: _files, file_bytes: _bytes, ...nothing } = none;

  it("is shown limit by limit, and is null where there is no limit", () => {
    const left = { ...nothing, requests_per_minute: 598, images_per_minute: 52, concurrent_tasks: 18 };
    const expected = { ...left, refusals_per_day: 197 };
    expect(remainingOf(used, defaultLimits, t0)).toEqual(expected);
    expect(remainingOf(used, none, t0)).toEqual(nothing);
  });

  it("is never less than nothing, when a limit was lowered", () => {
    const ones = keyLimits(Object.fromEntries(limitNames.map((name) => [name, 1])));
    const left = remainingOf(used, ones, t0);
    expect(left).toEqual(Object.fromEntries(Object.keys(nothing).map((name) => [name, 0])));
    for (const { remaining } of policiesOf(used, ones, t0)) expect(remaining).toBe(0);
  });

  it("is shown as policies of the limits in force, with their windows and resets", () => {
    const own = keyLimits({ ...defaultLimits, images_per_day: 10, images_per_month: 20 });
    expect(policiesOf(used, own, t0)).toEqual([
      { name: "requests", limit: 600, windowSeconds: 60, remaining: 598, resetSeconds: 1 },
      { name: "images", limit: 60, windowSeconds: 60, remaining: 52, resetSeconds: 8 },
      { name: "tasks", limit: 20, remaining: 18 },
      { name: "daily", limit: 10, windowSeconds: 86_400, remaining: 2, resetSeconds: 22_400 },
      {
        name: "monthly",
        limit: 20,
        windowSeconds: 31 * 86_400,
        remaining: 12,
        resetSeconds: 22_400 + 14 * 86_400,
      },
    ]);
    expect(policiesOf(used, none, t0)).toEqual([]);
  });
});

describe("of several", () => {
  const policy = (name: PolicyState["name"], remaining: number): PolicyState => ({
    name,
    limit: 9,
    remaining,
  });
  const refusal = (limit: LimitName, retryAfterMs: number): LimitRefusal => ({
    code: "rate_limited",
    limit,
    retryAfterMs,
  });

  it("policies of one name the one with the least left is shown", () => {
    const policies = [policy("images", 5), policy("tasks", 2), policy("images", 3), policy("tasks", 7)];
    expect(tightest(policies)).toEqual([policy("images", 3), policy("tasks", 2)]);
    expect(tightest([])).toEqual([]);
  });

  it("refusals the one that lasts longest is shown", () => {
    const last = refusal("images_per_day", 9_000);
    expect(longest([refusal("requests_per_minute", 5), last, refusal("images_per_minute", 100)])).toBe(last);
    expect(longest([])).toBeUndefined();
  });

  it("limits a key's are none where it says nothing", () => {
    expect(keyLimits({ images_per_day: 5 })).toEqual({ ...none, images_per_day: 5 });
    expect(Object.values(none).every((limit) => limit === null)).toBe(true);
  });
});
