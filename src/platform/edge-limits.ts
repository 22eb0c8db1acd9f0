/**
 * Limits that a data centre counts by itself, before anything is read from storage. Lenient: each data centre counts for
 * itself. What must be exact is in the tenant's object.
 */
import { addressGroup } from "../domain/address.ts";
import { type CallCounts, isolateLimits } from "./call-counts.ts";

/** The binding that counts each; `wrangler.toml` has its figure. Those of one binding have counters of their own. */
export const edgeLimits = {
  submissions: "SUBMISSIONS_BY_IP",
  uploads: "SUBMISSIONS_BY_IP",
  tokens: "SUBMISSIONS_BY_IP",
  failures: "FAILURES_BY_IP",
  misses: "FAILURES_BY_IP",
  reads: "READS_BY_KEY",
  lists: "LISTS_BY_KEY",
  writes: "WRITES_BY_KEY",
  mints: "MINTS_BY_KEY",
  tenantLists: "LISTS_BY_TENANT",
  tenantChanges: "CHANGES_BY_TENANT",
  visits: "CALLS_BY_VISITOR",
  visitorLists: "LISTS_BY_KEY",
  visitorSubmits: "LISTS_BY_KEY",
  editReplays: "LISTS_BY_KEY",
  manage: "CHANGES_BY_KEY",
  revokes: "CHANGES_BY_KEY",
  links: "LINKS_BY_TASK",
  linkAddresses: "LINKS_BY_IP",
} as const;

type IsolateLimit = keyof ReturnType<typeof isolateLimits>;
export type EdgeLimit = keyof typeof edgeLimits | IsolateLimit;

const isOfBinding = (limit: EdgeLimit): limit is keyof typeof edgeLimits => limit in edgeLimits;

/** Whether one more is too many; never for an unknown address. */
export async function tooMany(
  {
    env,
    callCounts,
    perTenant,
    nowMs,
  }: { env: Env; callCounts: CallCounts; perTenant: number; nowMs: number },
  limit: EdgeLimit,
  by: string | null,
): Promise<boolean> {
  if (by === null) return false;
  if (!isOfBinding(limit)) return !callCounts.take(`${limit} ${by}`, isolateLimits(perTenant)[limit], nowMs);
  const binding = edgeLimits[limit];
  const who = binding.endsWith("_IP") ? addressGroup(by) : by;
  const { success } = await env[binding].limit({ key: `${limit} ${who}` });
  return !success;
}
