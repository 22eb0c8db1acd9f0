/** The period of a listing, as its query names it: `from` and `to`. */
import * as z from "zod";
import { documented } from "../domain/documented.ts";
import type { Invocation } from "../platform/invocation.ts";
import { invalidRequest } from "./validation.ts";

const dayMs = 86_400_000;
const datePattern = /^\d{4}-\d\d-\d\d$/;

/** Unix seconds, or a whole UTC day. */
const moment = z
  .string()
  .refine(
    (text) => (datePattern.test(text) ? isDay(text) : /^\d{1,10}$/.test(text)),
    "must be unix seconds or a date such as 2026-01-31",
  )
  .meta(documented(() => ({ pattern: String.raw`^(\d{4}-\d\d-\d\d|\d{1,10})$` })));

/** `Date.parse` takes a day that its month lacks for one of the next month. */
function isDay(text: string): boolean {
  const ms = Date.parse(text);
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text);
}

export const periodQuery = {
  from: moment
    .optional()
    .meta(documented(() => ({ description: "Unix seconds, or a UTC day. Default: 30 days ago." }))),
  to: moment
    .optional()
    .meta(
      documented(() => ({ description: "Unix seconds, exclusive, or a UTC day, inclusive. Default: now." })),
    ),
};

/** The two fields, as a route has validated them. */
interface PeriodQuery {
  from?: string | undefined;
  to?: string | undefined;
}

/** Half open: `fromMs` belongs to it, `toMs` does not. */
export interface Period {
  fromMs: number;
  toMs: number;
}

/**
 * The period that a query asks for: from `fromMs` on, and before `toMs`.
 * @param defaultDays The length of the period without `from`.
 * @throws ApiError `invalid_request` for a period that ends before it begins.
 */
export function periodOf(
  invocation: Pick<Invocation, "now">,
  { from, to }: PeriodQuery,
  defaultDays = 30,
): Period {
  const toMs = to === undefined ? invocation.now() + 1 : msOf(to, dayMs);
  const fromMs = from === undefined ? Math.max(0, toMs - defaultDays * dayMs) : msOf(from, 0);
  // A day is meant whole: none of it is left for what begins at its end.
  const lastMs = datePattern.test(to ?? "") ? toMs - 1 : toMs;
  if (fromMs > lastMs) throw invalidRequest([{ path: ["from"], message: "must not be after to" }]);
  return { fromMs, toMs };
}

/** What a query says of its period, for a file's name; empty where it says nothing. */
export const periodName = ({ from, to }: PeriodQuery): string =>
  `${from === undefined ? "" : `-from-${from}`}${to === undefined ? "" : `-to-${to}`}`;

function msOf(text: string, wholeDayMs: number): number {
  return datePattern.test(text) ? Date.parse(text) + wholeDayMs : Number(text) * 1000;
}
