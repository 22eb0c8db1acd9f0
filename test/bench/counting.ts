/**
 * What one operation of the gateway costs, in the units that are paid for and in hops. Pure: the counting Worker
 * (workers/counted.ts) notes calls, this adds them up.
 *
 * A hop is a call that the caller of the operation waits for: calls side by side count once, one that starts after
 * another has ended counts after it, and what a tenant's object calls inside adds to the call of the object.
 */

export type CallKind = "d1" | "object" | "r2Write" | "r2Read" | "r2Other" | "queue" | "upstream";

/** One call to the outside, by a counter that every start and end moves on by one. */
export interface Call {
  kind: CallKind;
  name: string;
  start: number;
  /** Infinity while it is under way. */
  end: number;
  /** Made by a tenant's object. */
  insideObject: boolean;
}

/** Everything that one operation did. */
export interface Counts {
  /** Sequential, until the reply. */
  hops: number;
  requests: number;
  d1Calls: number;
  d1RowsRead: number;
  d1RowsWritten: number;
  objectCalls: number;
  objectRowsRead: number;
  /** An alarm that is set is a row. */
  objectRowsWritten: number;
  /** Class A. */
  r2Writes: number;
  /** Class B. */
  r2Reads: number;
  queueMessages: number;
  upstreamCalls: number;
  logLines: number;
  /** Of the calls of all kinds, those that the reply did not wait for. */
  callsAfterReply: number;
  /** Of the calls to D1, a tenant's object's included, those that were over by the reply. */
  d1CallsBeforeReply: number;
}

export const nothing: Counts = {
  hops: 0,
  requests: 0,
  d1Calls: 0,
  d1RowsRead: 0,
  d1RowsWritten: 0,
  objectCalls: 0,
  objectRowsRead: 0,
  objectRowsWritten: 0,
  r2Writes: 0,
  r2Reads: 0,
  queueMessages: 0,
  upstreamCalls: 0,
  logLines: 0,
  callsAfterReply: 0,
  d1CallsBeforeReply: 0,
};

const names = Object.keys(nothing) as (keyof Counts)[];

/** Adds operations up, each so many times; `hops` is the longest of them. */
export function sumOf(...parts: (Counts | [Counts, number])[]): Counts {
  const total = { ...nothing };
  for (const part of parts) {
    const [counts, times] = Array.isArray(part) ? part : [part, 1];
    for (const name of names) {
      if (name === "hops") total.hops = Math.max(total.hops, counts.hops);
      else total[name] += counts[name] * times;
    }
  }
  return total;
}

/** What `after` did more than `before`. */
export function beyond(after: Counts, before: Counts): Counts {
  const entries = names.map((name) => [name, name === "hops" ? after.hops : after[name] - before[name]]);
  return Object.fromEntries(entries) as unknown as Counts;
}

/**
 * The longest chain of calls that were over by the reply, of which each began when the one before had ended.
 * @param repliedAt Infinity: there was no reply, and all count.
 */
export function hopsOf(calls: readonly Call[], repliedAt: number): number {
  const waited = calls.filter(({ end }) => end <= repliedAt).toSorted((a, b) => a.start - b.start);
  const depth = new Map<Call, number>();
  for (const call of waited) {
    const before = [...depth].filter(
      ([earlier]) =>
        earlier.end < call.start ||
        (earlier.kind === "object" && call.insideObject && earlier.end > call.start),
    );
    depth.set(call, 1 + Math.max(0, ...before.map(([, hops]) => hops)));
  }
  return Math.max(0, ...depth.values());
}
