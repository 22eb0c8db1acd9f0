/** The migrations that this version needs, and those that a database has. */

/** In order, by the names of their files. A migration that the code needs stands here. */
export const neededMigrations = [
  "0001_init",
  "0002_admission",
  "0003_erasure_and_rotation",
  "0004_retention",
  "0005_webhooks",
  "0006_files",
  "0007_pieces",
  "0008_field_names",
  "0009_tenant_location",
  "0010_visitors_and_keys",
  "0011_bounded_walks",
  "0012_daily_sums",
  "0013_lives",
  "0014_endpoints_off",
  "0015_archive",
] as const;

/** Which of them a database lacks, in order: all where it has no tables. @throws what D1 fails with */
export async function missingMigrations(db: D1Database): Promise<string[]> {
  // Wrangler's own table of what it has applied.
  const applied = await db
    .prepare("SELECT name FROM d1_migrations")
    .all<{ name: string }>()
    .catch((error: unknown) => {
      if (/no such table/.test(String(error))) return { results: [] };
      throw error;
    });
  const names = new Set(applied.results.map(({ name }) => name.replace(/\.sql$/, "")));
  return neededMigrations.filter((name) => !names.has(name));
}
