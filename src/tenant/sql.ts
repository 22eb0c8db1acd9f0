/**
 * The tables of a tenant's object, as steps that are only ever added to, and its statements by name. All of
 * it is synchronous: what runs between two awaits is one transaction.
 */
import type { StoredKey } from "../domain/keys.ts";
import { type Bucket, emptyBucket } from "../domain/limits.ts";
import type { TenantConfig } from "../domain/tenant.ts";

const steps = [
  `CREATE TABLE config (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
   CREATE TABLE keys (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE buckets (name TEXT PRIMARY KEY, level INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;`,
];

/** Brings the object's tables up to date; each step runs once. */
export function migrate(storage: DurableObjectStorage): void {
  const { sql } = storage;
  storage.transactionSync(() => {
    sql.exec("CREATE TABLE IF NOT EXISTS steps (done INTEGER NOT NULL)");
    const done = Number(sql.exec("SELECT coalesce(max(done), 0) AS done FROM steps").one().done);
    for (const [index, step] of steps.entries()) {
      if (index < done) continue;
      sql.exec(step);
      sql.exec("INSERT INTO steps (done) VALUES (?)", index + 1);
    }
  });
}

export type Settings = Omit<TenantConfig, "keys">;

export function readSettings(sql: SqlStorage): Settings | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM config").toArray();
  return row && (JSON.parse(row.body) as Settings);
}

/** Replaces the object's copy of the tenant. */
export function writeConfig(sql: SqlStorage, { keys, ...settings }: TenantConfig): void {
  sql.exec("INSERT OR REPLACE INTO config (one, body) VALUES (1, ?)", JSON.stringify(settings));
  sql.exec("DELETE FROM keys");
  for (const key of keys) sql.exec("INSERT INTO keys (id, body) VALUES (?, ?)", key.id, JSON.stringify(key));
}

export function readKey(sql: SqlStorage, id: string): StoredKey | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM keys WHERE id = ?", id).toArray();
  return row && (JSON.parse(row.body) as StoredKey);
}

export function readBucket(sql: SqlStorage, name: string): Bucket {
  const [row] = sql
    .exec<{ level: number; at_ms: number }>("SELECT level, at_ms FROM buckets WHERE name = ?", name)
    .toArray();
  return row ? { level: row.level, atMs: row.at_ms } : emptyBucket;
}

export function writeBucket(sql: SqlStorage, name: string, bucket: Bucket): void {
  sql.exec(
    "INSERT OR REPLACE INTO buckets (name, level, at_ms) VALUES (?, ?, ?)",
    name,
    bucket.level,
    bucket.atMs,
  );
}
