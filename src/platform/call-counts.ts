/** Calls of this minute, counted by the isolate: another isolate counts for itself. It costs a call nothing. */
export interface CallCounts {
  /** Counts one more. @returns false when it is more than `most` this minute. */
  take(name: string, most: number, nowMs: number): boolean;
}

/** Limits that every call or submission meets, a minute. @param perTenant `TENANT_CALLS_PER_MINUTE`. */
export const isolateLimits = (perTenant: number) => ({
  submits: Math.floor(perTenant / 2),
  tenantSubmits: perTenant,
  tenantCalls: perTenant,
});

/** Of so many names; with more of them all begin anew. */
const mostNames = 10_000;

export function createCallCounts(): CallCounts {
  let minute = 0;
  const counts = new Map<string, number>();
  return {
    take(name, most, nowMs) {
      const now = Math.floor(nowMs / 60_000);
      if (now !== minute || counts.size > mostNames) counts.clear();
      minute = now;
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      return count <= most;
    },
  };
}
