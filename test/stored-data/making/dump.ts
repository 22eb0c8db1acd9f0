/** Reading what is stored: every table of D1 and of each tenant's object, and every object of the bucket. */
import type { Database, StoredBytes, StoredObject, Tables, Value } from "../fixture.ts";
import type { Stand } from "./stand.ts";

/** Tables of the platform, of its simulator, and of the migrations themselves. */
const notOurs = /^(_cf_|__miniflare|sqlite_|d1_migrations$)/;
const listTables = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid";

export async function dumpDatabase({ sql }: Stand): Promise<Database> {
  const [last] = await sql("SELECT name FROM d1_migrations ORDER BY id DESC LIMIT 1");
  const tables = await sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
  const names = tables.map(({ name }) => String(name)).filter((name) => !notOurs.test(name));
  return { migration: String(last?.name), tables: await readTables(names, (text) => sql(text)) };
}

export async function dumpObjects({ sql, objectSql }: Stand): Promise<StoredObject[]> {
  const tenants = await sql("SELECT id FROM tenants ORDER BY id");
  const objects: StoredObject[] = [];
  for (const { id } of tenants) {
    const tenant = String(id);
    const made = (await objectSql(tenant, listTables)).filter(({ name }) => !notOurs.test(String(name)));
    const isTable = ({ sql: text }: Record<string, Value>) => String(text).startsWith("CREATE TABLE");
    const names = made.filter(isTable).map(({ name }) => String(name));
    objects.push({
      tenant,
      // Tables first.
      schema: [...made.filter(isTable), ...made.filter((one) => !isTable(one))].map((one) => String(one.sql)),
      tables: await readTables(names, (text) => objectSql(tenant, text)),
    });
  }
  return objects;
}

export async function dumpBucket({ bindings }: Stand): Promise<StoredBytes[]> {
  const { objects } = await bindings.IMAGES.list({});
  const dumped: StoredBytes[] = [];
  for (const { key } of objects) {
    const object = await bindings.IMAGES.get(key);
    if (!object) throw new Error(`${key} has gone`);
    const bytes = Buffer.from(await object.arrayBuffer()).toString("base64");
    dumped.push({
      key,
      bytes,
      httpMetadata: { ...object.httpMetadata },
      customMetadata: { ...object.customMetadata },
    });
  }
  return dumped;
}

type Read = (sql: string) => Promise<Record<string, Value>[]>;

async function readTables(names: string[], read: Read): Promise<Tables> {
  const tables: Tables = {};
  for (const name of names) {
    // By their keys, which begin with the first column.
    const rows = await read(`SELECT * FROM "${name}" ORDER BY 1`);
    tables[name] = { columns: Object.keys(rows[0] ?? {}), rows: rows.map((row) => Object.values(row)) };
  }
  return tables;
}
