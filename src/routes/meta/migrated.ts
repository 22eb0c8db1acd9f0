/** Refuses what needs the database while that lacks migrations: nothing is admitted, and nothing held. */
import { createMiddleware } from "hono/factory";
import { ApiError } from "../../errors.ts";
import { findMissingMigrations, migrationsAdvice } from "../../flows/cron/check-migrations.ts";
import type { AppEnv } from "../../http/context.ts";

export const migrated = createMiddleware<AppEnv>(async (c, next) => {
  const missing = await findMissingMigrations(c.get("invocation"));
  if (missing.length > 0) throw new ApiError("migrations_missing", migrationsAdvice(missing));
  await next();
});
