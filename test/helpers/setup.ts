/**
 * Before each test file inside workerd: what files before it have stored is gone. Files share a Worker, since its start
 * takes longer than most of them.
 */
import { reset, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterAll, afterEach, expect } from "vitest";
import { edgeLimits } from "../../src/platform/edge-limits.ts";
import { takeExceeded } from "./platform-event.ts";

/** Empties D1, R2, the tenants' objects, the cache and the limits at the edge. For tests that do so in between, too. */
export async function startAnew(): Promise<void> {
  await awaken();
  await reset();
  takeOtherObjects();
  // In one call: as many as there are migrations would take twice as long.
  const queries = env.MIGRATIONS.flatMap(({ queries }) => queries);
  await env.DB.batch(
    [...queries, appliedTable, ...env.MIGRATIONS.map(applied)].map((query) => env.DB.prepare(query)),
  );
}

/** What wrangler notes of migrations that it applies. */
const appliedTable = "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY, name TEXT UNIQUE, applied_at TEXT)";
const applied = ({ name }: { name: string }) => `INSERT INTO d1_migrations (name) VALUES ('${name}')`;

/**
 * Empties D1's tables, R2 and the tenants' objects, in a fraction of {@link startAnew}'s time, for tests that need nothing
 * else empty: the cache and the limits at the edge keep what they have.
 */
export async function emptyStores(): Promise<void> {
  await stopWriting();
  takeOtherObjects();
  await Promise.all([emptyTables(), emptyBucket()]);
}

async function emptyTables(): Promise<void> {
  const own =
    "type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' AND name NOT LIKE '!_cf!_%' ESCAPE '!'";
  const { results } = await env.DB.prepare(`SELECT name FROM sqlite_master WHERE ${own}`).all<{
    name: string;
  }>();
  // Those leases stay that the migrations make, and are free.
  const statements = results
    .filter(({ name }) => name !== "d1_migrations")
    .flatMap(({ name }) =>
      name === "leases"
        ? ["DELETE FROM leases WHERE name NOT IN ('tick', 'cool_down')", "UPDATE leases SET until_ms = 0"]
        : [`DELETE FROM "${name}"`],
    );
  await env.DB.batch(statements.map((statement) => env.DB.prepare(statement)));
}

async function emptyBucket(): Promise<void> {
  for (;;) {
    const { objects } = await env.IMAGES.list();
    if (objects.length === 0) return;
    await env.IMAGES.delete(objects.map(({ key }) => key));
  }
}

/** `reset` empties what is in memory, and what is idle for ten seconds is not. */
async function awaken(): Promise<void> {
  await Promise.all([
    env.DB.prepare("SELECT 1").run(),
    env.IMAGES.head("none"),
    caches.default.match("https://none.example/"),
    ...Object.values(edgeLimits).map((name) => env[name].limit({ key: "none" })),
  ]);
}

/** This module runs again before each file, and files share the modules that import it. */
const shared = globalThis as unknown as { objectsInUse?: Set<string> };
shared.objectsInUse ??= new Set();
const used = shared.objectsInUse;
const { getByName } = Object.getPrototypeOf(env.TENANTS) as Env["TENANTS"];

/** A tenant has another object than one of the same name had before, whose idle object `reset` leaves as it is. */
function takeOtherObjects(): void {
  const time = crypto.randomUUID();
  used.clear();
  env.TENANTS.getByName = (name, options) => {
    used.add(`${time} ${name}`);
    return getByName.call(env.TENANTS, `${time} ${name}`, options);
  };
}

/** The tenants' objects that tests have called. */
export const objectsInUse = (): DurableObjectStub[] =>
  [...used].map((name) => getByName.call(env.TENANTS, name) as unknown as DurableObjectStub);

/** Has the tenants' objects write nothing more to D1 of the tasks that they have, in a second or two or with the next one. */
export async function stopWriting(): Promise<void> {
  const stop = (_object: unknown, { storage: { sql } }: DurableObjectState) => {
    for (const table of ["open_tasks", "early_ends"]) sql.exec(`UPDATE ${table} SET record = NULL`);
  };
  await Promise.all(objectsInUse().map((object) => runInDurableObject(object, stop)));
}

afterEach(() => {
  expect(takeExceeded(), "went over a limit of the platform").toEqual([]);
});
afterAll(stopWriting);
await startAnew();
