/** Load, and what came of it. It is made in a thread of its own, so that reading the Workers' log does not hold it up. */
import autocannon, { type Options } from "autocannon";

export interface Load {
  url: string;
  method?: "GET" | "POST";
  headers?: Record<string, string>;
  body?: string;
  /** Sent one after the other by each connection, instead of one and the same. */
  requests?: { path: string; headers?: Record<string, string> }[];
  connections: number;
  /** So many requests in all, however long they take. */
  amount?: number;
  /** The status that every reply must have: a fast refusal is no throughput. */
  status: number;
}

export interface Measured {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** Keeps every connection busy for so many seconds. @throws when anything but the wanted status comes back. */
export async function run(load: Load, seconds: number): Promise<Measured> {
  const { url, method = "GET", headers, body, requests, connections, amount, status } = load;
  const length = amount === undefined ? { duration: seconds } : { amount };
  const options = { url, method, headers, body, requests, connections, ...length, workers: 1 };
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const result = await autocannon(given as unknown as Options);
  const replies = Object.entries(result.statusCodeStats ?? {});
  const other = replies.filter(([code]) => Number(code) !== status);
  if (other.length > 0 || result.errors > 0 || replies.length === 0) {
    throw new Error(
      `${url}: wanted ${status} only, got ${JSON.stringify(Object.fromEntries(replies))}, ${result.errors} errors`,
    );
  }
  // Of what is over within a second the sampled average says nothing.
  const perSecond = amount === undefined ? result.requests.average : amount / result.duration;
  return { perSecond, p50Ms: result.latency.p50, p99Ms: result.latency.p99 };
}

/** Keeps every connection busy for so many seconds, whatever the replies are. */
export async function countReplies(
  { url, method = "GET", headers, body, connections, status }: Load,
  seconds: number,
): Promise<{ accepted: number; errors: number }> {
  const options = { url, method, headers, body, connections, duration: seconds, workers: 1 };
  const result = await autocannon(options as unknown as Options);
  const all = Object.entries(result.statusCodeStats ?? {}).map(([code, { count = 0 }]) => ({ code, count }));
  const sum = (some: typeof all) => some.reduce((total, { count }) => total + count, 0);
  const accepted = sum(all.filter(({ code }) => Number(code) === status));
  return { accepted, errors: sum(all) - accepted + result.errors };
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle) - 1] ?? 0)) / 2;
}
