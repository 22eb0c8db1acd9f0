/** Limits that a data centre counts by itself, before anything is read from storage. */
import { addressGroup } from "../domain/address.ts";

/** Submissions from pages and failed authentication are limited by network address, reads by key. */
export type EdgeLimit = "submissions" | "failures" | "reads";

/** Whether one more is too many; never for an unknown address. Lenient: each data centre counts for itself. */
export async function tooMany(env: Env, limit: EdgeLimit, by: string | null): Promise<boolean> {
  if (by === null) return false;
  const limiters = {
    submissions: env.SUBMISSIONS_BY_IP,
    failures: env.FAILURES_BY_IP,
    reads: env.READS_BY_KEY,
  };
  const { success } = await limiters[limit].limit({ key: limit === "reads" ? by : addressGroup(by) });
  return !success;
}
