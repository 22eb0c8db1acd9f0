/**
 * Tasks that have ended long ago leave D1 and answer as before: by id, in lists with every filter, to the operator. What dies,
 * fails or changes in between loses nothing and leaves no text behind.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { readCandidates } from "../../../src/d1/archive/due-for-archive.ts";
import { selectPartOf } from "../../../src/d1/archive/task-parts.ts";
import { addUp } from "../../../src/d1/cron/sums.ts";
import { archiveSome } from "../../../src/flows/archive/archive-tasks.ts";
import { archivedRow } from "../../../src/flows/archive/read-archived.ts";
import { restoreArchive } from "../../../src/flows/archive/restore-archive.ts";
import { writePart } from "../../../src/flows/archive/write-part.ts";
import {
  archiveAll,
  archivedTexts,
  copyTask,
  dayMs,
  partsInDatabase,
  rowsInDatabase,
} from "../../helpers/archived.ts";
import { bearer, finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";
import { stubOf } from "../../helpers/tenant-object.ts";

interface Shown {
  id: string;
  status: string;
  end_user: string | null;
  model: string;
  links: { self: string; events?: string };
}

const readAs = async (gateway: TestGateway, key: string, path: string) => {
  const response = await gateway.fetch(path, { headers: bearer(key) });
  expect([path, response.status]).toEqual([path, 200]);
  return response.json();
};
/** A task as it is shown, but for the link that is another one each time. */
const still = ({ links, ...task }: Shown) => ({ ...task, self: links.self });

const by = { actor: "admin", requestId: "req-restore" };

/** All pages of a list, by a key of its own: each has sixty lists a minute. */
async function listOf(tenantId: string, query = "", limit = 100): Promise<string[]> {
  const made = await gateway.admin("POST", `/tenants/${tenantId}/keys`, { name: "lists", kind: "secret" });
  const { key } = (await made.json()) as { key: string };
  const ids: string[] = [];
  let cursor: string | null = "";
  for (let pages = 0; cursor !== null && pages < 300; pages++) {
    const page = (await readAs(gateway, key, `/v1/tasks?limit=${limit}&cursor=${cursor}${query}`)) as {
      data: Shown[];
      next_cursor: string | null;
    };
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  }
  return ids;
}

const gateway = startGateway();

/** A tenant with tasks of each end, and 2,500 like one of them over a month, all of them seventy days old at least. */
async function tenantWithHistory() {
  const tenant = await gateway.makeTenant();
  const startMs = gateway.now();
  const done = (await submitTask(gateway, tenant.key, { prompt: "a secret lighthouse", end_user: "u-1" })).id;
  await finishTask(gateway, tenant.key, done);
  const prompt = "a hill [sim:fail=generation_timeout]";
  const failing = { prompt, model: "wan-2.7-image-pro", metadata: { order: "7" } };
  const other = (await submitTask(gateway, tenant.key, failing)).id;
  await finishTask(gateway, tenant.key, other);
  const copies = Array.from({ length: 2_500 }, (_, i) => ({
    createdMs: startMs + dayMs + Math.floor((i * 30 * dayMs) / 2_500),
    endUser: i % 50 === 0 ? "u-2" : null,
  }));
  const copied = await copyTask(done, copies);
  gateway.advance(101 * dayMs);
  const fresh = (await submitTask(gateway, tenant.key, { end_user: "u-2" })).id;
  await finishTask(gateway, tenant.key, fresh);
  return { ...tenant, done, other, fresh, copied };
}

let one: Awaited<ReturnType<typeof tenantWithHistory>>;
let before: { tasks: Map<string, object>; all: string[]; ofUser: string[]; operator: object };
beforeAll(async () => {
  one = await tenantWithHistory();
  const shown = [one.done, one.other, one.fresh, ...one.copied.filter((_, i) => i % 500 === 0)];
  const tasks = new Map<string, object>();
  for (const id of shown) tasks.set(id, still((await readAs(gateway, one.key, `/v1/tasks/${id}`)) as Shown));
  before = {
    tasks,
    all: await listOf(one.id),
    ofUser: await listOf(one.id, "&end_user=u-2"),
    operator: await (await gateway.admin("GET", `/tasks/${one.other}`)).json(),
  };
  await archiveAll(gateway, one.id);
}, 120_000);

describe("a tenant's old tasks", () => {
  it("are in R2, in parts of a thousand that do not overlap, and D1 has the young ones alone", async () => {
    expect(await rowsInDatabase(one.id)).toBe(1);
    const parts = await partsInDatabase(one.id);
    expect(parts.map(({ tasks }) => tasks)).toEqual([1_000, 1_000, 502]);
    for (const [i, { first_id: first, last_id: last, key }] of parts.entries()) {
      expect(first <= last).toBe(true);
      expect(first > (parts[i - 1]?.last_id ?? "")).toBe(true);
      expect(key).toMatch(new RegExp(`^archive/${one.id}/\\d{4}-\\d\\d/${last}-[0-9a-z]{26}\\.ndjson\\.gz$`));
    }
    expect((await env.DB.prepare("SELECT * FROM leftovers").all()).results).toEqual([]);
  });

  it("are shown as before, by their ids", async () => {
    for (const [id, task] of before.tasks)
      expect(still((await readAs(gateway, one.key, `/v1/tasks/${id}`)) as Shown)).toEqual(task);
    const operator = await gateway.admin("GET", `/tasks/${one.other}`);
    expect(await operator.json()).toEqual(before.operator);
    for (const action of ["refresh", "fail"])
      expect(await (await gateway.admin("POST", `/tasks/${one.other}/${action}`)).json()).toEqual(
        before.operator,
      );
  });

  it.each([100, 50])("are listed as before, in pages of %i", async (limit) => {
    expect(await listOf(one.id, "", limit)).toEqual(before.all);
    expect(before.all).toHaveLength(2_503);
  });

  it("are found by each filter", async () => {
    expect(await listOf(one.id, "&end_user=u-2")).toEqual(before.ofUser);
    expect(before.ofUser).toHaveLength(51);
    expect(await listOf(one.id, "&model=wan-2.7-image-pro")).toEqual([one.other]);
    expect(await listOf(one.id, "&status=processing")).toEqual([]);
    const from = Math.floor((gateway.now() - 95 * dayMs) / 1000);
    const to = Math.floor((gateway.now() - 90 * dayMs) / 1000);
    const between = await listOf(one.id, `&created_after=${from}&created_before=${to}`);
    expect(between.length).toBeGreaterThan(400);
    expect(between).toEqual(
      before.all.slice(before.all.indexOf(between[0] ?? ""), before.all.indexOf(between.at(-1) ?? "") + 1),
    );
    const { data } = (await (
      await gateway.admin("GET", `/tasks?tenant=${one.id}&model=wan-2.7-image-pro&limit=100`)
    ).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual([one.other]);
  });

  it("cannot be cancelled, and answer their streams' readers", async () => {
    const cancelled = await gateway.post(`/v1/tasks/${one.done}/cancel`, {}, bearer(one.key));
    await expectError(cancelled, "task_not_cancellable");
    const events = await gateway.fetch(`/v1/tasks/${one.done}/events`, { headers: bearer(one.key) });
    expect(await events.text()).toContain(`"status":"completed"`);
  });

  it("are like none to another tenant", async () => {
    const stranger = await gateway.makeTenant();
    for (const id of [one.done, one.done.replace(/.{3}$/, "000")])
      await expectError(
        await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(stranger.key) }),
        "task_not_found",
      );
    const unknown = one.done.replace(/.{3}$/, "000");
    await expectError(
      await gateway.fetch(`/v1/tasks/${unknown}`, { headers: bearer(one.key) }),
      "task_not_found",
    );
    await expectError(await gateway.admin("GET", `/tasks/${unknown}`), "task_not_found");
  });

  it("are listed to the operator by tenant, and a list of all tenants says so at its end", async () => {
    const first = (await (await gateway.admin("GET", "/tasks?limit=100")).json()) as {
      data: { id: string }[];
      next_cursor: string;
    };
    expect(first.data.map(({ id }) => id)).toEqual([one.fresh]);
    const path = `/tasks?limit=100&cursor=${first.next_cursor}`;
    await expectError(await gateway.admin("GET", path), "invalid_request", "tenant");
    const next = await (await gateway.admin("GET", `${path}&tenant=${one.id}`)).json();
    expect(next).toEqual(await (await gateway.admin("GET", `/tasks?limit=100&tenant=${one.id}`)).json());
    expect(next).toMatchObject({ data: { length: 100 }, next_cursor: before.all[99] });
  });
});

describe("the archive", () => {
  const end = "UPDATE tasks SET state = 'failed', open = 0, finished_ms = created_ms WHERE id = ?1";

  it("leaves alone what is young, what goes on, and what its object still holds", async () => {
    const tenant = await gateway.makeTenant();
    const { id: held } = await submitTask(gateway, tenant.key, { prompt: "a boat [sim:seconds=600]" });
    const { id: open } = await submitTask(gateway, tenant.key, { prompt: "a boat [sim:seconds=600]" });
    const { id: ended } = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, ended);
    await env.DB.prepare(end).bind(held).run();
    const lastsMs = gateway.now() + 90 * dayMs;
    await env.DB.prepare("UPDATE tasks SET deadline_ms = ?2, due_ms = ?2 WHERE id = ?1")
      .bind(open, lastsMs)
      .run();
    gateway.advance(45 * dayMs);
    const [young] = await copyTask(ended, [{ createdMs: gateway.now() }]);
    gateway.advance(29 * dayMs);
    const bound = gateway.now() - 30 * dayMs;
    expect(await stubOf(tenant.id).openBefore(bound)).toEqual([held, open]);
    await addUp(env.DB, gateway.now());
    await archiveSome(gateway.invocation());
    const { results } = await env.DB.prepare("SELECT id FROM tasks WHERE tenant_id = ?1 ORDER BY id")
      .bind(tenant.id)
      .all();
    expect(results.map(({ id }) => id)).toEqual(
      [held, open, young].toSorted((a = "", b = "") => (a < b ? -1 : 1)),
    );
  });

  it("is none where it is switched off", async () => {
    const never = startGateway({ beside: gateway, vars: { ARCHIVE_TASKS_AFTER_DAYS: 0 } });
    const tenant = await gateway.makeTenant();
    const { id } = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, id);
    gateway.advance(90 * dayMs);
    await never.tick();
    expect(await rowsInDatabase(tenant.id)).toBe(1);
    await gateway.tick();
    expect(await rowsInDatabase(tenant.id)).toBe(0);
  });

  it("is restored to D1 by a command, and archived again", async () => {
    const path = `/tenants/${one.id}/archive/restore?from=2000-01-01`;
    await expectError(await gateway.admin("POST", path), "invalid_request", "from");
    const never = startGateway({ beside: gateway, vars: { ARCHIVE_TASKS_AFTER_DAYS: 0 } });
    const restored = await never.admin("POST", path);
    expect(await restored.json()).toMatchObject({ goes_on: false });
    const audit = await gateway.admin("GET", "/audit");
    const { acts } = await audit.json<{ acts: { data: unknown[] } }>();
    const act = { actor: "admin", act: "archive.restore", tenant: one.id };
    expect(acts.data).toContainEqual(expect.objectContaining(act));
    expect(await rowsInDatabase(one.id)).toBe(2_503);
    expect(await partsInDatabase(one.id)).toEqual([]);
    expect(await listOf(one.id)).toEqual(before.all);
    await archiveAll(gateway, one.id);
    expect(await listOf(one.id)).toEqual(before.all);
    // What the parts were is kept for a day, and gone then.
    gateway.advance(dayMs);
    await gateway.tick();
    const { objects } = await env.IMAGES.list({ prefix: "archive/" });
    const { results } = await env.DB.prepare("SELECT key FROM task_parts").all();
    expect(new Set(objects.map(({ key }) => key))).toEqual(new Set(results.map(({ key }) => key)));
    expect(await archivedTexts()).toContain("a secret lighthouse");
  });
});

describe("a part that is written", () => {
  async function due() {
    const tenant = await gateway.makeTenant();
    const { id } = await submitTask(gateway, tenant.key, { prompt: "a hidden cove" });
    await finishTask(gateway, tenant.key, id);
    const ids = [id, ...(await copyTask(id, [{ createdMs: gateway.now() }, { createdMs: gateway.now() }]))];
    gateway.advance(70 * dayMs);
    await addUp(env.DB, gateway.now());
    const range = { fromId: "", beforeId: "task-~", besides: [] };
    const { rows } = await readCandidates(env.DB, tenant.id, range);
    expect(rows).toHaveLength(3);
    return { ...tenant, ids, rows };
  }
  const write = ({ id, rows }: Awaited<ReturnType<typeof due>>, by = gateway) =>
    writePart(by.invocation(), id, rows, { part: undefined, rows });

  it("is none where a row has changed since it was read, and none of its text stays in R2", async () => {
    const tenant = await due();
    await gateway.fetch(`/v1/tasks/${tenant.ids[0]}`, { method: "DELETE", headers: bearer(tenant.key) });
    expect(await write(tenant)).toBe(false);
    expect([await rowsInDatabase(tenant.id), await partsInDatabase(tenant.id)]).toEqual([3, []]);
    expect(await archivedTexts()).toContain("a hidden cove");
    gateway.advance(61 * 60_000);
    await gateway.tick();
    // The others are archived with their own text, and that of the erased one is nowhere.
    const [part] = await partsInDatabase(tenant.id);
    expect(part?.tasks).toBe(3);
    const erased = (await archivedTexts()).split("\n").find((line) => line.includes(tenant.ids[0] ?? "?"));
    expect(erased).toContain('\\"prompt\\":\\"\\"');
  });

  it.each([
    ["cannot be put", "put"],
    ["cannot be read back", "get"],
  ] as const)("is none where it %s, and D1 keeps the rows", async (_what, method) => {
    const tenant = await due();
    const invocation = gateway.invocation();
    const bucket = new Proxy(invocation.bucket, {
      get: (target, name) =>
        name === method
          ? () => Promise.reject(new Error("R2 is out"))
          : Reflect.get(target, name).bind(target),
    });
    const { id, rows } = tenant;
    const writing = writePart({ ...invocation, bucket }, id, rows, { part: undefined, rows });
    await expect(writing).rejects.toThrow("R2 is out");
    expect([await rowsInDatabase(id), await partsInDatabase(id)]).toEqual([3, []]);
    expect(await write(tenant)).toBe(true);
    expect(await rowsInDatabase(id)).toBe(0);
  });

  it("is one, of two that are written at a time", async () => {
    const tenant = await due();
    const both = await Promise.all([write(tenant), write(tenant)]);
    expect(both.toSorted((a, b) => Number(a) - Number(b))).toEqual([false, true]);
    expect(await partsInDatabase(tenant.id)).toHaveLength(1);
    gateway.advance(61 * 60_000);
    await gateway.tick();
    expect(new Set(await listOf(tenant.id))).toEqual(new Set(tenant.ids));
    const { objects } = await env.IMAGES.list({ prefix: `archive/${tenant.id}/` });
    expect(objects).toHaveLength(1);
  });

  it("takes a task that comes late between its own", async () => {
    const tenant = await due();
    const [first, late, last] = tenant.rows;
    if (!first || !late || !last) throw new Error("no rows");
    const without = [first, last];
    const invocation = gateway.invocation();
    expect(await writePart(invocation, tenant.id, without, { part: undefined, rows: without })).toBe(true);
    expect(await rowsInDatabase(tenant.id)).toBe(1);
    await archiveAll(gateway, tenant.id);
    const parts = await partsInDatabase(tenant.id);
    expect(parts.map(({ tasks }) => tasks)).toEqual([3]);
    expect(new Set(await listOf(tenant.id))).toEqual(new Set(tenant.ids));
  });

  it("is read as it is by then, by who has found the one before", async () => {
    const tenant = await due();
    const [first, late] = tenant.rows;
    if (!first || !late) throw new Error("no rows");
    const without = tenant.rows.filter((row) => row !== late);
    const invocation = gateway.invocation();
    await writePart(invocation, tenant.id, without, { part: undefined, rows: without });
    const found = await selectPartOf(env.DB, tenant.id, first.id).all();
    await archiveAll(gateway, tenant.id);
    gateway.advance(60_000);
    await gateway.tick();
    expect(await env.IMAGES.head(String(found.results[0]?.key))).toBeNull();
    expect(await archivedRow(invocation, first.id, found)).toEqual(first);
  });

  it("is found again where D1 was restored to a time before it was written anew, and no erased text with it", async () => {
    const tenant = await due();
    const [, erased = ""] = tenant.ids;
    await archiveAll(gateway, tenant.id);
    const [before] = await partsInDatabase(tenant.id);
    const remove = () =>
      gateway.fetch(`/v1/tasks/${erased}`, { method: "DELETE", headers: bearer(tenant.key) });
    expect((await remove()).status).toBe(204);
    gateway.advance(60_000);
    await gateway.tick();
    const [after] = await partsInDatabase(tenant.id);
    const restore = "UPDATE task_parts SET key = ?2 WHERE tenant_id = ?1";
    await env.DB.prepare(restore).bind(tenant.id, before?.key).run();
    await expectError(await gateway.fetch(`/v1/tasks/${erased}`, { headers: bearer(tenant.key) }), "deleted");
    expect(await listOf(tenant.id)).toHaveLength(2);
    expect((await partsInDatabase(tenant.id))[0]?.key).toBe(after?.key);
    // What nothing is left of is said.
    await env.IMAGES.delete(after?.key ?? "");
    await expectError(
      await gateway.fetch(`/v1/tasks/${tenant.ids[0]}`, { headers: bearer(tenant.key) }),
      "unavailable",
    );
    expect(gateway.logs).toContainEqual(expect.objectContaining({ event: "archive_part_lost" }));
    await env.DB.prepare("DELETE FROM task_parts WHERE tenant_id = ?1").bind(tenant.id).run();
  });

  it("is restored with rows of several versions of the table, and not at all where one cannot be written", async () => {
    const tenant = await due();
    // As if a column with a default had been added since the first one was archived.
    const [{ processing: _later, ...older } = { id: "", processing: 0 }, ...others] = tenant.rows;
    const rows = [older as (typeof others)[0], ...others];
    const invocation = gateway.invocation();
    const written = await writePart(invocation, tenant.id, rows, { part: undefined, rows: tenant.rows });
    expect([written, await rowsInDatabase(tenant.id)]).toEqual([true, 0]);
    const period = { fromMs: 0, toMs: gateway.now() };
    expect(await restoreArchive(invocation, by, tenant.id, period)).toMatchObject({ tasks: 3 });
    const read = env.DB.prepare(
      "SELECT id, processing, progress FROM tasks WHERE tenant_id = ?1 ORDER BY id",
    );
    const { results } = await read.bind(tenant.id).all();
    expect(results).toEqual(
      rows.map(({ id, progress }, i) => ({
        id,
        progress,
        processing: i === 0 ? 0 : others[i - 1]?.processing,
      })),
    );
    const [{ origin: _needed, ...unfit } = { id: "", origin: "" }] = others;
    const all = { part: undefined, rows: tenant.rows.map((row) => ({ ...row })) };
    expect(await writePart(invocation, tenant.id, [unfit as (typeof others)[0]], { ...all, rows: [] })).toBe(
      true,
    );
    await expect(restoreArchive(invocation, by, tenant.id, period)).rejects.toThrow(/NOT NULL/);
    expect(await partsInDatabase(tenant.id)).toHaveLength(1);
    await env.DB.prepare("DELETE FROM task_parts WHERE tenant_id = ?1").bind(tenant.id).run();
  });
});
