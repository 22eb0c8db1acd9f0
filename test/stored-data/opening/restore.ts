/** Puts a fixture where it came from, as it was, and has the newest code migrate it. */
import { applyD1Migrations, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { Fixture, StoredObject, Tables } from "../fixture.ts";

declare global {
  interface ImportMeta {
    /** Vite's: the modules whose paths match, by path. */
    glob<T>(pattern: string, options: { eager: true; import: "default" }): Record<string, T>;
  }
}

const parts = import.meta.glob<unknown>("../*/*.json", { eager: true, import: "default" });

/** All fixtures that there are, oldest first. */
export function readFixtures(): Fixture[] {
  const versions = new Map<string, Record<string, unknown>>();
  for (const [path, part] of Object.entries(parts)) {
    const [version = "", name = ""] = path.split("/").slice(-2);
    versions.set(version, { ...versions.get(version), version, [name.replace(".json", "")]: part });
  }
  return [...versions.values()].map((fixture) => fixture as unknown as Fixture).toSorted(byVersion);
}

const byVersion = (a: Fixture, b: Fixture) => (a.version < b.version ? -1 : 1);

export async function restore(fixture: Fixture): Promise<void> {
  await restoreDatabase(fixture);
  for (const object of fixture.objects) await restoreObject(object);
  // What another fixture was restored over, and deleted, is none of this one's.
  const notes = await env.IMAGES.list({ prefix: "restore-notes/" });
  await env.IMAGES.delete(notes.objects.map(({ key }) => key));
  for (const { key, bytes, httpMetadata, customMetadata } of fixture.bucket)
    await env.IMAGES.put(key, Uint8Array.fromBase64(bytes), { httpMetadata, customMetadata });
}

/** Tables of the platform and of its simulator. */
const notOurs = /^(_cf_|__miniflare|sqlite_)/;
/** Views first: a table that one of them reads cannot be dropped. */
const listMade = "SELECT type, name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY type DESC";

async function restoreDatabase({ version, d1 }: Fixture): Promise<void> {
  const { results } = await env.DB.prepare(listMade).all<{ type: string; name: string }>();
  const made = results.filter(({ name }) => !notOurs.test(name));
  await env.DB.batch(made.map(({ type, name }) => env.DB.prepare(`DROP ${type} "${name}"`)));
  const newest = env.MIGRATIONS.findIndex(({ name }) => name === d1.migration);
  if (newest < 0) throw new Error(`${version} was made with the migration ${d1.migration}, which is gone`);
  await applyD1Migrations(env.DB, env.MIGRATIONS.slice(0, newest + 1));
  for (const [table, { columns, rows }] of Object.entries(d1.tables)) {
    await env.DB.prepare(`DELETE FROM "${table}"`).run();
    if (rows.length === 0) continue;
    const statement = env.DB.prepare(insert(table, columns));
    await env.DB.batch(rows.map((row) => statement.bind(...row)));
  }
  await applyD1Migrations(env.DB, env.MIGRATIONS);
}

async function restoreObject({ tenant, schema, tables }: StoredObject): Promise<void> {
  const stub = env.TENANTS.getByName(tenant);
  await runInDurableObject(stub, (_object, { storage }) =>
    storage.transactionSync(() => putTables(storage.sql, schema, tables)),
  );
  // The next call makes the object anew, by whose constructor it is migrated.
  await evictDurableObject(stub);
}

function putTables(sql: SqlStorage, schema: string[], tables: Tables): void {
  const made = sql.exec<{ type: string; name: string }>(listMade).toArray();
  for (const { type, name } of made) if (!notOurs.test(name)) sql.exec(`DROP ${type} "${name}"`);
  for (const statement of schema) sql.exec(statement);
  for (const [table, { columns, rows }] of Object.entries(tables))
    for (const row of rows) sql.exec(insert(table, columns), ...row);
}

function insert(table: string, columns: string[]): string {
  return `INSERT INTO "${table}" (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`;
}
