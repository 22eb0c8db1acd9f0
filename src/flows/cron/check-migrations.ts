/**
 * Whether the database has the tables that this version needs. A deployment applies no migration by itself, so code may meet
 * a database of the version before, or an empty one: what it began there would not go on.
 */
import { missingMigrations } from "../../d1/applied-migrations.ts";
import { withTimeLimit } from "../../domain/time-limit.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** D1 that does not answer is no database that lacks something, and no request waits longer for it. */
const patienceMs = 1_000;
/** After so long it is asked again. */
const againMs = 5_000;

/**
 * What the database lacks, in order; none where that is not known. An isolate asks until nothing is missing, and never again.
 */
export async function findMissingMigrations(invocation: Invocation): Promise<string[]> {
  const { migrations } = invocation;
  if (migrations.atMs + againMs > invocation.now()) return migrations.missing;
  migrations.atMs = invocation.now();
  try {
    migrations.missing = await withTimeLimit(patienceMs, () => missingMigrations(invocation.db));
    if (migrations.missing.length === 0) migrations.atMs = Number.POSITIVE_INFINITY;
  } catch {
    // Where it was known, it is known still.
  }
  return migrations.missing;
}

/** What the operator does about it. */
export function migrationsAdvice(missing: string[]): string {
  const [first = "", ...others] = missing;
  const more = others.length === 0 ? "" : ` and ${others.length} more`;
  return `The database lacks the migration ${first}${more}. The operator applies what is missing: npx wrangler d1 migrations apply DB --remote (--local for wrangler dev).`;
}
