/** The built Worker with a real Queue: what a tick enqueues comes back to the same Worker, as a consumer. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";

let gateway: BuiltGateway;
beforeAll(async () => {
  gateway = await startBuiltGateway();
});
afterAll(() => gateway.close());

async function rows(sql: string): Promise<Record<string, unknown>[]> {
  const { DB } = await gateway.bindings();
  return (await DB.prepare(sql).all()).results;
}

it("polls all of what is more than a tick takes, once, and leaves no work item behind", async () => {
  const tasks = 200;
  const nowMs = Date.now();
  await rows(
    `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, model, input, metadata, price_credits,
       created_ms, deadline_ms, due_ms, attempts, upstream_id, submitted_ms)
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${tasks})
     SELECT 'task-' || printf('%031d', i), 'acme', 'key-1', 'req-1', 'https://gateway.example', 'submitted',
       'wan-2.7-image', '{"prompt":"a boat","n":1}', '{}', 30, ${nowMs}, ${nowMs + 3_600_000}, 0, 0, 'up-' || i,
       ${nowMs - 30_000} FROM n`,
  );
  const polls = () =>
    gateway.simulator.control.calls().filter(({ path }) => path.startsWith("/v1/tasks/up-"));
  await gateway.tick();
  await vi.waitFor(
    async () => {
      expect(await rows("SELECT name FROM work_items")).toEqual([]);
      expect(polls().length).toBeGreaterThanOrEqual(tasks);
    },
    { timeout: 30_000 },
  );
  expect(new Set(polls().map(({ path }) => path)).size).toBe(tasks);
  expect(polls()).toHaveLength(tasks);
});
