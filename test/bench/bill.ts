/**
 * What a million tasks cost at Cloudflare's list prices, storage of bytes apart and nothing that a plan includes taken off.
 *
 * The task that is billed asks for one image, takes half a minute and no idempotency key, and has no webhook. Its
 * caller submits it, waits for as long as the reply estimates, reads it then, and its picture is fetched once, from R2. What
 * each further read costs is a figure of its own, and so is one of a task that still runs, which has it polled.
 * A million of them come evenly in a month, 23 a minute, of one tenant; of what cron and the object's alarm do by the minute
 * each task bears its share. What cron costs with nothing to do is a figure of its own too.
 *
 * Counts are measured ({@link measureLife}). Three things cannot be counted here, and are assumed, on the high side: the
 * CPU time of a request and of a round, and how long an object is awake for a call.
 */
import { pollSchedule } from "../../src/domain/poll.ts";
import { type Counts, sumOf } from "./counting.ts";
import type { Life } from "./life.ts";
import { assumptions, prices } from "./prices.ts";

/** Written, read and deleted, 64 KB at a time. */
const operationsPerMessage = 3;
/** Minutes between two alarms of an object. */
const alarmMinutes = 1;
/** At the first pace, for half a minute. */
const pollsPerTask = Math.floor(30_000 / pollSchedule[0].everyMs);

export interface BillLine {
  what: string;
  /** Of a million tasks. */
  count: number;
  dollars: number;
}

export interface Bill {
  lines: BillLine[];
  dollars: number;
  /** A million reads of tasks that still run, each at a time at which the reader has the task polled. */
  runningReadsDollars: number;
  /** A million further reads of tasks that have ended. */
  finishedReadsDollars: number;
  /** What cron costs in a month without requests, dollars. */
  idleMonthDollars: number;
}

const tasks = 1_000_000;
const minutesAMonth = 30 * 24 * 60;
export const tasksAMinute = tasks / minutesAMonth;

/** The bill of a million tasks. @param tasksPerMinute At once with this many others a minute. */
export function billOf(life: Life, tasksPerMinute: number = tasksAMinute): Bill {
  const { submit, started, finished, readFinished, image } = life;
  const own = sumOf(submit, started, finished, sampled(readFinished), sampled(image));
  const minute = 1 / tasksPerMinute;
  // The tick is taken once, and not given back before its minute is over.
  const cron: Counts = {
    ...life.idleMinute,
    requests: 1,
    d1RowsWritten: life.unchangedTick.d1RowsWritten / 2,
    logLines: life.idleMinute.logLines + life.roundsAMinute * life.busyRound.logLines,
  };
  const poll = life.busyRound.d1RowsRead / life.dueTasks;
  const total = sumOf(own, [cron, minute], [life.alarm, minute / alarmMinutes]);
  const counts = { ...total, d1RowsRead: total.d1RowsRead + poll * pollsPerTask };
  const { cpuMsPerRequest, cpuMsPerRound, cpuMsPerPoll, cpuMsPerPicture } = assumptions;
  const cpuMs =
    own.requests * cpuMsPerRequest +
    life.roundsAMinute * minute * cpuMsPerRound +
    pollsPerTask * cpuMsPerPoll +
    cpuMsPerPicture;
  const lines = linesOf({ ...counts, objectCalls: counts.objectCalls + minute / alarmMinutes }, cpuMs);
  return {
    lines,
    dollars: dollarsOf(lines),
    runningReadsDollars: readsOf(sampled(life.readRunning)),
    finishedReadsDollars: readsOf(sampled(readFinished)),
    idleMonthDollars: idleOf(life),
  };
}

/** Everything that has a price, what is never used too. */
function linesOf(counts: Counts, cpuMs: number): BillLine[] {
  const { objectCalls } = counts;
  const objectGbSeconds = (objectCalls * assumptions.objectMsPerCall * assumptions.objectGb) / 1000;
  return [
    lineOf("requests", counts.requests, prices.request),
    lineOf("CPU, ms", cpuMs, prices.cpuMs),
    lineOf("object requests", objectCalls, prices.objectRequest),
    lineOf("object duration, GB-s", objectGbSeconds, prices.objectGbSecond),
    lineOf("object rows written", counts.objectRowsWritten, prices.objectRowWritten),
    lineOf("object rows read", counts.objectRowsRead, prices.objectRowRead),
    lineOf("D1 rows written", counts.d1RowsWritten, prices.d1RowWritten),
    lineOf("D1 rows read", counts.d1RowsRead, prices.d1RowRead),
    lineOf("R2 writes", counts.r2Writes, prices.r2Write),
    lineOf("R2 reads", counts.r2Reads, prices.r2Read),
    lineOf("log lines", counts.logLines, prices.logLine),
    lineOf("Queue operations", counts.queueMessages * operationsPerMessage, prices.queueOperation),
  ];
}

function lineOf(what: string, countOfOne: number, price: number): BillLine {
  return { what, count: countOfOne * tasks, dollars: countOfOne * tasks * price };
}

/** What is counted with every read logged, as it is billed. */
const sampled = (read: Counts): Counts => ({
  ...read,
  logLines: read.logLines / assumptions.readsPerLogLine,
});

const dollarsOf = (lines: BillLine[]) => lines.reduce((sum, line) => sum + line.dollars, 0);

/** A million of one request. */
function readsOf(read: Counts): number {
  return dollarsOf(linesOf(read, read.requests * assumptions.cpuMsPerRequest));
}

function idleOf({ idleMinute, roundsAMinute }: Life): number {
  const minute =
    prices.request +
    roundsAMinute * assumptions.cpuMsPerRound * prices.cpuMs +
    idleMinute.d1RowsRead * prices.d1RowRead +
    idleMinute.d1RowsWritten * prices.d1RowWritten +
    idleMinute.logLines * prices.logLine;
  return minute * minutesAMonth;
}
