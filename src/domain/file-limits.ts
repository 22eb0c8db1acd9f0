/**
 * Limits of uploads: files by UTC day, and bytes of all that are alive. Pure, like the limits of tasks: the object that keeps
 * the counters writes them only when everything admits.
 */
import { dateOf, type LimitName, type LimitRefusal, type Limits, untilTomorrow } from "./admission.ts";

/** What has been used, of a tenant or of one key. */
export interface FileCounters {
  /** The UTC day that `files` are counted on. */
  date: string;
  files: number;
  /** Of files that are alive and of uploads under way. */
  bytes: number;
}

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
 * @param freeAfterMs In how long so many bytes will have come to the end of their lives.
 */
export function checkFileLimits(
  counters: FileCounters,
  limits: Pick<Limits, "files_per_day" | "file_bytes">,
  bytes: number,
  nowMs: number,
  freeAfterMs: (bytes: number) => number,
): FileLimitCheck {
  const day = current(counters, nowMs);
  const after = { ...day, files: day.files + 1, bytes: day.bytes + bytes };
  const refusals: LimitRefusal[] = [];
  const refuse = (limit: LimitName, retryAfterMs: number) =>
    refusals.push({ code: "quota_exceeded", limit, retryAfterMs });
  if (limits.files_per_day !== null && after.files > limits.files_per_day) {
    refuse("files_per_day", untilTomorrow(nowMs));
  }
  if (limits.file_bytes !== null && after.bytes > limits.file_bytes) {
    refuse("file_bytes", freeAfterMs(after.bytes - limits.file_bytes));
  }
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
