/** Before each test file inside workerd: its own database gets its tables. */
import { applyD1Migrations } from "cloudflare:test";
import { env } from "cloudflare:workers";

/** For tests that drop everything in between. */
export async function applyMigrations(): Promise<void> {
  await applyD1Migrations(env.DB, env.MIGRATIONS);
}

await applyMigrations();
