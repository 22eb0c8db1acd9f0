/** Ended tasks that one store has lost, more than one slice compares: each is named until its operator has made up for it. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { copyTask } from "../../helpers/archived.ts";
import { credit } from "../../helpers/credits.ts";
import { finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { backUpDatabase } from "../../helpers/restored-stores.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf, partsOf, stubOf } from "../../helpers/tenant-object.ts";

const minuteMs = 60_000;
const most = 1_300;
const unlimited = { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null };
let gateway: TestGateway;
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
  tenant = await gateway.makeTenant({ balance: 1_000_000, limits: unlimited });
});

interface Page {
  ok: boolean;
  data: { kind: string; tenant: string | null; subject: string | null; text: string }[];
  next_cursor: string | null;
  tenants_checked: number;
}

/** All pages of an audit. */
async function audit(method: "GET" | "POST" = "GET", path = "/audit"): Promise<Page[]> {
  const pages: Page[] = [];
  for (let cursor: string | null = ""; cursor !== null; cursor = pages.at(-1)?.next_cursor ?? null) {
    const response = await gateway.admin(method, `${path}?cursor=${cursor}`);
    expect(response.status).toBe(200);
    pages.push((await response.json()) as Page);
    expect(pages.length).toBeLessThan(50);
  }
  return pages;
}
const named = (pages: Page[], kind: string) =>
  new Set(pages.flatMap(({ data }) => data.filter((one) => one.kind === kind).map(({ subject }) => subject)));

async function ended(): Promise<string> {
  const { id } = await submitTask(gateway, tenant.key, { seed: 7 });
  await finishTask(gateway, tenant.key, id);
  return id;
}

/** Entries like the newest one, each of a task that D1 does not have. */
async function chargeLost(count: number): Promise<void> {
  await runInDurableObject(objectOf(tenant.id), (_object, { storage: { sql } }) => {
    sql.exec(
      `INSERT INTO entries
       SELECT seq + 2 * i, type, at_ms + i, amount, released, reference, note, balance - amount * i, held, hold_seq + 2 * i,
         'task-lost' || i, key_id, hold_at_ms + i, images, price, hold_balance - amount * i, hold_held, replay, fingerprint, answered,
         oldest_open + 2 * i, json_set(state, '$[1]', (state ->> '$[1]') + amount * i, '$[3]', seq + 2 * i)
       FROM (SELECT * FROM entries ORDER BY seq DESC LIMIT 1),
         (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n)`,
      count,
    );
  });
}

describe("tasks that D1 has lost", () => {
  it("are all named, page by page, and none of the pages says that all is well before", async () => {
    const kept = await ended();
    await chargeLost(most);
    gateway.advance(6 * minuteMs);
    for (const [method, path] of [
      ["GET", "/audit"],
      ["POST", "/audit"],
      ["POST", "/audit/full"],
    ] as const) {
      const pages = await audit(method, path);
      expect(named(pages, "task").size).toBe(most);
      expect(named(pages, "task")).not.toContain(kept);
      expect(named(pages, "balance").size).toBe(0);
      expect(pages.length).toBeGreaterThan(1);
      expect(pages.every(({ ok, next_cursor }) => !ok || next_cursor === null)).toBe(true);
      expect(pages.reduce((sum, page) => sum + page.tenants_checked, 0)).toBe(path === "/audit" ? 0 : 1);
    }
  });

  it("are all named by cron, in turns", async () => {
    await ended();
    await chargeLost(most);
    for (let i = 0; i < 60; i++) {
      gateway.advance(minuteMs);
      await gateway.tick();
    }
    const subjects = gateway.logs.flatMap(({ event, kind, subject }) =>
      event === "discrepancy" && kind === "task" ? [subject] : [],
    );
    expect(new Set(subjects).size).toBe(most);
  });

  it("stay named however much comes after them, until their credits are given back by their ids", async () => {
    const restore = await backUpDatabase();
    const [lost, made] = [await ended(), await ended()];
    await restore();
    await chargeLost(600);
    await credit(gateway, tenant.id, { type: "refund", amount: 30, reference: made });
    gateway.advance(6 * minuteMs);
    const tasks = named(await audit(), "task");
    expect([tasks.has(lost), tasks.has(made)]).toEqual([true, false]);
    await credit(gateway, tenant.id, { type: "refund", amount: 30, reference: lost });
    expect(named(await audit(), "task").size).toBe(600);
  });
});

describe("tasks that a tenant's object has lost", () => {
  it("are all named, until they are charged by their ids", async () => {
    const like = await ended();
    const ids = await copyTask(
      like,
      Array.from({ length: most }, (_, i) => ({ createdMs: gateway.now() - 1_000 - i })),
    );
    const number = "(SELECT hold_number FROM tasks WHERE id = ?1)";
    await env.DB.prepare(`UPDATE tasks SET hold_number = ${number} WHERE id <> ?1`).bind(like).run();
    gateway.advance(6 * minuteMs);
    const pages = await audit();
    expect(named(pages, "hold")).toEqual(new Set(ids));
    expect(pages.length).toBeGreaterThan(1);
    const [one] = ids;
    await credit(gateway, tenant.id, { type: "adjustment", amount: -30, reference: one ?? "" });
    expect(named(await audit(), "hold")).toEqual(new Set(ids.slice(1)));
  });
});

it("comparing leaves the ledger to be closed", async () => {
  for (let i = 0; i < 3; i++) await ended();
  gateway.advance(6 * minuteMs);
  expect((await audit()).every(({ ok }) => ok)).toBe(true);
  gateway.advance(40 * 86_400_000);
  await ended();
  await audit();
  gateway.advance(40 * 86_400_000);
  await stubOf(tenant.id).closeBooks(gateway.now());
  expect(await partsOf(tenant.id)).not.toEqual([]);
});

describe("an audit of more than one call", () => {
  it("checks every tenant, whether or not one before it has more than a call compares", async () => {
    const others = await Promise.all(["aaa", "zzz"].map((id) => gateway.makeTenant({ id })));
    await ended();
    await chargeLost(most);
    gateway.advance(6 * minuteMs);
    for (const { id } of others)
      await env.DB.prepare("UPDATE tenants SET limits = '{\"images_per_day\":1}' WHERE id = ?1")
        .bind(id)
        .run();
    const pages = await audit();
    expect(named(pages, "task").size).toBe(most);
    const settings = pages.flatMap(({ data }) => data.filter(({ kind }) => kind === "settings"));
    expect(new Set(settings.map((one) => one.tenant))).toEqual(new Set(["aaa", "zzz"]));
  });

  it("says how many overdue tasks it does not show", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    await gateway.invocation().tenant(tenant.id).flush();
    await copyTask(
      id,
      Array.from({ length: 119 }, (_, i) => ({ createdMs: gateway.now() - i })),
    );
    gateway.advance(4 * 3_600_000);
    const found = (await audit()).flatMap(({ data }) => data).filter(({ kind }) => kind === "overdue");
    expect(found).toHaveLength(101);
    expect(found.at(-1)).toMatchObject({ subject: null, text: expect.stringMatching(/^20 more/) });
  });
});
