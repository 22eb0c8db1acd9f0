/** Lists and usage read what they show, beside twenty thousand tasks of others. */
import { env } from "cloudflare:workers";
import { beforeAll, expect, it } from "vitest";
import { listTasks, type TaskFilter } from "../../../src/d1/tasks/task-lists.ts";
import { readUsage } from "../../../src/d1/tenants/usage.ts";
import { measureDatabase } from "../../../src/platform/d1-usage.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { insertMany } from "../../helpers/submitted-tasks.ts";

const others = 20_000;
const afterAll = "task-~";

beforeAll(async () => {
  const gateway = startGateway();
  await insertMany(gateway, others, "completed");
  // A thousand of tenant `t-1` are another end user's, and three are the one's whose list is read.
  await env.DB.batch([
    env.DB.prepare("UPDATE tasks SET open = 0, end_user = 'other' WHERE tenant_id = 't-1'"),
    env.DB.prepare(
      "UPDATE tasks SET end_user = 'one' WHERE id IN (SELECT id FROM tasks WHERE tenant_id = 't-1' ORDER BY id LIMIT 3)",
    ),
  ]);
}, 60_000);

async function rowsRead(work: (db: D1Database) => Promise<unknown[]>) {
  let rows = 0;
  const db = measureDatabase(
    env.DB,
    (call) => call(),
    (cost) => {
      rows += cost.rowsRead;
    },
  );
  return { found: (await work(db)).length, rows };
}

it.each<[string, TaskFilter, number]>([
  ["an end user without tasks", { tenant: "t-1", end_user: "none", visible: true }, 0],
  ["an end user with three", { tenant: "t-1", end_user: "one", visible: true }, 3],
  ["one with three of a status", { tenant: "t-1", end_user: "one", status: "completed", visible: true }, 3],
  ["a tenant without tasks", { tenant: "empty", visible: true }, 0],
  ["a tenant with many", { tenant: "t-1", visible: true }, 21],
])("the list of %s", async (_whose, filter, found) => {
  const read = await rowsRead((db) => listTasks(db, filter, afterAll, 21));
  expect(read.found).toBe(found);
  expect(read.rows).toBeLessThanOrEqual(50);
});

it("the usage of a tenant without tasks", async () => {
  const read = await rowsRead((db) => readUsage(db, "empty", 0, 9e12, ["day", "model"]));
  expect(read.found).toBe(0);
  expect(read.rows).toBeLessThanOrEqual(10);
});

it("the usage of a tenant with tasks, and of all", async () => {
  const of = async (tenant: string | null) => {
    const [row] = await readUsage(env.DB, tenant, 0, 9e12, []);
    return row?.tasks;
  };
  expect(await of("t-1")).toBe(others / 20);
  expect(await of(null)).toBe(others);
});
