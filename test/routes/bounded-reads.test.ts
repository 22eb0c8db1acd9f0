/**
 * What each call reads in D1 beside 200,000 tasks and as many deliveries, half of them one tenant's: a number that is stated,
 * in `docs/scaling.md` too, and does not follow from how many there are. And no statement of all these calls goes through a
 * table that grows.
 */
import { env } from "cloudflare:workers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { addUp } from "../../src/d1/cron/sums.ts";
import { idBound } from "../../src/domain/ids.ts";
import { credit } from "../helpers/credits.ts";
import { draw, fileOf, upload } from "../helpers/files.ts";
import { bearer, finishTask, startGateway, submitTask, upstreamOrigin } from "../helpers/gateway.ts";
import { submit } from "../helpers/routes.ts";
import { startAnew } from "../helpers/setup.ts";

const many = 200_000;
const [hourMs, dayMs] = [3_600_000, 86_400_000];
const gateway = startGateway({ vars: { POLL_ROUND_SECONDS: 2 } });
const statements = new Set<string>();
let big = { id: "", key: "", keyId: "" };
let none = big;
/** Tasks of `big`, of ten days ago. */
let [oldTask, otherTask] = ["", ""];

/** A statement of the test's own. */
const unrecorded = (query: string) =>
  (Object.getPrototypeOf(env.DB) as D1Database).prepare.call(env.DB, query);

const numbers = (count: number) =>
  `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})`;

/** The time of a sortable id, as SQL: ten digits of base 32. */
const timeOf = (ms: string) =>
  Array.from(
    { length: 10 },
    (_, i) => `substr('0123456789abcdefghjkmnpqrstvwxyz', ((${ms}) >> ${5 * (9 - i)}) % 32 + 1, 1)`,
  ).join(" || ");

beforeAll(async () => {
  await startAnew();
  big = await gateway.makeTenant({ id: "big", limits: { concurrent_tasks: null } });
  none = await gateway.makeTenant({ id: "none" });
  const nowMs = gateway.now();
  // Evenly over 25 days, up to now; every second one is the big tenant's, and one of a hundred failed.
  const at = `CAST(?1 - (${many} - i) * ${(25 * dayMs) / many} AS INTEGER)`;
  await env.DB.batch([
    env.DB.prepare(
      `INSERT INTO tasks (id, tenant_id, key_id, request_id, origin, state, open, model, input, metadata, end_user, price_credits,
         created_ms, deadline_ms, due_ms, attempts, submitted_ms, images, finished_ms, error_code)
       SELECT 'task-' || ${timeOf("at")} || printf('%021d', i), tenant, 'key-1', 'req-' || i, 'https://gateway.example',
         iif(i % 100 < 2, 'failed', 'completed'), 0, 'wan-2.7-image', '{"prompt":"a boat","n":1}', '{}', 'user-' || (i % 500), 30,
         at, at + ${hourMs}, at, 1, at, '[]', at + 20000 + i % 30000, iif(i % 100 < 2, 'task_timeout', NULL)
       FROM (${numbers(many)} SELECT i, ${at} AS at, iif(i % 2, 'big', 't-' || (i / 2 % 1000)) AS tenant FROM n)`,
    ).bind(nowMs),
    env.DB.prepare(
      `INSERT INTO deliveries (id, tenant_id, endpoint, event, task_id, open, state, created_ms, due_ms, attempts)
       SELECT 'msg-' || substr(id, 6) || '-w', tenant_id, 'webhook', 'task.' || state, id, 0, 'delivered', finished_ms, finished_ms, 1
       FROM tasks`,
    ),
    env.DB.prepare(
      `INSERT INTO tenants (id, name, limits, pushed_version, created_ms)
       SELECT 't-' || i, 'Many', '{}', 1, ?1 FROM (${numbers(1_000)} SELECT i FROM n)`,
    ).bind(nowMs),
    env.DB.prepare(
      `INSERT INTO audit_log (id, at_ms, actor, action, tenant_id, details, request_id)
       SELECT 'act-' || ${timeOf("at")} || printf('%016d', i), at, 'admin', 'tenant.change', 'big', '{}', 'req-1'
       FROM (${numbers(5_000)} SELECT i, ?1 - i AS at FROM n)`,
    ).bind(nowMs),
  ]);
  const bound = idBound("task", nowMs - 10 * dayMs);
  const { results } = await env.DB.prepare(
    "SELECT id FROM tasks WHERE id > ?1 AND tenant_id = 'big' ORDER BY id LIMIT 2",
  )
    .bind(bound)
    .all<{ id: string }>();
  [oldTask = "", otherTask = ""] = results.map(({ id }) => id);
  for (let i = 0; i < many / 20_000; i++) await addUp(env.DB, nowMs);
  env.DB.prepare = (query) => {
    statements.add(query);
    return unrecorded(query);
  };
}, 60_000);

afterAll(() => {
  env.DB.prepare = (Object.getPrototypeOf(env.DB) as D1Database).prepare;
});

/** Rows that calls read, what they leave beside their replies included. */
async function rowsOf(...calls: (() => Promise<unknown>)[]): Promise<number> {
  const logged = gateway.logs.length;
  for (const call of calls) {
    const response = await call();
    if (!(response instanceof Response)) continue;
    expect([response.url, response.status < 300, response.status]).toEqual([
      response.url,
      true,
      response.status,
    ]);
    await response.body?.cancel();
  }
  return gateway.logs.slice(logged).reduce((sum, line) => sum + Number(line.rows_read ?? 0), 0);
}

const own =
  (path: string, tenant = () => big) =>
  () =>
    gateway.fetch(path, { headers: bearer(tenant().key) });
const operators = (path: string) => () => gateway.admin("GET", path);

const readiness = () => {
  // An answer is kept for ten seconds.
  gateway.advance(11_000);
  return gateway.fetch("/readyz");
};

/** A page's rows, those that a filter examines, and those that find where that ended. */
const [page, tenantsWalk, operatorsWalk] = [50, 2_100, 20_100];

it.each<[string, number, () => Promise<Response>]>([
  ["a task", 10, () => own(`/v1/tasks/${oldTask}`)()],
  ["tasks", page, own("/v1/tasks")],
  [
    "tasks of a time",
    page,
    () => own(`/v1/tasks?created_before=${Math.floor(gateway.now() / 1000) - 864_000}`)(),
  ],
  ["tasks of an end user", page, own("/v1/tasks?end_user=user-3")],
  ["tasks of a status that none has", tenantsWalk, own("/v1/tasks?status=processing")],
  ["tasks that were cancelled", tenantsWalk, own("/v1/tasks?status=cancelled")],
  ["tasks of a model that none has", tenantsWalk, own("/v1/tasks?model=wan-2.7-image-pro")],
  ["use", 200, own("/v1/usage")],
  ["use of a year", 200, own("/v1/usage?from=2029-01-01")],
  ["use that cuts a day", 8_000, () => own(`/v1/usage?from=${Math.floor(gateway.now() / 1000) - 864_000}`)()],
  ["use of a tenant without a task", 20, own("/v1/usage", () => none)],
  ["deliveries", page, own("/v1/webhook/deliveries")],
  ["deliveries that failed", tenantsWalk, own("/v1/webhook/deliveries?status=failed")],
  ["deliveries of a task", page, () => own(`/v1/webhook/deliveries?task=${oldTask}`)()],
  ["ledger", page, own("/v1/ledger")],
  ["keys", page, own("/v1/keys")],
  ["webhook", page, own("/v1/webhook")],
  ["all tasks", page, operators("/tasks")],
  ["all tasks of a tenant", page, operators("/tasks?tenant=big")],
  ["all tasks of a status that none has", operatorsWalk, operators("/tasks?status=cancelled")],
  ["all tasks of an end user", operatorsWalk, operators("/tasks?end_user=none")],
  ["all tasks of a request", operatorsWalk, operators("/tasks?request_id=req-1")],
  ["any task", 10, () => operators(`/tasks/${oldTask}`)()],
  ["all deliveries", page, operators("/webhooks")],
  ["all deliveries that failed", operatorsWalk, operators("/webhooks?status=failed")],
  ["all deliveries of a task", page, () => operators(`/webhooks?task=${oldTask}`)()],
  ["all use", 100_000, operators("/usage")],
  ["all use by day", 1_000, operators("/usage?group=day")],
  ["all use of a tenant", 200, operators("/usage?tenant=big")],
  ["overview", 2_000, operators("/overview")],
  ["overview of a year", 2_000, operators("/overview?days=366")],
  ["tenants", 2 * page, operators("/tenants")],
  ["a tenant", page, operators("/tenants/big")],
  ["a tenant's keys", page, operators("/tenants/big/keys")],
  ["a tenant's ledger", page, operators("/tenants/big/ledger")],
  ["audit", 10_000, operators("/audit")],
  ["readiness", page, readiness],
])("reads few rows: %s", async (_name, most, call) => {
  const rows = await rowsOf(call);
  expect(rows).toBeLessThanOrEqual(most);
});

/** With a body, as JSON, by the big tenant's key. */
const ask = (method: string, path: string, body?: object) =>
  gateway.fetch(path, {
    method,
    headers: { ...bearer(big.key), ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
  });

describe("what changes something", () => {
  const { script } = gateway.simulator.control;
  const idOf = async (response: Response) => ((await response.json()) as { id: string }).id;

  it.each<[string, number, () => Promise<(() => Promise<unknown>)[]>]>([
    ["a submission", 20, async () => [() => submit(gateway, big.key)]],
    [
      "a picture, from its submission to its webhook, with the ticks between",
      5_000,
      async () => {
        const body = { url: `${upstreamOrigin}/hook` };
        expect((await ask("PUT", "/v1/webhook", body)).status).toBeLessThan(300);
        const { id } = await submitTask(gateway, big.key);
        return [() => finishTask(gateway, big.key, id)];
      },
    ],
    [
      "a cancellation",
      150,
      async () => {
        script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 1 } });
        const { id } = await submitTask(gateway, big.key);
        return [() => ask("POST", `/v1/tasks/${id}/cancel`)];
      },
    ],
    ["an erased task", page, async () => [() => ask("DELETE", `/v1/tasks/${oldTask}`)]],
    ["an erased end user", 5_000, async () => [() => ask("DELETE", "/v1/end-users/user-7")]],
    [
      "a key",
      300,
      async () => {
        const id = await idOf(await ask("POST", "/v1/keys", { name: "own", kind: "secret" }));
        return [
          () => ask("POST", "/v1/keys", { name: "more", kind: "secret" }),
          () => ask("POST", `/v1/keys/${id}/rotate`, { overlap_seconds: 60 }),
          () => ask("DELETE", `/v1/keys/${id}`),
        ];
      },
    ],
    [
      "a delivery that is tried again",
      page,
      async () => [() => ask("POST", `/v1/webhook/deliveries/msg-${oldTask.slice(5)}-w/retry`)],
    ],
    [
      "a tenant",
      300,
      async () => [
        () => gateway.admin("POST", "/tenants", { id: "new", name: "New" }),
        () => gateway.admin("PATCH", "/tenants/new", { name: "Newer" }),
        () => credit(gateway, "new"),
        () => gateway.admin("DELETE", "/tenants/new"),
      ],
    ],
    [
      "an operator's task",
      150,
      async () => {
        script({ on: "submit", times: 1, do: { kind: "plan", seconds: 900 } });
        const { id } = await submitTask(gateway, big.key);
        return [
          () => gateway.admin("POST", `/tasks/${id}/refresh`),
          () => gateway.admin("POST", `/tasks/${id}/fail`),
        ];
      },
    ],
    [
      "an uploaded file",
      page,
      async () => {
        const { id } = await fileOf(await upload(gateway, big.key, await draw("png")));
        return [() => ask("DELETE", `/v1/files/${id}`)];
      },
    ],
  ])("reads few rows: %s", async (_name, most, calls) => {
    const rows = await rowsOf(...(await calls()));
    expect(rows).toBeLessThanOrEqual(most);
  });
});

describe("a tick", () => {
  const tickRows = () => rowsOf(() => gateway.tick());

  it("with nothing due reads a row a round, and little more", async () => {
    await gateway.tick();
    await gateway.tick();
    const rows = await tickRows();
    expect(rows).toBeLessThanOrEqual(100);
  });

  it("reconciles, at its minute, a few tenants, and finds what is old", async () => {
    // To a full hour, for whose end a tenant keeps its tasks, and half of all deliveries are old.
    gateway.advance(hourMs - (gateway.now() % hourMs));
    await unrecorded("UPDATE tenants SET retention_days = 30 WHERE id = 't-7'").run();
    const rows = await tickRows();
    expect(rows).toBeLessThanOrEqual(30_000);
  });
});

describe("beside 20,000 tasks that wait", () => {
  let last = "";
  beforeAll(async () => {
    const dueMs = gateway.now() + dayMs;
    await unrecorded(
      `UPDATE tasks SET state = 'queued', open = 1, finished_ms = NULL, error_code = NULL, deadline_ms = ?1, due_ms = ?1
       WHERE id IN (SELECT id FROM tasks ORDER BY id DESC LIMIT 20000)`,
    )
      .bind(dueMs)
      .run();
    const { results } = await unrecorded(
      "SELECT max(id) AS id FROM tasks WHERE tenant_id = 'big' AND open = 1",
    ).all<{
      id: string;
    }>();
    last = results[0]?.id ?? "";
  });

  it.each<[string, number, () => Promise<Response>]>([
    ["one of them", 300, () => own(`/v1/tasks/${last}`)()],
    ["one that does not wait", 10, () => own(`/v1/tasks/${otherTask}`)()],
    ["overview", 2_000, operators("/overview?days=31")],
    ["readiness", 2_100, readiness],
    ["tasks of a status", page, own("/v1/tasks?status=pending")],
  ])("reads few rows: %s", async (_name, most, call) => {
    const rows = await rowsOf(call);
    expect(rows).toBeLessThanOrEqual(most);
  });

  it("a place in the queue is the least that it can be", async () => {
    const response = await own(`/v1/tasks/${last}`)();
    expect(await response.json()).toMatchObject({ status: "pending", task_info: { queue_position: 101 } });
  });
});

describe("beside 200,000 tasks in no sum, 20,000 of which wait", () => {
  const overview = async (query = "") =>
    (await (await operators(`/overview${query}`)()).json()) as {
      complete: boolean;
      tasks_by_state: Record<string, number>;
      days: { tasks: number }[];
    };
  const today = async () => (await overview()).days.at(-1)?.tasks ?? 0;
  beforeAll(async () => {
    await env.DB.batch(
      ["usage_cursor", "unsummed_tasks", "usage_days", "daily_totals", "hourly_outcomes"].map((table) =>
        unrecorded(`DELETE FROM ${table}`),
      ),
    );
    gateway.advance(5_000);
  });

  it("the overview reads the newest, and says that it lacks others", async () => {
    expect(await rowsOf(operators("/overview?days=31"))).toBeLessThanOrEqual(22_000);
    const { complete, tasks_by_state } = await overview();
    expect([complete, tasks_by_state]).toEqual([false, { queued: 10_000 }]);
  });

  it("the overview of other days reads nothing", async () => {
    for (const days of [1, 7, 366]) expect(await rowsOf(operators(`/overview?days=${days}`))).toBe(0);
  });

  it("ticks have added up what has ended some minutes later, and the overview is whole once few wait", async () => {
    for (let minute = 0; minute < 3; minute++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    expect(gateway.logs.filter(({ event }) => event === "summed").length).toBeGreaterThan(0);
    gateway.advance(5_000);
    // Those that wait for longer than ten minutes are in no sum, and read one by one.
    expect(await rowsOf(operators("/overview"))).toBeLessThanOrEqual(40_000);
    expect(await overview()).toMatchObject({ complete: false });
    const { results } = await unrecorded("SELECT sum(tasks) AS tasks FROM daily_totals").all();
    expect(results).toEqual([{ tasks: expect.any(Number) }]);
    await unrecorded(
      "UPDATE tasks SET state = 'failed', open = 0, error_code = 'task_timeout' WHERE open = 1",
    ).run();
    gateway.advance(60_000);
    await gateway.tick();
    gateway.advance(5_000);
    expect(await overview()).toMatchObject({ complete: true, tasks_by_state: {} });
    const day = new Date(gateway.now()).toISOString().slice(0, 10);
    const counted = await unrecorded(
      "SELECT count(*) AS tasks FROM tasks WHERE date(created_ms / 1000, 'unixepoch') = ?1",
    )
      .bind(day)
      .all<{ tasks: number }>();
    expect(await today()).toBe(counted.results[0]?.tasks);
  });
});

/** What may be gone through, as SQLite calls it, and why it is not long however old the installation is. */
const mayBeScanned: [RegExp, string][] = [
  [
    /^\(subquery-\d+\)$|^(made|person|turns|flying|tenants_due|unsummed|kind)$/,
    "what a part of the statement has found",
  ],
  [/^CONSTANT ROW$|VIRTUAL TABLE INDEX/, "what the statement was given"],
  [/^(usage_cursor|leases|work_items)$/, "a row, a row each lease, a row each work item"],
  [/ INDEX (tasks_open|tasks_erasing|files_erasing|deliveries_sending)$/, "open work alone"],
  [/ INDEX (tenants_to_erase|tenants_unpushed|erasures_in_turn)$/, "open work alone"],
  [/ INDEX tenants_with_retention$/, "tenants, once an hour"],
  [/ INDEX webhooks_switched_off$/, "has a limit"],
  [/^unsummed_tasks$/, "tasks that are open, and those that came late"],
];
const mayScan: [string, RegExp, string][] = [
  [
    "tasks",
    /^SELECT DISTINCT tenant_id AS id FROM \( SELECT tenant_id FROM \(SELECT tenant_id FROM tasks ORDER BY id DESC LIMIT 1000\)/,
    "has a limit",
  ],
  ["task_parts USING COVERING INDEX task_parts_by_time", /^SELECT 1 FROM task_parts LIMIT 1$/, "has a limit"],
  [
    "tenants",
    /^SELECT id FROM tenants (WHERE deleted_ms IS NULL )?ORDER BY id LIMIT/,
    "tenants, once a tick",
  ],
];

it("no statement goes through a table that grows", async () => {
  expect(statements.size).toBeGreaterThan(110);
  const scans: string[] = [];
  for (const statement of statements) {
    const values = Math.max(
      (statement.match(/\?(?!\d)/g) ?? []).length,
      ...[...statement.matchAll(/\?(\d+)/g)].map(([, number]) => Number(number)),
    );
    const { results } = await unrecorded(`EXPLAIN QUERY PLAN ${statement}`)
      .bind(...Array<null>(values).fill(null))
      .all<{ detail: string }>();
    const text = statement.replace(/\s+/g, " ").trim();
    for (const { detail } of results) {
      const [, scanned] = /^SCAN (.*?):?$/.exec(detail) ?? [];
      if (scanned === undefined || mayBeScanned.some(([one]) => one.test(scanned))) continue;
      if (!mayScan.some(([table, one]) => table === scanned && one.test(text)))
        scans.push(`${detail}: ${text}`);
    }
  }
  expect(scans).toEqual([]);
});
