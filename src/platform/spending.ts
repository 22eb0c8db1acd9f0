/** What a request or a tick has used so far, for its log line and `Server-Timing`. */

export type TimedStep = "auth" | "admit" | "db" | "upstream";

export interface Spent {
  rowsRead: number;
  rowsWritten: number;
  /** Milliseconds by step. */
  ms: Partial<Record<TimedStep, number>>;
}

/** Clock and account of an invocation. */
export interface Spender {
  /** Unix milliseconds. */
  now(): number;
  spent: Spent;
}

/** Measures one step of a request; steps of one name add up. */
export async function timed<T>({ now, spent }: Spender, step: TimedStep, work: () => Promise<T>): Promise<T> {
  const startMs = now();
  try {
    return await work();
  } finally {
    spent.ms[step] = (spent.ms[step] ?? 0) + now() - startMs;
  }
}
