/** A task's whole life, and what comes beside it, stays within its budgets of hops, rows, calls and money. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { billOf } from "../bench/bill.ts";
import { type Budget, budgetsOf } from "../bench/budgets.ts";
import { type Life, measureLife, startCountedStage } from "../bench/life.ts";
import type { Stage } from "../bench/stage.ts";

const folder = mkdtempSync(join(tmpdir(), "budgets-"));
let stage: Stage;
let life: Life;
let budgets: Budget[];

beforeAll(async () => {
  stage = await startCountedStage(folder);
  life = await measureLife(stage);
  budgets = budgetsOf(life);
});

afterAll(async () => {
  await stage?.miniflare.dispose();
  rmSync(folder, { recursive: true, force: true });
});

describe("the counts", () => {
  it("are of what happened: none of the steps came to nothing", () => {
    expect(life.submit).toMatchObject({ requests: 1, upstreamCalls: 1, logLines: 1 });
    // Written beside the reply: that the upstream has the task, by way of the tenant's object.
    expect(life.submit.callsAfterReply).toBe(2);
    expect(life.readRunning.upstreamCalls).toBe(1);
    expect(life.started.d1RowsWritten).toBe(1);
    expect(life.finished).toMatchObject({ r2Writes: 1, objectCalls: 1 });
    expect(life.image).toMatchObject({ requests: 1, r2Reads: 1 });
    expect(life.limited.objectCalls).toBe(1);
    expect(life.busyRound.upstreamCalls).toBe(life.dueTasks);
    expect(life.alarm.objectRowsWritten).toBeGreaterThan(0);
    expect(life.roundsAMinute).toBeGreaterThan(20);
  });
});

describe("the budget", () => {
  it("holds, of every kind", () => {
    expect(budgets.filter(({ measured, most }) => !(measured <= most))).toEqual([]);
  });
});

describe("the bill of a million tasks", () => {
  it("is the sum of its lines, and grows with what is done", () => {
    const bill = billOf(life);
    expect(bill.lines.reduce((sum, { dollars }) => sum + dollars, 0)).toBeCloseTo(bill.dollars);
    const more = billOf({
      ...life,
      submit: { ...life.submit, d1RowsWritten: life.submit.d1RowsWritten + 1 },
    });
    expect(more.dollars - bill.dollars).toBeCloseTo(1);
    expect(bill.idleMonthDollars).toBeLessThan(1);
    expect(bill.runningReadsDollars).toBeLessThan(4);
  });

  it("has a price for all that one request may do", () => {
    const { readFinished } = life;
    const base = billOf(life).finishedReadsDollars;
    const dollarsOf = (more: Partial<Life["readFinished"]>) =>
      billOf({ ...life, readFinished: { ...readFinished, ...more } }).finishedReadsDollars - base;
    expect(dollarsOf({ queueMessages: 1 })).toBeCloseTo(1.2);
    expect(dollarsOf({ r2Reads: 1 })).toBeCloseTo(0.36);
    expect(dollarsOf({ r2Writes: 1 })).toBeCloseTo(4.5);
    expect(dollarsOf({ objectCalls: 1 })).toBeGreaterThan(0.15);
    expect(dollarsOf({ objectRowsWritten: 1 })).toBeCloseTo(1);
  });
});
