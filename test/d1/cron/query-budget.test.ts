/** What tasks cost in D1, by its own count: rows are what is paid for, and what a primary can do in a second. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readMaintenance } from "../../../src/d1/cron/maintenance.ts";
import {
  claimSends,
  type DuePage,
  oldestOverdueMs,
  selectDue,
  writePolls,
} from "../../../src/d1/tasks/due-tasks.ts";
import { endTask, markSubmitted, selectTask } from "../../../src/d1/tasks/tasks.ts";
import { type D1Usage, measureDatabase } from "../../../src/platform/d1-usage.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import {
  claimStore,
  db,
  donePoll,
  hourMs,
  insertSubmitted,
  insertSubmitting,
  leaseMs,
  newTask,
  runningPoll,
  t0,
  writeTask,
} from "../../helpers/seed.ts";

const finished = 3_000;

/** Runs work over a metered database; what it cost in all. */
async function costOf(work: (metered: D1Database) => Promise<unknown>): Promise<D1Usage> {
  const total: D1Usage = { rowsRead: 0, rowsWritten: 0 };
  const metered = measureDatabase(
    db,
    (call) => call(),
    (cost) => {
      total.rowsRead += cost.rowsRead;
      total.rowsWritten += cost.rowsWritten;
    },
  );
  await work(metered);
  return total;
}

/** Thousands of tasks that have ended, and tenants whose objects are up to date. */
beforeAll(async () => {
  await clearTasks();
  await insertSubmitting();
  await db.batch([
    db.prepare("UPDATE tasks SET state = 'completed', open = 0"),
    db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata,
           price_credits, created_ms, deadline_ms, due_ms, attempts)
         SELECT 'task-done-' || i, tenant_id, key_id, request_id, origin, state, 0, model, input, metadata,
           price_credits, created_ms + i, deadline_ms, due_ms, attempts FROM tasks, n`,
      )
      .bind(finished),
    db.prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
       INSERT INTO tenants (id, name, limits, pushed_version, created_ms) SELECT 't-' || i, '', '{}', 1, 0 FROM n`,
    ),
  ]);
});

/** What another test has left open is no task of this one's round. */
beforeEach(async () => {
  await db.prepare("DELETE FROM tasks WHERE open = 1").run();
});

/** One task's way through its states, all of it over one database. */
async function live(metered: D1Database): Promise<void> {
  const task = newTask();
  await writeTask(metered, task, t0 + leaseMs);
  await markSubmitted(metered, task.id, {
    upstreamId: "task-unified-1",
    submittedMs: t0,
    estimatedSeconds: 30,
  });
  await writePolls(metered, [runningPoll(task.id)], t0 + 6_000);
  await writePolls(metered, [donePoll(task.id)], t0 + 30_000);
  const claimed = await claimStore(metered, t0 + 30_000, t0 + 90_000, "any");
  if (!claimed) throw new Error("not claimed");
  const ending = { id: task.id, from: ["storing"] as const, state: "completed" as const };
  await endTask(metered, { ...ending, images: claimed.images, errorCode: null }, t0 + 31_000).run();
}

describe("the rows that one task of half a minute writes", () => {
  it("are at most 10, index entries counted", async () => {
    const { rowsWritten } = await costOf(live);
    expect(rowsWritten).toBeGreaterThanOrEqual(6);
    expect(rowsWritten).toBeLessThanOrEqual(10);
  });

  it("are as few beside thousands of others, and it reads next to none of them", async () => {
    const { rowsRead, rowsWritten } = await costOf(live);
    expect(rowsWritten).toBeLessThanOrEqual(10);
    expect(rowsRead).toBeLessThanOrEqual(40);
  });
});

describe("a round of cron, among thousands of tasks that have ended", () => {
  const round =
    (nowMs: number, limit = 300) =>
    (metered: D1Database) =>
      selectDue(metered, { nowMs, previousMs: nowMs - 60_000, limit });

  it("reads one row when no task is open, and writes none", async () => {
    const cost = await costOf(round(t0 + hourMs));
    expect(cost.rowsRead).toBeLessThanOrEqual(1);
    expect(cost.rowsWritten).toBe(0);
  });

  it("reads a row or two for each other kind of work that there is not", async () => {
    expect((await costOf((metered) => readMaintenance(metered, 0))).rowsRead).toBeLessThanOrEqual(17);
  });

  it("reads at most 3 rows for each task that is due, page by page", async () => {
    const open = 60;
    for (let i = 0; i < open; i++) {
      await (i % 2 ? insertSubmitted({ createdMs: t0 + i }) : insertSubmitting({ createdMs: t0 + i }));
    }
    const nowMs = t0 + hourMs / 2;
    const all = await costOf(round(nowMs));
    expect(all.rowsRead).toBeGreaterThan(0);
    expect(all.rowsRead).toBeLessThanOrEqual(3 * open);
    expect(all.rowsWritten).toBe(0);

    let after: DuePage["after"];
    let seen = 0;
    const paged = await costOf(async (metered) => {
      do {
        const page = await selectDue(metered, { nowMs, previousMs: t0, limit: 10, after });
        seen += page.due.length;
        after = page.next;
      } while (after);
    });
    expect(seen).toBe(open);
    expect(paged.rowsRead).toBeLessThanOrEqual(3 * open + 10);
  });

  it("claims without reading what has ended", async () => {
    const nowMs = t0 + hourMs / 2;
    for (const claim of [
      (metered: D1Database) => claimSends(metered, nowMs, nowMs + leaseMs, 6),
      (metered: D1Database) => claimStore(metered, nowMs, nowMs + leaseMs, "any"),
    ]) {
      const cost = await costOf(claim);
      expect(cost.rowsRead).toBeLessThan(finished / 10);
    }
    expect((await costOf((metered) => oldestOverdueMs(metered, nowMs))).rowsRead).toBeLessThan(finished / 10);
  });

  it("writes one row for each poll that changed something", async () => {
    const tasks = [await insertSubmitted(), await insertSubmitted(), await insertSubmitted()];
    const cost = await costOf((metered) =>
      writePolls(
        metered,
        tasks.map(({ id }) => runningPoll(id)),
        t0,
      ),
    );
    expect(cost.rowsWritten).toBe(3);
    expect(cost.rowsRead).toBeLessThan(20);
  });
});

describe("the count of rows", () => {
  it("counts every statement of a batch, and passes results through as they are", async () => {
    const { id } = await insertSubmitting();
    const calls: D1Usage[] = [];
    let timed = 0;
    const metered = measureDatabase(
      db,
      (call) => {
        timed++;
        return call();
      },
      (cost) => calls.push(cost),
    );
    const update = metered.prepare("UPDATE tasks SET attempts = attempts WHERE id = ?1").bind(id);
    const results = await metered.batch([selectTask(metered, "acme", id), update]);
    expect(results.map((result) => result.results.length)).toEqual([1, 0]);
    expect([timed, calls.length]).toEqual([1, 2]);
    expect(calls[0]?.rowsRead).toBeGreaterThan(0);
    expect(calls[1]?.rowsWritten).toBeGreaterThan(0);
  });

  it("lets errors through", async () => {
    const metered = measureDatabase(
      db,
      (call) => call(),
      () => undefined,
    );
    await expect(metered.prepare("SELECT * FROM nothing").run()).rejects.toThrow(/nothing/);
  });
});
