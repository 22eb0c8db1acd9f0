/**
 * Whether a request may go ahead, by every limit at once. Pure: counters and the clock come in, a verdict with
 * its numbers and the counters afterwards go out. The tenant's object writes the counters only when the request is
 * admitted, so that a refusal consumes nothing of anything.
 */
import { reserveOf, usableOf } from "./limit-parts.ts";
import { type Bucket, emptyBucket, takeFromBucket, windowMs } from "./rate-bucket.ts";

/** Limits of a tenant or of one key; null is none. Minutes are GCRA, days and months are UTC. */
export interface Limits {
  requests_per_minute: number | null;
  images_per_minute: number | null;
  concurrent_tasks: number | null;
  images_per_day: number | null;
  images_per_month: number | null;
  /** Content that the upstream refused, which endangers the whole account. */
  refusals_per_day: number | null;
  files_per_day: number | null;
  file_bytes: number | null;
}

export type LimitName = keyof Limits;
export type FileLimitName = "files_per_day" | "file_bytes";

export const defaultLimits: Limits = {
  requests_per_minute: 600,
  images_per_minute: 60,
  concurrent_tasks: 20,
  images_per_day: null,
  images_per_month: null,
  refusals_per_day: 200,
  files_per_day: 200,
  file_bytes: 1_073_741_824,
};

export const limitNames = Object.keys(defaultLimits) as LimitName[];

/** What has been used, of a tenant or of one key. */
export interface UsageCounters {
  requests: Bucket;
  images: Bucket;
  /** Tasks in flight. */
  open: number;
  /** `date` and `month` are UTC, as in ISO 8601. */
  day: { date: string; images: number; refusals: number };
  month: { month: string; images: number };
}

export const emptyCounters: UsageCounters = {
  requests: emptyBucket,
  images: emptyBucket,
  open: 0,
  day: { date: "", images: 0, refusals: 0 },
  month: { month: "", images: 0 },
};

/** Of a client token: its day and month never end, so that what is counted by them is counted for its life. */
export const lifelongCounters: UsageCounters = {
  ...emptyCounters,
  day: { date: "9999-12-31", images: 0, refusals: 0 },
  month: { month: "9999-12", images: 0 },
};

/** In the order in which the RateLimit headers have them. */
export const policyNames = ["requests", "images", "tasks", "daily", "monthly"] as const;
export type PolicyName = (typeof policyNames)[number];

/** One policy's state, for the RateLimit headers. */
export interface PolicyState {
  name: PolicyName;
  limit: number;
  /** Absent for what has no window: tasks in flight. */
  windowSeconds?: number;
  remaining: number;
  /** Until the policy is as new; absent where it is not known. */
  resetSeconds?: number;
}

/** Whose limit it is. */
export type LimitHolder = "tenant" | "key" | "token" | "address";

export interface LimitRefusal {
  code: "rate_limited" | "too_many_tasks" | "quota_exceeded";
  limit: LimitName;
  /** Absent until it is known. */
  of?: LimitHolder;
  /** Exact for rates and quotas, an estimate for tasks in flight. */
  retryAfterMs: number;
}

export interface LimitCheck {
  /** Empty when all limits admit. */
  refusals: LimitRefusal[];
  /** Limits that so many images at once never fit into. */
  neverFits: LimitName[];
  /** The counters afterwards; to be kept only when everything else admits as well. */
  after: UsageCounters;
}

const dayMs = 86_400_000;
/** What a task takes, roughly: all that is known of when one of those in flight will end. */
const typicalTaskMs = 30_000;

export const dateOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 10);
export const monthOf = (date: string): string => date.slice(0, 7);

/** Milliseconds until the next UTC day. */
export function untilTomorrow(nowMs: number): number {
  return dayMs - (nowMs % dayMs);
}

/** Milliseconds until the next UTC month. */
function untilNextMonth(nowMs: number): number {
  const now = new Date(nowMs);
  return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) - nowMs;
}

function daysInMonth(nowMs: number): number {
  const now = new Date(nowMs);
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 0)).getUTCDate();
}

/**
 * Counts of the day and month that `nowMs` is in. A clock that is behind, across midnight, counts into the later
 * day: nothing is ever given back by a clock.
 */
function current(counters: UsageCounters, nowMs: number): Pick<UsageCounters, "day" | "month"> {
  const date = dateOf(nowMs);
  const { day, month } = counters;
  return {
    day: day.date >= date ? day : { date, images: 0, refusals: 0 },
    month: month.month >= monthOf(date) ? month : { month: monthOf(date), images: 0 },
  };
}

/**
 * Checks one task of `images` images against all limits.
 * @param images Whole, at least 1.
 * @param as `requests`: 0 for one whose request was counted before. `keepsReserve`: {@link reserveOf} each limit is kept.
 */
export function checkLimits(
  counters: UsageCounters,
  limits: Limits,
  images: number,
  nowMs: number,
  { requests = 1, keepsReserve = false }: { requests?: 0 | 1; keepsReserve?: boolean } = {},
): LimitCheck {
  const refusals: LimitRefusal[] = [];
  const { day, month } = current(counters, nowMs);
  const rate = (name: LimitName, bucket: Bucket, events: number): Bucket => {
    const limit = limits[name];
    if (limit === null) return bucket;
    const take = takeFromBucket(bucket, limit, events, nowMs, keepsReserve ? reserveOf(limit) : 0);
    if (!take.admitted) refusals.push({ code: "rate_limited", limit: name, retryAfterMs: take.retryMs });
    return take.bucket;
  };
  const most = (name: LimitName) => usableOf(limits[name], keepsReserve);
  const quota = (name: LimitName, count: number, retryAfterMs: number) => {
    if (count > most(name)) refusals.push({ code: "quota_exceeded", limit: name, retryAfterMs });
  };

  const after: UsageCounters = {
    requests: rate("requests_per_minute", counters.requests, requests),
    images: rate("images_per_minute", counters.images, images),
    open: counters.open + 1,
    day: { ...day, images: day.images + images },
    month: { ...month, images: month.images + images },
  };
  if (after.open > most("concurrent_tasks")) {
    const retryAfterMs = Math.max(1_000, typicalTaskMs / most("concurrent_tasks"));
    refusals.push({ code: "too_many_tasks", limit: "concurrent_tasks", retryAfterMs });
  }
  quota("images_per_day", after.day.images, untilTomorrow(nowMs));
  quota("images_per_month", after.month.images, untilNextMonth(nowMs));
  // This one could be refused as well; and so could each that is in flight, where the last part is for others.
  const possible = 1 + (keepsReserve ? counters.open : 0);
  quota("refusals_per_day", day.refusals + possible, untilTomorrow(nowMs));
  const byImages = ["images_per_minute", "images_per_day", "images_per_month"] as const;
  return { refusals, neverFits: byImages.filter((name) => images > most(name)), after };
}

/** Checks a request that is no task, such as an upload: it takes one of the minute's requests. */
export function checkRequestLimit(
  counters: UsageCounters,
  limits: Limits,
  nowMs: number,
  keepsReserve = false,
): Omit<LimitCheck, "neverFits"> {
  const limit = limits.requests_per_minute;
  if (limit === null) return { refusals: [], after: counters };
  const reserve = keepsReserve ? reserveOf(limit) : 0;
  const { admitted, bucket, retryMs } = takeFromBucket(counters.requests, limit, 1, nowMs, reserve);
  if (admitted) return { refusals: [], after: { ...counters, requests: bucket } };
  const refusal = { code: "rate_limited", limit: "requests_per_minute", retryAfterMs: retryMs } as const;
  return { refusals: [refusal], after: counters };
}

/** The state of every limit that is in force, as the RateLimit headers say it. */
export function policiesOf(counters: UsageCounters, limits: Limits, nowMs: number): PolicyState[] {
  const { day, month } = current(counters, nowMs);
  const rate = (name: PolicyName, bucket: Bucket, limit: number | null): PolicyState[] => {
    if (limit === null) return [];
    const { remaining, resetMs } = takeFromBucket(bucket, limit, 0, nowMs);
    return [
      { name, limit, windowSeconds: windowMs / 1000, remaining, resetSeconds: Math.ceil(resetMs / 1000) },
    ];
  };
  const quota = (name: PolicyName, used: number, limit: number | null, days: number, untilMs: number) => {
    if (limit === null) return [];
    const remaining = Math.max(0, limit - used);
    const windowSeconds = (days * dayMs) / 1000;
    return [{ name, limit, windowSeconds, remaining, resetSeconds: Math.ceil(untilMs / 1000) }];
  };
  const most = limits.concurrent_tasks;
  return [
    ...rate("requests", counters.requests, limits.requests_per_minute),
    ...rate("images", counters.images, limits.images_per_minute),
    ...(most === null
      ? []
      : [{ name: "tasks" as const, limit: most, remaining: Math.max(0, most - counters.open) }]),
    ...quota("daily", day.images, limits.images_per_day, 1, untilTomorrow(nowMs)),
    ...quota("monthly", month.images, limits.images_per_month, daysInMonth(nowMs), untilNextMonth(nowMs)),
  ];
}

/** How a task ended, as far as limits count it. */
export interface Ended {
  /** The UTC day that it was admitted on. */
  date: string;
  /** Images that were counted at admission and not made. */
  unmade: number;
  /** The upstream refused its content. */
  refused: boolean;
}

/** Takes an ended task out of the counters. Slots of rates stay taken. */
export function afterTask(counters: UsageCounters, ended: Ended, nowMs: number): UsageCounters {
  const { day, month } = current(counters, nowMs);
  const sameDay = day.date === ended.date;
  const sameMonth = month.month === monthOf(ended.date);
  return {
    ...counters,
    open: Math.max(0, counters.open - 1),
    day: {
      ...day,
      images: day.images - (sameDay ? Math.min(day.images, ended.unmade) : 0),
      refusals: day.refusals + (ended.refused ? 1 : 0),
    },
    month: { ...month, images: month.images - (sameMonth ? Math.min(month.images, ended.unmade) : 0) },
  };
}

/** What is left of each limit now, under the limit's own name; null where there is none. Files are counted apart. */
export function remainingOf(
  counters: UsageCounters,
  limits: Limits,
  nowMs: number,
): Record<Exclude<LimitName, FileLimitName>, number | null> {
  const { day, month } = current(counters, nowMs);
  const left = (limit: number | null, used: number) => (limit === null ? null : Math.max(0, limit - used));
  const inBucket = (limit: number | null, bucket: Bucket) =>
    limit === null ? null : takeFromBucket(bucket, limit, 0, nowMs).remaining;
  return {
    requests_per_minute: inBucket(limits.requests_per_minute, counters.requests),
    images_per_minute: inBucket(limits.images_per_minute, counters.images),
    concurrent_tasks: left(limits.concurrent_tasks, counters.open),
    images_per_day: left(limits.images_per_day, day.images),
    images_per_month: left(limits.images_per_month, month.images),
    refusals_per_day: left(limits.refusals_per_day, day.refusals),
  };
}

/** Of several scopes' policies of one name the one with the least left. */
export function tightest(policies: readonly PolicyState[]): PolicyState[] {
  const byName = Map.groupBy(policies, (policy) => policy.name);
  return [...byName.values()].flatMap(
    (group) => group.toSorted((a, b) => a.remaining - b.remaining)[0] ?? [],
  );
}

/** Of several refusals the one that takes longest to go away: coming back after any other would not help. */
export function longest(refusals: readonly LimitRefusal[]): LimitRefusal | undefined {
  return refusals.toSorted((a, b) => b.retryAfterMs - a.retryAfterMs)[0];
}

/** The limits of a key, which apply on top of its tenant's: none where it says nothing. */
export function keyLimits(own: Partial<Limits>): Limits {
  const none = Object.fromEntries(limitNames.map((name) => [name, null])) as Record<LimitName, null>;
  return { ...none, ...own };
}
