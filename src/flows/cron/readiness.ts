/** Whether everything that a request needs answers. */

import { oldestOverdueMs } from "../../d1/tasks/due-tasks.ts";
import type { Invocation } from "../../platform/invocation.ts";

export interface Readiness {
  ok: boolean;
  checks: Record<"database" | "storage" | "limiter", "ok" | "failed">;
  /** Age of the open task that is longest past its deadline; 0 when none is. */
  oldestOverdueSeconds: number;
  atMs: number;
}

/** No tenant can be called this, so asking its object disturbs nobody. */
const probe = "_ready";
const timeoutMs = 5_000;

/** Asks the database, the bucket and a tenant's object, each for at most five seconds. */
export async function checkReadiness(invocation: Invocation): Promise<Readiness> {
  const atMs = invocation.now();
  let overdueMs = 0;
  const [database, storage, limiter] = await Promise.all([
    answers(async () => {
      overdueMs = await oldestOverdueMs(invocation.db, atMs);
    }),
    answers(() => invocation.bucket.head(probe)),
    answers(() => invocation.tenant(probe).ping()),
  ]);
  return {
    ok: database === "ok" && storage === "ok" && limiter === "ok",
    checks: { database, storage, limiter },
    oldestOverdueSeconds: Math.floor(overdueMs / 1000),
    atMs,
  };
}

async function answers(call: () => Promise<unknown>): Promise<"ok" | "failed"> {
  const late = new Promise<never>((_, reject) => {
    AbortSignal.timeout(timeoutMs).addEventListener("abort", () => reject(new Error("time-out")));
  });
  return Promise.race([call(), late]).then(
    () => "ok" as const,
    () => "failed" as const,
  );
}
