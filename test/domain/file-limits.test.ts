/** The arithmetic of uploads: what refuses, until when, and what comes back. */
import { describe, expect, it } from "vitest";
import { dateOf } from "../../src/domain/admission.ts";
import {
  checkFileLimits,
  emptyFileCounters,
  remainingFiles,
  withoutFile,
} from "../../src/domain/file-limits.ts";
import { t0 } from "../helpers/domain-values.ts";

const dayMs = 86_400_000;
const untilMidnight = dayMs - (t0 % dayMs);
const none = { files_per_day: null, file_bytes: null };
const soon = (bytes: number) => bytes * 10;
const used = { date: dateOf(t0), files: 3, bytes: 700 };

describe("an upload", () => {
  it.each([
    [{ files_per_day: 4 }, []],
    [{ files_per_day: 3 }, [["files_per_day", untilMidnight]]],
    [{ file_bytes: 800 }, []],
    [{ file_bytes: 799 }, [["file_bytes", 10]]],
    [
      { files_per_day: 1, file_bytes: 100 },
      [
        ["files_per_day", untilMidnight],
        ["file_bytes", 7_000],
      ],
    ],
  ] as const)("of 100 bytes against %j", (own, expected) => {
    const { refusals } = checkFileLimits(used, { ...none, ...own }, 100, t0, false, soon);
    expect(refusals.map(({ limit, retryAfterMs }) => [limit, retryAfterMs])).toEqual(expected);
    expect(new Set(refusals.map(({ code }) => code)).size).toBeLessThanOrEqual(1);
  });

  it("is one of a hundred thousand on a day at the most, whatever its limits are", () => {
    const day = { date: dateOf(t0), bytes: 0 };
    const limits = [none, { ...none, files_per_day: 1_000_000_000 }];
    const refused = [99_999, 100_000].map((files) =>
      limits.map((own) => checkFileLimits({ ...day, files }, own, 1, t0, false, soon).refusals.length),
    );
    expect(refused).toEqual([
      [0, 0],
      [1, 1],
    ]);
  });

  it("counts on the day that it comes, and into the later one when the clock is behind", () => {
    expect(checkFileLimits(used, none, 1, t0 + dayMs, false, soon).after).toEqual({
      date: dateOf(t0 + dayMs),
      files: 1,
      bytes: 701,
    });
    expect(checkFileLimits(used, none, 1, t0 - dayMs, false, soon).after).toEqual({
      ...used,
      files: 4,
      bytes: 701,
    });
  });

  it("that came to nothing gives back its day's file, on that day alone; one that ended its bytes only", () => {
    const gone = { bytes: 100, date: used.date };
    expect(withoutFile(used, { ...gone, uploaded: false })).toEqual({ ...used, files: 2, bytes: 600 });
    expect(withoutFile(used, { ...gone, uploaded: true })).toEqual({ ...used, bytes: 600 });
    const earlier = { ...gone, date: dateOf(t0 - dayMs), uploaded: false };
    expect(withoutFile(used, earlier)).toEqual({ ...used, bytes: 600 });
  });
});

it("what is left is never less than nothing, and null where there is no limit", () => {
  expect(remainingFiles(used, { files_per_day: 2, file_bytes: 701 }, t0)).toEqual({
    files_per_day: 0,
    file_bytes: 1,
  });
  expect(remainingFiles(used, none, t0)).toEqual(none);
  expect(remainingFiles(emptyFileCounters, { files_per_day: 2, file_bytes: 3 }, t0)).toEqual({
    files_per_day: 2,
    file_bytes: 3,
  });
});
