/** UTC days, as 2026-01-31, which is how the API counts. */

const dayMs = 86_400_000;
const short = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** "31 Jan", for an axis. */
export const shortDay = (day: string): string => short.format(Date.parse(day));

/** Every day from the first to the last one. The API leaves out days without figures. */
export function everyDay(first: string, last: string): string[] {
  const days: string[] = [];
  for (let ms = Date.parse(first); ms <= Date.parse(last); ms += dayMs) days.push(dayOf(ms));
  return days;
}

/** The last `count` days, today included. */
export const lastDays = (count: number, nowMs: number): string[] =>
  everyDay(dayOf(nowMs - (count - 1) * dayMs), dayOf(nowMs));
