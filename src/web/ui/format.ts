/** Figures and times in words for readers. */

const numbers = new Intl.NumberFormat("en");
const dateTime = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

export const showNumber = (value: number): string => numbers.format(value);

/** "1 image", "3 images". */
export const count = (value: number, noun: string): string =>
  `${showNumber(value)} ${noun}${value === 1 ? "" : "s"}`;

/** @param seconds Unix seconds. */
export const showTime = (seconds: number): string => dateTime.format(seconds * 1000);

/** "14:03:22", for a moment of today. */
export const showClock = (ms: number): string => clock.format(ms);

/** "3 minutes ago". @param seconds Unix seconds. */
export function showAgo(seconds: number, nowMs: number): string {
  const ago = seconds - nowMs / 1000;
  for (const [unit, size] of [
    ["day", 86_400],
    ["hour", 3_600],
    ["minute", 60],
  ] as const) {
    if (Math.abs(ago) >= size) return relative.format(Math.trunc(ago / size), unit);
  }
  return relative.format(Math.trunc(ago), "second");
}

/** "1 h 2 min", "41 s": a duration. */
export function showSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 120) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 120) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function showBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${Math.round(bytes / 1_000)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** "1 GiB", "2.5 MiB": limits, which are round numbers in powers of two. */
export function showBinary(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${Math.round((bytes / 1024 ** step) * 100) / 100} ${units[step]}`;
}
