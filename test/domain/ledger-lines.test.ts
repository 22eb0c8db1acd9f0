/** A cursor of the ledger stands between two lines, also between a charge and its release, which are one row. */
import { expect, it } from "vitest";
import {
  formatLedgerCursor,
  ledgerCursorPattern,
  lineNumber,
  lineTypes,
  readLedgerCursor,
  rowsBefore,
} from "../../src/domain/ledger-lines.ts";

it.each(lineTypes)("is read as it was written: %s", (type) => {
  const line = { seq: 12, type };
  const cursor = formatLedgerCursor(lineNumber(line));
  expect(cursor).toMatch(ledgerCursorPattern);
  expect(readLedgerCursor(cursor)).toBe(lineNumber(line));
});

it("distinguishes the two lines of a row, in the order in which they are listed", () => {
  const numbers = [
    { seq: 13, type: "hold" },
    { seq: 12, type: "release" },
    { seq: 12, type: "charge" },
    { seq: 11, type: "topup" },
  ].map((line) => lineNumber(line as Parameters<typeof lineNumber>[0]));
  expect(numbers).toEqual(numbers.toSorted((a, b) => b - a));
  expect(new Set(numbers).size).toBe(4);
});

it("has the row that it stands in read again, and none after it", () => {
  expect(rowsBefore(lineNumber({ seq: 12, type: "charge" }))).toBe(13);
  expect(rowsBefore(lineNumber({ seq: 12, type: "release" }))).toBe(13);
});

it("is empty for the newest line", () => {
  expect("").toMatch(ledgerCursorPattern);
  expect(readLedgerCursor("")).toBeNull();
  expect(rowsBefore(null)).toBe(Number.MAX_SAFE_INTEGER);
});

it.each(["-1", "1.5", "x", "1234567890123456"])("is no cursor: %s", (text) => {
  expect(text).not.toMatch(ledgerCursorPattern);
});
