/** Whether all that a request needs answers. */

import { oldestErasureMs } from "../../d1/erasure/erasure-turns.ts";
import { oldestOverdueMs } from "../../d1/tasks/due-tasks.ts";
import { withTimeLimit } from "../../domain/time-limit.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { findMissingMigrations } from "./check-migrations.ts";

export interface Readiness {
  ok: boolean;
  checks: Record<"database" | "storage" | "limiter", "ok" | "failed">;
  /** Age of the open task that is longest past its deadline; 0 when none is. */
  oldestOverdueSeconds: number;
  /** Age of what has been to erase for longest; 0 when nothing is. The operator's matter, so no reason not to be ready. */
  oldestErasureSeconds: number;
  /** What the database lacks; then what it is asked for fails as well. */
  missingMigrations: string[];
  atMs: number;
}

/** No tenant can have this id, so asking its object delays no tenant's requests. */
const probe = "_ready";
const limitMs = 5_000;

/** Asks the database, the bucket and a tenant's object, each for at most five seconds. */
export async function checkReadiness(invocation: Invocation): Promise<Readiness> {
  const atMs = invocation.now();
  let [overdueMs, erasureMs] = [0, 0];
  const [missingMigrations, database, storage, limiter] = await Promise.all([
    findMissingMigrations(invocation),
    answers(async () => {
      [overdueMs, erasureMs] = await Promise.all([
        oldestOverdueMs(invocation.db, atMs),
        oldestErasureMs(invocation.db, atMs),
      ]);
    }),
    answers(() => invocation.bucket.head(probe)),
    answers(() => invocation.tenant(probe).ping()),
  ]);
  return {
    ok: missingMigrations.length === 0 && database === "ok" && storage === "ok" && limiter === "ok",
    checks: { database, storage, limiter },
    oldestOverdueSeconds: Math.floor(overdueMs / 1000),
    oldestErasureSeconds: Math.floor(erasureMs / 1000),
    missingMigrations,
    atMs,
  };
}

async function answers(call: () => Promise<unknown>): Promise<"ok" | "failed"> {
  return withTimeLimit(limitMs, call).then(
    () => "ok" as const,
    () => "failed" as const,
  );
}
