/**
 * Limits of uploads: files by UTC day, and bytes of all that are alive. Pure, like the limits of tasks: the object that keeps
 * the counters writes them only when everything admits.
 */

import { dateOf, type LimitName, type LimitRefusal, type Limits, untilTomorrow } from "./admission.ts";
import { usableOf } from "./limit-parts.ts";

/** What has been used, of a tenant or of one key. */
export interface FileCounters {
  /** The UTC day that `files` are counted on. */
  date: string;
  files: number;
  /** Of files that are alive and of uploads under way. */
  bytes: number;
}

/** Whatever its limits are, a tenant uploads so many on a day: a file lives for three days, so it has four times as many at most. */
export const mostFilesADay = 100_000;

export const emptyFileCounters: FileCounters = { date: "", files: 0, bytes: 0 };

/** A clock that is behind, across midnight, counts into the later day. */
function current(counters: FileCounters, nowMs: number): FileCounters {
  const date = dateOf(nowMs);
  return counters.date >= date ? counters : { ...counters, date, files: 0 };
}

export interface FileLimitCheck {
  refusals: LimitRefusal[];
  after: FileCounters;
}

/**
 * Checks one upload against its limits.
 * @param keepsReserve Whether the last part of each is for others.
 * @param freeAfterMs In how long so many bytes will have come to the end of their lives.
 */
export function checkFileLimits(
  counters: FileCounters,
  limits: Pick<Limits, "files_per_day" | "file_bytes">,
  bytes: number,
  nowMs: number,
  keepsReserve: boolean,
  freeAfterMs: (bytes: number) => number,
): FileLimitCheck {
  const day = current(counters, nowMs);
  const after = { ...day, files: day.files + 1, bytes: day.bytes + bytes };
  const refusals: LimitRefusal[] = [];
  const refuse = (limit: LimitName, retryAfterMs: number) =>
    refusals.push({ code: "quota_exceeded", limit, retryAfterMs });
  if (after.files > Math.min(mostFilesADay, usableOf(limits.files_per_day, keepsReserve))) {
    refuse("files_per_day", untilTomorrow(nowMs));
  }
  const mostBytes = usableOf(limits.file_bytes, keepsReserve);
  if (after.bytes > mostBytes) refuse("file_bytes", freeAfterMs(after.bytes - mostBytes));
  return { refusals, after };
}

/** Takes a file, or an upload that came to nothing, out of the counters. */
export function withoutFile(
  counters: FileCounters,
  gone: { bytes: number; date: string; uploaded: boolean },
): FileCounters {
  // An upload that came to nothing was none of the day's files.
  const back = !gone.uploaded && counters.date === gone.date ? 1 : 0;
  return {
    ...counters,
    files: Math.max(0, counters.files - back),
    bytes: Math.max(0, counters.bytes - gone.bytes),
  };
}

/** What is left of the two limits; null where there is none. */
export function remainingFiles(
  counters: FileCounters,
  limits: Pick<Limits, "files_per_day" | "file_bytes">,
  nowMs: number,
): { files_per_day: number | null; file_bytes: number | null } {
  const left = (limit: number | null, used: number) => (limit === null ? null : Math.max(0, limit - used));
  const { files, bytes } = current(counters, nowMs);
  return { files_per_day: left(limits.files_per_day, files), file_bytes: left(limits.file_bytes, bytes) };
}
