/**
 * The most that one caller can cost in an hour at the default limits, computed from them: what each call costs at the most
 * (held by `test/flows/tenants/worst-calls.test.ts`), and how many of each a minute lets through in one data centre.
 */
import { defaultLimits } from "../../src/domain/admission.ts";
import { keyCounts } from "../../src/domain/keys.ts";
import { isolateLimits } from "../../src/platform/call-counts.ts";
import { assumptions, prices } from "./prices.ts";

interface CallCost {
  rowsRead: number;
  rowsWritten: number;
  /** Of D1 and of the object. */
  objectCalls: number;
}

/** Of one call of each kind, at the most; a list whose filter nothing fits, a statement of an hour. */
export const callCosts = {
  /** A key that was revoked; a forged one costs none. */
  failures: { rowsRead: 5, rowsWritten: 0, objectCalls: 0 },
  reads: { rowsRead: 5, rowsWritten: 0, objectCalls: 0 },
  /** A replay, or one that is refused; what makes a task is counted as a task. */
  submits: { rowsRead: 10, rowsWritten: 0, objectCalls: 2 },
  lists: { rowsRead: 2_100, rowsWritten: 0, objectCalls: 1 },
  manage: { rowsRead: 1_400, rowsWritten: 20, objectCalls: 3 },
  /** Of a key that is not there, and of any change by a key that may make none. */
  revokes: { rowsRead: 5, rowsWritten: 0, objectCalls: 0 },
  mints: { rowsRead: 2, rowsWritten: 0, objectCalls: 0 },
} satisfies Record<string, CallCost>;

type Calls = Partial<Record<keyof typeof callCosts, number>>;

export interface WorstHour {
  who: string;
  requests: number;
  tasks: number;
  rowsRead: number;
  rowsWritten: number;
  dollars: number;
}

/** Rows and money of one task, its cron and its picture: `docs/performance.md`. */
const ofTask = { rowsRead: 60, rowsWritten: 7, dollars: 16.71e-6 };

const ofIsolate = isolateLimits(12_000);

/** @param limits Of `wrangler.toml`, by binding, a minute. */
export function worstHours(limits: Record<string, number>): WorstHour[] {
  const of = (name: string) => limits[name] ?? 0;
  const imagesAMinute = defaultLimits.images_per_minute ?? 0;
  return [
    hourOf("a stranger, from one address", { failures: of("FAILURES_BY_IP") }, 0),
    hourOf(
      "a visitor with one token, from one address",
      {
        reads: of("CALLS_BY_VISITOR"),
        ...{ submits: of("LISTS_BY_KEY"), lists: of("LISTS_BY_KEY"), mints: of("SUBMISSIONS_BY_IP") },
      },
      Math.min(of("SUBMISSIONS_BY_IP"), imagesAMinute / 10),
    ),
    hourOf(
      "a tenant, its keys and its pages together",
      {
        reads: 2 * ofIsolate.tenantCalls,
        submits: 2 * ofIsolate.tenantSubmits,
        lists: 2 * of("LISTS_BY_TENANT"),
        manage: of("CHANGES_BY_TENANT"),
        revokes: 2 * keyCounts.usual * of("CHANGES_BY_KEY"),
        mints: 0,
      },
      imagesAMinute,
    ),
  ];
}

function hourOf(who: string, calls: Calls, tasksAMinute: number): WorstHour {
  const hour = 60;
  const tasks = hour * tasksAMinute;
  const sum = (count: (cost: CallCost) => number) =>
    Object.entries(calls).reduce(
      (total, [kind, times]) => total + hour * times * count(callCosts[kind as keyof typeof callCosts]),
      0,
    );
  const requests = sum(() => 1);
  const rowsRead = sum((cost) => cost.rowsRead) + tasks * ofTask.rowsRead;
  const rowsWritten = sum((cost) => cost.rowsWritten) + tasks * ofTask.rowsWritten;
  const objectCalls = sum((cost) => cost.objectCalls);
  const { cpuMsPerRequest, objectMsPerCall, objectGb } = assumptions;
  const ofCalls =
    requests * (prices.request + cpuMsPerRequest * prices.cpuMs + prices.logLine) +
    sum((cost) => cost.rowsRead) * prices.d1RowRead +
    sum((cost) => cost.rowsWritten) * prices.d1RowWritten +
    objectCalls * (prices.objectRequest + (objectMsPerCall / 1_000) * objectGb * prices.objectGbSecond);
  return { who, requests, tasks, rowsRead, rowsWritten, dollars: ofCalls + tasks * ofTask.dollars };
}
