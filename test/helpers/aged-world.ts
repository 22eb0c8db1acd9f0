/**
 * A gateway that has run for a year: a tenant with very many tasks, a thousand others, all that cron does meanwhile done, and
 * beside it a young one that has made what the old one made today. What each call costs either is measured.
 */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { archiveTenant } from "../../src/flows/archive/archive-tasks.ts";
import { copyTask, dayMs } from "./archived.ts";
import { bearer, finishTask, startGateway, submitTask, type TestGateway } from "./gateway.ts";
import { objectOf, stubOf } from "./tenant-object.ts";

export interface World {
  gateway: TestGateway;
  id: string;
  key: string;
  /** A task of today, and of an aged world one of a year ago. */
  today: string;
  old: string | null;
}

const unlimited = {
  requests_per_minute: null,
  images_per_minute: null,
  concurrent_tasks: null,
  refusals_per_day: null,
};
const tasksToday = 60;

/** A tenant that begins today. */
export async function startYoung(): Promise<World> {
  const gateway = startGateway();
  const tenant = await gateway.makeTenant({ limits: unlimited });
  const { id: today } = await submitTask(gateway, tenant.key);
  await finishTask(gateway, tenant.key, today);
  await copyTask(
    today,
    Array.from({ length: tasksToday }, (_, i) => ({ createdMs: gateway.now() - i * 60_000 })),
  );
  return { gateway, ...tenant, today, old: null };
}

const days = 365;
const stepDays = 7;

/** Gives a young world a past. @param tasks Of its tenant; a tenth as many are others'. */
export async function age(
  young: World,
  tasks: number,
  others: number,
  show: (text: string) => void,
): Promise<World> {
  const { gateway, id, today } = young;
  const nowMs = gateway.now();
  const startMs = nowMs - days * dayMs;
  await addTenants(id, others);
  let old: string | null = null;
  for (let made = 0; made < tasks; made += 20_000) {
    const count = Math.min(20_000, tasks - made);
    const at = (i: number) => startMs + Math.floor(((made + i) * (days - 1) * dayMs) / tasks);
    const ids = await copyTask(
      today,
      Array.from({ length: count }, (_, i) => ({ createdMs: at(i) })),
    );
    old ??= ids[0] ?? null;
    const ofOthers = (i: number) => ({ createdMs: at(i * 10), tenantId: otherId((made / 10 + i) % others) });
    await copyTask(
      today,
      Array.from({ length: Math.floor(count / 10) }, (_, i) => ofOthers(i)),
    );
    show(`  ${made + count} of ${tasks} tasks`);
  }
  await ageLedger(id, tasks, startMs, show);
  await settle(young, others, show);
  return { ...young, old };
}

const otherId = (i: number) => `other-${String(i).padStart(5, "0")}`;

async function addTenants(like: string, count: number): Promise<void> {
  const { results } = await env.DB.prepare("SELECT name FROM pragma_table_info('tenants')").all<{
    name: string;
  }>();
  const names = results.map(({ name }) => name);
  const values = names.map((name) => (name === "id" ? "'other-' || printf('%05d', n.i)" : name));
  await env.DB.prepare(
    `INSERT INTO tenants (${names.join(", ")})
     SELECT ${values.join(", ")} FROM tenants,
       (WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?2 - 1) SELECT i FROM n) AS n
     WHERE tenants.id = ?1`,
  )
    .bind(like, count)
    .run();
}

/** Has the tenant's object settle as many tasks, week by week, and close what is old at each week's end. */
async function ageLedger(
  id: string,
  tasks: number,
  startMs: number,
  show: (text: string) => void,
): Promise<void> {
  const weeks = Math.ceil(days / stepDays);
  const perWeek = Math.floor(tasks / weeks);
  const everyMs = Math.floor((stepDays * dayMs) / Math.max(1, perWeek));
  // What there is by now was the beginning.
  await runInDurableObject(objectOf(id), (_object, { storage }) => {
    storage.sql.exec(
      "UPDATE entries SET at_ms = ?1, hold_at_ms = iif(hold_at_ms IS NULL, NULL, ?1)",
      startMs,
    );
  });
  for (let week = 0; week < weeks; week++) {
    const weekMs = startMs + week * stepDays * dayMs;
    await runInDurableObject(objectOf(id), (_object, { storage: { sql } }) => {
      // Like the newest entry, which ends a task of one image.
      sql.exec(
        `INSERT INTO entries
         SELECT seq + 2 * i, type, ?1 + ?2 * i, amount, released, reference, note, balance - amount * i, held, hold_seq + 2 * i,
           task_id, key_id, ?1 + ?2 * i, images, price, hold_balance - amount * i, hold_held, NULL, NULL, answered,
           oldest_open + 2 * i, json_set(state, '$[1]', state ->> '$[1]' + amount * i, '$[3]', seq + 2 * i)
         FROM (SELECT * FROM entries ORDER BY seq DESC LIMIT 1),
           (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?3) SELECT i FROM n)`,
        ...[weekMs, everyMs, perWeek],
      );
    });
    await stubOf(id).closeBooks(weekMs + stepDays * dayMs);
    if (week % 13 === 12) show(`  ${week + 1} of ${weeks} weeks of the ledger`);
  }
}

/** What cron has done by now, in a year of minutes. */
async function settle({ gateway, id }: World, others: number, show: (text: string) => void): Promise<void> {
  for (let before = "", now = await foldedTo(); now !== before; ) {
    gateway.advance(60_000);
    await gateway.tick();
    before = now;
    now = await foldedTo();
    show(`  added up to ${now}`);
  }
  // Each turn is another tick's.
  const archive = (tenantId: string) => archiveTenant(gateway.invocation(), tenantId, 50);
  let parts = 0;
  for (let written = -1; written !== 0; parts += written) {
    written = await archive(id);
    if (written > 0) show(`  ${parts + written} parts archived`);
  }
  for (let i = 0; i < others; i++) while ((await archive(otherId(i))) > 0);
  // What is left behind is swept.
  gateway.advance(60_000);
  await gateway.tick();
}

/** How far the sums go, and how many tasks before that are in none. */
async function foldedTo(): Promise<string> {
  const { results } = await env.DB.prepare(
    "SELECT (SELECT task_id FROM usage_cursor) AS upTo, (SELECT count(*) FROM unsummed_tasks) AS besides",
  ).all<{ upTo: string; besides: number }>();
  return `${results[0]?.upTo}, but for ${results[0]?.besides}`;
}

export interface Cost {
  rows: number;
  ms: number;
}

const runs = 5;

/** What calls cost: rows of D1, of the dearest of five runs, and milliseconds, their median. */
export async function costsOf({ gateway, id, key, today, old }: World): Promise<Record<string, Cost>> {
  const asTenant = (path: string, init: RequestInit = {}) =>
    gateway.fetch(path, { ...init, headers: bearer(key) });
  const from = Math.floor((gateway.now() - dayMs) / 1000);
  const calls: Record<string, () => Promise<unknown>> = {
    "submit a task": () => submitTask(gateway, key),
    "read a task": () => asTenant(`/v1/tasks/${today}`),
    "read a task of a year ago": () => asTenant(`/v1/tasks/${old ?? today}`),
    "list tasks": () => asTenant("/v1/tasks"),
    "list failed tasks": () => asTenant("/v1/tasks?status=failed"),
    "use of 30 days": () => asTenant("/v1/usage"),
    "ledger, a page": () => asTenant("/v1/ledger"),
    "ledger of a day, as CSV": () => asTenant(`/v1/ledger?format=csv&from=${from}`),
    overview: () => gateway.admin("GET", "/overview"),
    "tasks of all tenants": () => gateway.admin("GET", "/tasks"),
    "erase a task": () => eraseOne(gateway, key, today),
    "self-check": () => gateway.invocation().tenant(id).check(),
    // Its turns differ more than other calls do.
    "a tick, the dearest of five": () => gateway.tick(),
  };
  const costs: Record<string, Cost> = {};
  for (const [name, call] of Object.entries(calls)) costs[name] = await costOf(gateway, call);
  return costs;
}

async function eraseOne(gateway: TestGateway, key: string, like: string): Promise<void> {
  const [copied] = await copyTask(like, [{ createdMs: gateway.now() }]);
  const erased = await gateway.fetch(`/v1/tasks/${copied}`, { method: "DELETE", headers: bearer(key) });
  if (erased.status !== 204) throw new Error(`not erased: ${erased.status}`);
}

async function costOf(gateway: TestGateway, call: () => Promise<unknown>): Promise<Cost> {
  const times: number[] = [];
  let rows = 0;
  for (let run = 0; run < runs; run++) {
    gateway.advance(60_000);
    const logged = gateway.logs.length;
    const startMs = performance.now();
    const reply = await call();
    if (reply instanceof Response) await reply.arrayBuffer();
    times.push(performance.now() - startMs);
    const read = gateway.logs.slice(logged).map(({ rows_read }) => Number(rows_read ?? 0));
    rows = Math.max(rows, ...read);
  }
  return { rows, ms: times.toSorted((a, b) => a - b)[Math.floor(runs / 2)] ?? 0 };
}

export interface Sizes {
  databaseBytes: number;
  objectBytes: number;
  rowsOfTasks: number;
  parts: number;
}

export async function sizesOf({ id }: World): Promise<Sizes> {
  const { meta } = await env.DB.prepare("SELECT 1").run();
  const count = async (table: string) =>
    Number((await env.DB.prepare(`SELECT count(*) AS n FROM ${table}`).all<{ n: number }>()).results[0]?.n);
  const objectBytes = await runInDurableObject(
    objectOf(id),
    (_object, { storage }) => storage.sql.databaseSize,
  );
  return {
    databaseBytes: meta.size_after,
    objectBytes,
    rowsOfTasks: await count("tasks"),
    parts: await count("task_parts"),
  };
}
