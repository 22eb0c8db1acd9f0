/** Backups of the stores, to put one of them back to an earlier time while the others go on. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { objectOf } from "./tenant-object.ts";

type Row = Record<string, unknown>;
type Tables = Record<string, Row[]>;

/** Tables of the gateway's own, but for those that triggers derive. */
const own = "type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '!_cf!_%' ESCAPE '!'";
const tablesOf = `SELECT name FROM sqlite_master WHERE ${own} AND name NOT LIKE '%!_turns' ESCAPE '!'`;

function insert(table: string, row: Row): [string, unknown[]] {
  const columns = Object.keys(row);
  const places = columns.map(() => "?").join();
  return [`INSERT INTO "${table}" (${columns.join()}) VALUES (${places})`, Object.values(row)];
}

/** Backs up D1. @returns what restores it. */
export async function backUpDatabase(): Promise<() => Promise<void>> {
  const { results } = await env.DB.prepare(tablesOf).all<{ name: string }>();
  const kept: Tables = {};
  for (const { name } of results)
    kept[name] = (await env.DB.prepare(`SELECT * FROM "${name}"`).all()).results;
  return async () => {
    const statements = Object.entries(kept).flatMap(([name, rows]) => [
      env.DB.prepare(`DELETE FROM "${name}"`),
      ...rows.map((row) => {
        const [text, values] = insert(name, row);
        return env.DB.prepare(text).bind(...values);
      }),
    ]);
    await env.DB.batch(statements);
  };
}

/** Backs up a tenant's object. @returns what restores it. */
export async function backUpObject(tenantId: string): Promise<() => Promise<void>> {
  const stub = objectOf(tenantId);
  const kept = await runInDurableObject(stub, (_object, { storage: { sql } }) => {
    const names = sql.exec<{ name: string }>(`SELECT name FROM sqlite_master WHERE ${own}`).toArray();
    return Object.fromEntries(names.map(({ name }) => [name, sql.exec(`SELECT * FROM "${name}"`).toArray()]));
  });
  return async () => {
    await runInDurableObject(stub, (_object, { storage }) =>
      storage.transactionSync(() => {
        for (const [name, rows] of Object.entries(kept)) {
          storage.sql.exec(`DELETE FROM "${name}"`);
          for (const row of rows) {
            const [text, values] = insert(name, row);
            storage.sql.exec(text, ...values);
          }
        }
      }),
    );
    await evictDurableObject(stub);
  };
}
