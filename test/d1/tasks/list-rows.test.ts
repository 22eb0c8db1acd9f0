/** Lists and usage read what they show, beside twenty thousand tasks of others. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { listTasks, type TaskFilter } from "../../../src/d1/tasks/task-lists.ts";
import { readUsage } from "../../../src/d1/tenants/usage.ts";
import { mostWalked, type Walked } from "../../../src/d1/walk.ts";
import { listDeliveries } from "../../../src/d1/webhooks/delivery-log.ts";
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

async function rowsRead<Result>(work: (db: D1Database) => Promise<Result>) {
  let rows = 0;
  const db = measureDatabase(
    env.DB,
    (call) => call(),
    (cost) => {
      rows += cost.rowsRead;
    },
  );
  return { result: await work(db), rows };
}

it.each<[string, TaskFilter, number]>([
  ["an end user without tasks", { tenant: "t-1", end_user: "none", visible: true }, 0],
  ["an end user with three", { tenant: "t-1", end_user: "one", visible: true }, 3],
  ["one with three of a status", { tenant: "t-1", end_user: "one", status: "completed", visible: true }, 3],
  ["a tenant without tasks", { tenant: "empty", visible: true }, 0],
  ["a tenant with many", { tenant: "t-1", visible: true }, 21],
])("the list of %s", async (_whose, filter, found) => {
  const { result, rows } = await rowsRead((db) => listTasks(db, filter, afterAll, 21));
  expect(result).toMatchObject({ rows: { length: found }, walkedTo: null });
  expect(rows).toBeLessThanOrEqual(50);
});

it("the usage of a tenant without tasks", async () => {
  const { result, rows } = await rowsRead((db) => readUsage(db, "empty", 0, 9e12, ["day", "model"]));
  expect(result).toEqual([]);
  expect(rows).toBeLessThanOrEqual(10);
});

it("the usage of a tenant with tasks, and of all", async () => {
  const of = async (tenant: string | null) => {
    const [row] = await readUsage(env.DB, tenant, 0, 9e12, []);
    return row?.tasks;
  };
  expect(await of("t-1")).toBe(others / 20);
  expect(await of(null)).toBe(others);
});

/** All pages, as a caller reads them. */
async function pagesOf<Row extends { id: string }>(
  read: (beforeId: string) => Promise<Walked<Row>>,
  limit: number,
): Promise<Row[][]> {
  const pages: Row[][] = [];
  for (let before: string | null = "~"; before !== null; ) {
    const { rows, walkedTo } = await read(before);
    pages.push(rows.slice(0, limit));
    before = rows.length > limit ? (rows[limit - 1]?.id ?? null) : walkedTo;
  }
  return pages;
}

const few = { tenant: "t-1", visible: true } as const;
const filters: [string, TaskFilter, number][] = [
  ["a tenant's failed", { ...few, status: "failed" }, 2],
  ["a tenant's of a status that none has", { ...few, status: "pending" }, 0],
  ["a tenant's of a model that none has", { ...few, model: "wan-2.7-image-pro" }, 0],
  ["an end user's of a status that none has", { ...few, end_user: "other", status: "failed" }, 0],
  ["everybody's failed", { status: "failed" }, 2],
  ["everybody's of an end user", { end_user: "one" }, 3],
  ["everybody's of a request that made none", { request_id: "req-none" }, 0],
];

describe("a filter that few fit", () => {
  beforeAll(async () => {
    // The tenant has more than one page's walk, and exactly two of them.
    await env.DB.batch([
      env.DB.prepare("UPDATE tasks SET tenant_id = 't-1', end_user = 'other' WHERE tenant_id = 't-2'"),
      env.DB.prepare(
        `UPDATE tasks SET state = 'failed', end_user = NULL WHERE id IN (
           SELECT min(id) FROM tasks WHERE tenant_id = 't-1' AND end_user = 'other' UNION ALL
           SELECT max(id) FROM tasks WHERE tenant_id = 't-1')`,
      ),
    ]);
  });

  it.each(filters)(
    "reads a bounded number for each page, and all pages have all: %s",
    async (_what, filter, found) => {
      const most = filter.tenant === undefined ? mostWalked.operator : mostWalked.tenant;
      const pages = await pagesOf(async (before) => {
        const { result, rows } = await rowsRead((db) => listTasks(db, filter, before, 21));
        // What is examined, and where that ended.
        expect(rows).toBeLessThanOrEqual(2 * most + 50);
        return result;
      }, 20);
      expect(new Set(pages.flat().map(({ id }) => id)).size).toBe(found);
      expect(pages.flat()).toHaveLength(found);
      expect(pages.length).toBeGreaterThan(1);
    },
  );

  it("is no matter for a tenant whose erased tasks are many", async () => {
    await env.DB.prepare("UPDATE tasks SET erasure = 'text' WHERE tenant_id = 't-3'").run();
    const pages = await pagesOf(async (before) => {
      const { result, rows } = await rowsRead((db) =>
        listTasks(db, { tenant: "t-3", visible: true }, before, 21),
      );
      expect(rows).toBeLessThanOrEqual(2 * mostWalked.tenant + 50);
      return result;
    }, 20);
    expect(pages.flat()).toEqual([]);
  });
});

describe("the log of deliveries", () => {
  const made = 3_000;
  beforeAll(async () => {
    await env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, task_id, open, state, created_ms, due_ms)
       SELECT 'msg-' || substr(id, 6) || '-w', 't-1', 'webhook', 'task.completed', id, 0, 'delivered', 0, 0
       FROM tasks ORDER BY id LIMIT ${made}`,
    ).run();
  });

  it.each([
    ["of a state that none has", undefined],
    ["of a tenant, of a state that none has", "t-1"],
  ])("reads a bounded number for each page: %s", async (_what, tenant) => {
    const filter = { ...(tenant && { tenant }), status: "failed" } as const;
    const pages = await pagesOf(async (before) => {
      const { result, rows } = await rowsRead((db) => listDeliveries(db, filter, before, 21));
      expect(rows).toBeLessThanOrEqual(2 * (tenant ? mostWalked.tenant : mostWalked.operator) + 50);
      return result;
    }, 20);
    expect(pages.flat()).toEqual([]);
  });

  it.each(["t-1", undefined])("finds a task's by the task's moment: %s", async (tenant) => {
    const { id } = (await env.DB.prepare("SELECT id FROM tasks ORDER BY id LIMIT 1 OFFSET 9").first<{
      id: string;
    }>()) ?? { id: "" };
    const filter = { ...(tenant && { tenant }), task: id };
    const pages = await pagesOf((before) => listDeliveries(env.DB, filter, before, 21), 20);
    expect(pages.flat().map(({ taskId }) => taskId)).toEqual([id]);
    expect(await listDeliveries(env.DB, { task: "none" }, "~", 21)).toEqual({ rows: [], walkedTo: null });
  });
});
