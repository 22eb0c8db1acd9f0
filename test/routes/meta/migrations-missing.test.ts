/** A database that lacks tables: what needs it is refused by name, nothing is held, and all goes on once it has them. */
import { env } from "cloudflare:workers";
import { afterEach, expect, it } from "vitest";
import { neededMigrations } from "../../../src/d1/applied-migrations.ts";
import { bearer, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";
import { startAnew } from "../../helpers/setup.ts";
import { stubOf } from "../../helpers/tenant-object.ts";

const body = { model: "wan-2.7-image", prompt: "a boat" };
const submit = (gateway: TestGateway, key: string) =>
  gateway.post("/v1/images/generations", body, bearer(key));
const newest = neededMigrations.at(-1) ?? "";

async function undoNewest(): Promise<void> {
  await env.DB.prepare("DELETE FROM d1_migrations WHERE name LIKE ?1").bind(`${newest}%`).run();
}

afterEach(startAnew);

it("those that the code needs are those in the folder", () => {
  expect(env.MIGRATIONS.map(({ name }) => name)).toEqual(neededMigrations.map((name) => `${name}.sql`));
});

it("one that is behind admits nothing, and holds nothing, until it is not", async () => {
  const { key, id } = await startGateway().makeTenant({ balance: 100 });
  await undoNewest();
  // As another isolate of the version that needs it.
  const gateway = startGateway({ isNewIsolate: true });
  for (const reply of [
    await submit(gateway, key),
    await gateway.post("/openai/v1/images/generations", body, bearer(key)),
    await gateway.fetch("/v1/tasks", { headers: bearer(key) }),
    await gateway.admin("GET", "/tenants"),
  ]) {
    const message = await expectError(reply, "migrations_missing");
    expect(message).toContain(newest);
    expect(message).toContain("npx wrangler d1 migrations apply DB --remote");
  }
  expect(await stubOf(id).summary(id, gateway.now())).toMatchObject({ balance: 100, held: 0 });
  expect(gateway.simulator.control.calls()).toEqual([]);
  await env.DB.prepare("INSERT INTO d1_migrations (name) VALUES (?1)").bind(`${newest}.sql`).run();
  gateway.advance(5_000);
  expect((await submit(gateway, key)).status).toBe(200);
});

it("an empty one is said to be so, by readiness and by the tick too", async () => {
  const gateway = startGateway({ isNewIsolate: true });
  const { results } = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '!_cf%' ESCAPE '!'",
  ).all<{ name: string }>();
  await env.DB.batch(results.map(({ name }) => env.DB.prepare(`DROP TABLE "${name}"`)));
  await expectError(await gateway.admin("GET", "/overview"), "migrations_missing");
  const ready = await gateway.fetch("/readyz", { headers: bearer(gateway.config.ADMIN_API_KEY) });
  expect([ready.status, await ready.json()]).toEqual([
    503,
    expect.objectContaining({ status: "unavailable", migrations_missing: [...neededMigrations] }),
  ]);
  gateway.logs.length = 0;
  await gateway.tick();
  expect(gateway.logs).toEqual([
    expect.objectContaining({ event: "migrations_missing", problem: expect.stringContaining("0001_init") }),
  ]);
  // The pages open all the same, and so does what asks nothing.
  expect((await gateway.fetch("/healthz")).status).toBe(200);
});

it("one that does not answer is none that lacks something", async () => {
  const { key } = await startGateway().makeTenant();
  const gateway = startGateway({
    isNewIsolate: true,
    around: (name, call) => (name === "D1" ? Promise.reject(new Error("out")) : call()),
  });
  expect((await submit(gateway, key)).status).toBe(200);
});

it("an isolate that knows that nothing is missing asks no more", async () => {
  const calls: string[] = [];
  const gateway = startGateway({
    isNewIsolate: true,
    around: (name, call) => {
      calls.push(name);
      return call();
    },
  });
  const { key } = await gateway.makeTenant();
  await submit(gateway, key);
  calls.length = 0;
  await gateway.fetch("/v1/models", { headers: bearer(key) });
  const once = calls.filter((name) => name === "D1").length;
  gateway.advance(60_000);
  calls.length = 0;
  await gateway.fetch("/v1/models", { headers: bearer(key) });
  expect(calls.filter((name) => name === "D1").length).toBe(once);
});
