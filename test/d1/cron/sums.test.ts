/**
 * Sums and what is in none of them are all tasks, each once, at every moment: whatever has ended, come late or been erased, and
 * however often, and by how many ticks at once, it is added up.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { readOverview } from "../../../src/d1/cron/overview.ts";
import { addUp, areSumsDue, selectSumsDue } from "../../../src/d1/cron/sums.ts";
import { markTombstoned, redactTasks } from "../../../src/d1/erasure/erasures.ts";
import { readUsage, type UsageGroup, UsageTooLarge, usageGroups } from "../../../src/d1/tenants/usage.ts";
import { formatId } from "../../../src/domain/ids.ts";
import { type D1Usage, measureDatabase } from "../../../src/platform/d1-usage.ts";
import { chanceOf } from "../../helpers/chance.ts";
import { emptyStores } from "../../helpers/setup.ts";

const db = env.DB;
const [minuteMs, hourMs, dayMs] = [60_000, 3_600_000, 86_400_000];
/** Noon. */
const noonMs = Date.parse("2031-05-20T12:00:00Z");

beforeEach(emptyStores);

let made = 0;
interface Made {
  createdMs: number;
  state: string;
  tenant?: string;
  key?: string;
  model?: string;
  images?: number;
  price?: number;
  hidden?: number;
  errorCode?: string | null;
  takesMs?: number;
}

function insert(database: D1Database, task: Made): D1PreparedStatement {
  const {
    createdMs,
    state,
    tenant = "acme",
    key = "key-1",
    model = "m",
    images = 1,
    price = 30,
    hidden = 0,
  } = task;
  made++;
  const random = Uint8Array.from({ length: 21 }, (_, i) => (made >> (i * 5)) & 31).reverse();
  const ended = ["completed", "failed", "cancelled"].includes(state);
  return database
    .prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata, price_credits,
         created_ms, deadline_ms, due_ms, attempts, submitted_ms, images, finished_ms, hidden, error_code)
       VALUES (?1, ?2, ?3, 'req-1', 'https://gateway.example', ?4, ?5, ?6, '{}', '{}', ?7, ?8, ?8, ?8, 1, ?8 + 500, ?9, ?10, ?11, ?12)`,
    )
    .bind(
      ...[formatId("task", createdMs, random), tenant, key, state, ended ? 0 : 1, model, price, createdMs],
      JSON.stringify(Array.from({ length: images }, (_, i) => ({ id: `img-${i}`, state: "stored" }))),
      ...[ended ? createdMs + (task.takesMs ?? 30_000) : null, hidden, task.errorCode ?? null],
    );
}

/** The same figures, counted from all tasks. */
async function counted(tenant: string | null, fromMs: number, toMs: number, groups: readonly UsageGroup[]) {
  const names = {
    tenant: "tenant_id",
    key: "key_id",
    model: "model",
    day: "date(created_ms / 1000, 'unixepoch')",
  };
  const images = "iif(state = 'completed', json_array_length(images), 0)";
  const by = groups.map((group) => names[group]).join(", ");
  const { results } = await db
    .prepare(
      `SELECT ${[...groups.map((group) => `${names[group]} AS ${group}`), ""].join(", ")} count(*) AS tasks,
         coalesce(sum(${images}), 0) AS images, coalesce(sum(${images} * price_credits), 0) AS credits FROM tasks
       WHERE hidden = 0 AND (?1 IS NULL OR tenant_id = ?1) AND created_ms >= ?2 AND created_ms < ?3
       ${by ? `GROUP BY ${by} ORDER BY ${by}` : ""}`,
    )
    .bind(tenant, fromMs, toMs)
    .all();
  return results;
}

interface Row {
  state: string;
  error_code: string | null;
  created_ms: number;
  finished_ms: number;
  submitted_ms: number;
  price_credits: number;
  charged: number;
}

async function countedOverview(nowMs: number, days: number) {
  const { results } = await db
    .prepare(
      "SELECT *, iif(state = 'completed', json_array_length(images), 0) AS charged FROM tasks ORDER BY created_ms",
    )
    .all<Row>();
  const since = (ms: number) => results.filter((row) => row.created_ms >= ms);
  const all = since(Math.floor(nowMs / dayMs - days) * dayMs);
  const recent = since(Math.floor(nowMs / hourMs - 24) * hourMs);
  const sum = (rows: Row[], of: (row: Row) => number) => rows.reduce((n, row) => n + of(row), 0);
  const times = recent
    .filter(({ state }) => state === "completed")
    .map((row) => row.finished_ms - row.created_ms)
    .toSorted((x, y) => x - y);
  return {
    days: [...Map.groupBy(all, (row) => new Date(row.created_ms).toISOString().slice(0, 10))].map(
      ([date, rows]) => ({
        date,
        tasks: rows.length,
        images: sum(rows, ({ charged }) => charged),
        credits: sum(rows, (row) => row.charged * row.price_credits),
        failed: rows.filter(({ state }) => state === "failed").length,
      }),
    ),
    recentTasks: recent.length,
    failures: Object.fromEntries(
      [...Map.groupBy(recent, (row) => row.error_code)]
        .filter(([code]) => code !== null)
        .map(([code, rows]) => [code, rows.length]),
    ),
    lastAcceptedMs: recent.length === 0 ? null : Math.max(...recent.map((row) => row.submitted_ms)),
    times: [0.5, 0.95].map((share) => times[Math.ceil(times.length * share) - 1] ?? null),
  };
}

async function expectAllOnce(nowMs: number): Promise<void> {
  const from = nowMs - 3 * dayMs;
  const today = Math.floor(nowMs / dayMs) * dayMs;
  const periods = [
    [from - (from % dayMs), nowMs + 1],
    [today - dayMs, today],
    // Both ends within a day; both within one day.
    [from + 5_000_000, today - 7_000_000],
    [today - dayMs + 3_000_000, today - dayMs + 50_000_000],
    [nowMs - 30 * minuteMs, nowMs - 2 * minuteMs],
  ] as const;
  for (const [fromMs, toMs] of periods) {
    for (const tenant of [null, "acme", "none"]) {
      for (const groups of [[], ["day"], ["day", "model"], usageGroups] as const) {
        const found = await readUsage(db, tenant, fromMs, toMs, groups);
        expect(found).toEqual(await counted(tenant, fromMs, toMs, groups));
      }
    }
  }
  const { times, ...rest } = await countedOverview(nowMs, 30);
  const { days, recentTasks, failures, lastAcceptedMs, timeToPictureMs } = await readOverview(db, nowMs);
  expect({ days, recentTasks, failures, lastAcceptedMs }).toEqual(rest);
  const { p50, p95 } = timeToPictureMs;
  for (const [place, found] of [p50, p95].entries()) {
    const exact = times[place] ?? null;
    if (exact === null) expect(found).toBeNull();
    else expect(Math.abs((found ?? 0) / exact - 1)).toBeLessThan(0.1);
  }
}

const [open, ends] = [
  ["queued", "submitting", "submitted", "storing"],
  ["completed", "completed", "completed", "failed", "cancelled"],
];

describe("use and overview", () => {
  it.each([1, 2, 3])("are those of all tasks, whatever happens in which order (seed %i)", async (seed) => {
    const chance = chanceOf(seed);
    const codes = ["task_timeout", "content_policy_violation"];
    const task = (createdMs: number, state: string): Made => ({
      createdMs,
      state,
      tenant: chance.pick(["acme", "beta", "gamma"]),
      key: chance.pick(["key-1", "key-2"]),
      model: chance.pick(["std", "pro"]),
      images: chance.between(0, 4),
      price: chance.pick([30, 75]),
      hidden: state === "failed" && chance.between(0, 1) ? 1 : 0,
      errorCode: state === "failed" ? chance.pick(codes) : null,
      takesMs: chance.between(5_000, 400_000),
    });
    let nowMs = noonMs - 3 * dayMs;
    for (let step = 0; step < 40; step++) {
      nowMs += chance.between(minuteMs, 3 * hourMs);
      const at = () => nowMs - chance.between(0, chance.pick([minuteMs, hourMs, dayMs]));
      const rows = Array.from({ length: 6 }, () => task(at(), chance.pick([...open, ...ends])));
      await db.batch(rows.map((row) => insert(db, row)));
      // Some of those that are open end.
      for (const state of ends) {
        const failed = state === "failed";
        await db
          .prepare(
            `UPDATE tasks SET state = ?1, open = 0, finished_ms = ?2, error_code = ?3, hidden = ?4
             WHERE id IN (SELECT id FROM tasks WHERE open = 1 ORDER BY due_ms % 7, id LIMIT 2)`,
          )
          .bind(state, nowMs, failed ? chance.pick(codes) : null, failed ? chance.between(0, 1) : 0)
          .run();
      }
      if (step % 3 === 0) await Promise.all([addUp(db, nowMs), addUp(db, nowMs)]);
      if (step % 5 === 0) await expectAllOnce(nowMs);
    }
    await addUp(db, nowMs + hourMs);
    await expectAllOnce(nowMs);
    const kept = await db.prepare("SELECT sum(tasks) AS n FROM daily_totals").all<{ n: number }>();
    expect(kept.results[0]?.n).toBeGreaterThan(100);
  });
});

/** Rows of so many tasks that have ended, spread over a second, over tenants. */
const insertMany = (count: number, tenants: number, createdMs: number) =>
  db
    .prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata, price_credits,
         created_ms, deadline_ms, due_ms, attempts, images, finished_ms)
       WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
       SELECT ?1 || printf('%021d', i), 't-' || (i % ${tenants}), 'key-1', 'req-1', 'https://gateway.example', 'completed', 0, 'm',
         '{}', '{}', 30, ?2, ?2, ?2, 1, '[{"id":"img-1"}]', ?2 + 30000 FROM n`,
    )
    .bind(formatId("task", createdMs, new Uint8Array()), createdMs)
    .run();

async function rowsOf(work: (metered: D1Database) => Promise<unknown>): Promise<D1Usage> {
  const rows = { rowsRead: 0, rowsWritten: 0 };
  const count = (usage: D1Usage) => {
    rows.rowsRead += usage.rowsRead;
    rows.rowsWritten += usage.rowsWritten;
  };
  await work(measureDatabase(db, (call) => call(), count));
  return rows;
}

describe("adding up", () => {
  const isDue = async (nowMs: number) => areSumsDue(await selectSumsDue(db, nowMs).all());

  it("begins once 4,000 tasks are ten minutes old, or one has waited for an hour, or a late one has ended", async () => {
    expect(await isDue(noonMs)).toBe(false);
    await insertMany(3_999, 10, noonMs);
    expect(await isDue(noonMs + 11 * minuteMs)).toBe(false);
    expect(await isDue(noonMs + 69 * minuteMs)).toBe(false);
    expect(await isDue(noonMs + 71 * minuteMs)).toBe(true);
    await insert(db, { createdMs: noonMs, state: "queued" }).run();
    expect(await isDue(noonMs + 9 * minuteMs)).toBe(false);
    expect(await isDue(noonMs + 11 * minuteMs)).toBe(true);
    await addUp(db, noonMs + 11 * minuteMs);
    expect(await isDue(noonMs + dayMs)).toBe(false);
    await db.prepare("UPDATE tasks SET state = 'failed', open = 0 WHERE open = 1").run();
    expect(await isDue(noonMs + dayMs)).toBe(true);
    await addUp(db, noonMs + dayMs);
    expect(await isDue(noonMs + dayMs)).toBe(false);
    await insert(db, { createdMs: noonMs - dayMs, state: "completed" }).run();
    expect(await isDue(noonMs + dayMs)).toBe(true);
  });

  it("writes a quarter of a row for each of 4,000 tasks of 1,000 tenants, and reads ten", async () => {
    await insertMany(4_000, 1_000, noonMs - dayMs);
    // The first sum of a day is its index entry too.
    await addUp(db, noonMs);
    await insertMany(4_000, 1_000, noonMs - dayMs + 1);
    const { rowsRead, rowsWritten } = await rowsOf((metered) => addUp(metered, noonMs));
    expect(rowsWritten / 4_000).toBeGreaterThan(0.2);
    expect(rowsWritten / 4_000).toBeLessThanOrEqual(0.26);
    expect(rowsRead / 4_000).toBeLessThanOrEqual(10);
  });

  it("takes 20,000 at a time, and says whether there are more", async () => {
    await insertMany(20_001, 3, noonMs - dayMs);
    expect([await addUp(db, noonMs), await addUp(db, noonMs)]).toEqual([true, false]);
    expect(await readUsage(db, null, 0, noonMs, [])).toMatchObject([{ tasks: 20_001, images: 20_001 }]);
  });

  it("costs a new task no row, and keeps outcomes by the hour for two days", async () => {
    const before = await rowsOf((metered) =>
      insert(metered, { createdMs: noonMs, state: "submitted" }).run(),
    );
    await insert(db, { createdMs: noonMs - 2 * dayMs, state: "completed" }).run();
    await addUp(db, noonMs);
    const after = await rowsOf((metered) =>
      insert(metered, { createdMs: noonMs + 1, state: "submitted" }).run(),
    );
    expect(after.rowsWritten).toBe(before.rowsWritten);
    const hours = async () => (await db.prepare("SELECT hour FROM hourly_outcomes").all()).results.length;
    expect(await hours()).toBe(1);
    await addUp(db, noonMs + dayMs);
    expect(await hours()).toBe(0);
  });

  it("counts an erased task as it was charged, whether it is erased before or afterwards", async () => {
    for (const createdMs of [noonMs - dayMs, noonMs - hourMs]) {
      await insert(db, { createdMs, state: "completed", images: 2 }).run();
    }
    const sums = () => readUsage(db, "acme", 0, noonMs, ["day"]);
    const before = await sums();
    const some = { limit: 1, leaseUntilMs: noonMs };
    const [first] = await redactTasks(db, "acme", { beforeId: "task-~", afterId: "" }, some);
    await addUp(db, noonMs - 2 * hourMs);
    await addUp(db, noonMs);
    const [second] = await redactTasks(db, "acme", { beforeId: "task-~", afterId: first?.id ?? "" }, some);
    await markTombstoned(db, [first?.id ?? "", second?.id ?? ""]);
    expect(await sums()).toEqual(before);
    expect(before).toMatchObject([
      { tasks: 1, images: 2 },
      { tasks: 1, images: 2 },
    ]);
  });
});

describe("a period that cuts days", () => {
  const reads = (fromMs: number, toMs: number, tenant: string | null = "t-0") =>
    readUsage(db, tenant, fromMs, toMs, []).then(
      ([row]) => row?.tasks,
      (error: unknown) => (error instanceof UsageTooLarge ? error.of : error),
    );

  it("is counted task by task, and refused where tasks are archived", async () => {
    const old = noonMs - 40 * dayMs;
    await insertMany(1, 1, old);
    await insert(db, { createdMs: noonMs - hourMs, state: "completed" }).run();
    await addUp(db, noonMs);
    expect([await reads(old - 1, noonMs), await reads(old + 1, noonMs), await reads(0, old)]).toEqual([
      1, 0, 0,
    ]);
    const { results } = await db.prepare("SELECT id FROM tasks ORDER BY id").all<{ id: string }>();
    await db.batch([
      db
        .prepare(
          `INSERT INTO task_parts (tenant_id, last_id, key, first_id, tasks, id_tags, end_user_tags)
           VALUES ('t-0', ?1, 'key', ?1, 1, '', '')`,
        )
        .bind(results[0]?.id ?? ""),
      db.prepare("DELETE FROM tasks"),
    ]);
    for (const [tenant, others] of [
      ["t-0", 0],
      [null, 1],
    ] as const) {
      expect(await reads(old - 1, noonMs, tenant)).toBe("cut");
      expect(await reads(0, old + 1, tenant)).toBe("cut");
      expect(await reads(old - 12 * hourMs, noonMs, tenant)).toBe(1 + others);
      expect(await reads(old + dayMs, noonMs, tenant)).toBe(others);
    }
    expect(await reads(old - 1, noonMs, "t-1")).toBe(0);
  });

  it("is refused for more tasks, or sums, than one reply adds up, and whole days of as many tasks are not", async () => {
    await insertMany(50_001, 1, noonMs - dayMs);
    for (let i = 0; i < 3; i++) await addUp(db, noonMs);
    expect(await reads(noonMs - dayMs - 1, noonMs)).toBe("cut");
    expect(await reads(noonMs - 36 * hourMs, noonMs)).toBe(50_001);
    expect(await reads(noonMs - dayMs + 1, noonMs)).toBe(0);
    await db
      .prepare(
        `INSERT INTO usage_days (tenant_id, day, key_id, model, tasks, images, credits)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
         SELECT 'many-' || i, '2031-05-01', 'key-1', 'm', 1, 1, 30 FROM n`,
      )
      .run();
    expect(await readUsage(db, null, noonMs - 30 * dayMs, noonMs + 1, ["day"])).toHaveLength(1);
    await expect(readUsage(db, null, 0, noonMs + 1, ["model"])).rejects.toMatchObject({ of: "sums" });
    await expect(readUsage(db, null, 0, noonMs + 1, ["tenant"])).rejects.toMatchObject({ of: "rows" });
  });
});
