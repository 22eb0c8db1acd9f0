/** Limits that a data centre counts by itself, before anything is read from storage. */
import { addressGroup } from "../domain/address.ts";

/**
 * Submissions from pages, failed authentication and addresses without a picture or file are limited by network address,
 * reads by key. Those of one binding have counters of their own.
 */
export type EdgeLimit = "submissions" | "failures" | "misses" | "reads";

/** Whether one more is too many; never for an unknown address. Lenient: each data centre counts for itself. */
export async function tooMany(env: Env, limit: EdgeLimit, by: string | null): Promise<boolean> {
  if (by === null) return false;
  const limiters = {
    submissions: env.SUBMISSIONS_BY_IP,
    failures: env.FAILURES_BY_IP,
    misses: env.FAILURES_BY_IP,
    reads: env.READS_BY_KEY,
  };
  const { success } = await limiters[limit].limit({
    key: limit === "reads" ? by : `${limit} ${addressGroup(by)}`,
  });
  return !success;
}
