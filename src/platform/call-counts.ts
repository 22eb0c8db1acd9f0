/** Calls of this minute, counted by the isolate: another isolate counts for itself. It costs a call nothing. */
export interface CallCounts {
  /** Counts one more. @returns false when it is more than `most` this minute. */
  take(name: string, most: number, nowMs: number): boolean;
}

/** What every call or submission meets is counted by the isolate, a minute. */
export const isolateLimits = { submits: 6_000, tenantSubmits: 12_000, tenantCalls: 12_000 } as const;

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
