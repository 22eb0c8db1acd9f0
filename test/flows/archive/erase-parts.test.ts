/**
 * Erasing many archived tasks, part by part: what is lost, fails, only looks alike, or changes meanwhile holds up no other part,
 * and no text is left behind.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { idTimeMs } from "../../../src/domain/ids.ts";
import {
  archiveAll,
  archivedTexts,
  copyTask,
  dayMs,
  partsInDatabase,
  rowsInDatabase,
} from "../../helpers/archived.ts";
import {
  type Around,
  bearer,
  finishTask,
  readTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { backUpDatabase } from "../../helpers/restored-stores.ts";
import { emptyStores } from "../../helpers/setup.ts";

const hourMs = 3_600_000;
let gateway: TestGateway;
beforeEach(async () => {
  await emptyStores();
  gateway = startGateway();
});

/** A tenant with a part of the archive for each list of end users, fifty days after the one before. */
async function withParts(parts: (string | null)[][], body: object = {}) {
  const tenant = await gateway.makeTenant(body);
  const startMs = gateway.now();
  const { id: like } = await submitTask(gateway, tenant.key, { prompt: "a secret lighthouse" });
  await finishTask(gateway, tenant.key, like);
  const copies = parts.flatMap((users, i) =>
    users.map((endUser, j) => ({ createdMs: startMs + (i + 1) * 50 * dayMs + j * hourMs, endUser })),
  );
  const ids = await copyTask(like, copies);
  await env.DB.prepare("DELETE FROM tasks WHERE id = ?1").bind(like).run();
  gateway.advance((parts.length + 3) * 50 * dayMs);
  await archiveAll(gateway, tenant.id);
  expect(await partsInDatabase(tenant.id)).toHaveLength(parts.length);
  return { ...tenant, ids };
}

/** Ticks by the hour. */
async function pass(hours: number): Promise<void> {
  for (let i = 0; i < hours; i++) {
    gateway.advance(hourMs);
    await gateway.tick();
  }
}

/** Those of some tasks whose text is in R2. */
async function withText(ids: string[]): Promise<string[]> {
  const lines = (await archivedTexts()).split("\n");
  return ids.filter((id) => lines.some((line) => line.includes(id) && line.includes("secret")));
}

const madeMs = (id = "") => idTimeMs("task", id) ?? 0;
const statusOf = async (key: string, id = "") =>
  (await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) })).status;
const eraseUser = (key: string, name: string) =>
  gateway.fetch(`/v1/end-users/${name}`, { method: "DELETE", headers: bearer(key) });
const eraseTask = (key: string, id = "") =>
  gateway.fetch(`/v1/tasks/${id}`, { method: "DELETE", headers: bearer(key) });

/** Deletes a tenant, or has it keep its tasks for so many days alone. */
async function eraseAll(id: string, how: "deletion" | "retention"): Promise<void> {
  if (how === "deletion") await gateway.admin("DELETE", `/tenants/${id}`);
  else await gateway.admin("PATCH", `/tenants/${id}`, { retention_days: 60 });
}

const openTurns = async () =>
  (await env.DB.prepare("SELECT end_user FROM erasure_turns WHERE end_user <> ''").all()).results;

describe("an end user's erasure", () => {
  it("goes past parts of people whose hash only begins alike", async () => {
    // The SHA-256 of each begins with e1aa.
    const [victim = "", ...alike] = ["user-834", "user-1628", "user-9840"];
    const one = await withParts([[victim], ...alike.map((name) => [name])]);
    expect((await eraseUser(one.key, victim)).status).toBe(202);
    await pass(1);
    expect(await withText(one.ids)).toEqual(one.ids.slice(1));
    expect(await statusOf(one.key, one.ids[0])).toBe(410);
    expect(await openTurns()).toEqual([]);
  });

  it("goes past a part of which nothing is left, and is over then", async () => {
    const one = await withParts([["ada"], ["ada"]]);
    const [first] = await partsInDatabase(one.id);
    await env.IMAGES.delete(first?.key ?? "");
    await eraseUser(one.key, "ada");
    await pass(1);
    expect([await statusOf(one.key, one.ids[1]), await openTurns()]).toEqual([410, []]);
  });

  it("goes past a part that is something else, and comes again for it", async () => {
    const one = await withParts([["ada"], ["ada"]]);
    const [first] = await partsInDatabase(one.id);
    const object = await env.IMAGES.get(first?.key ?? "");
    const bytes = await object?.arrayBuffer();
    await env.IMAGES.put(first?.key ?? "", "something else");
    await eraseUser(one.key, "ada");
    await pass(1);
    expect([await statusOf(one.key, one.ids[1]), await openTurns()]).toEqual([410, [{ end_user: "ada" }]]);
    if (bytes) await env.IMAGES.put(first?.key ?? "", bytes);
    await pass(2);
    expect([await statusOf(one.key, one.ids[0]), await openTurns()]).toEqual([410, []]);
  });

  it.each([3, 5, 6, 7, 8, 9, 10, 11])("has the last task too, which ends before its call %i", async (at) => {
    const { key, id: tenant } = await gateway.makeTenant();
    const { id } = await submitTask(gateway, key, { prompt: "a secret cove", end_user: "ada" });
    await gateway.invocation().tenant(tenant).flush();
    let calls = 0;
    const around: Around = async (_name, call) => {
      if (calls++ === at) await finishTask(gateway, key, id, 1);
      return call();
    };
    const hooked = startGateway({ beside: gateway, around });
    const path = "/v1/end-users/ada";
    expect((await hooked.fetch(path, { method: "DELETE", headers: bearer(key) })).status).toBe(202);
    if (calls <= at) await finishTask(gateway, key, id);
    await pass(1);
    expect([await statusOf(key, id), await openTurns()]).toEqual([410, []]);
  });
});

describe.each(["deletion", "retention"] as const)("%s", (how) => {
  it("goes past a part of which nothing is left, and one that D1 knows by its former object", async () => {
    const one = await withParts([[null], [null, null], [null]]);
    const restore = await backUpDatabase();
    expect((await eraseTask(one.key, one.ids[1])).status).toBe(204);
    await pass(1);
    await restore();
    const [gone] = await partsInDatabase(one.id);
    await env.IMAGES.delete(gone?.key ?? "");
    await eraseAll(one.id, how);
    await pass(3);
    expect(await withText(one.ids)).toEqual([]);
    const { results } = await env.DB.prepare("SELECT erased_ms FROM tenants").all();
    if (how === "deletion") expect(results).toEqual([{ erased_ms: expect.any(Number) }]);
  });

  it("goes on where one picture fails, and erases that when it no longer does", async () => {
    const { key, id } = await gateway.makeTenant();
    const tasks: string[] = [];
    for (let i = 0; i < 2; i++) {
      const task = await submitTask(gateway, key, { prompt: "a secret cove" });
      await finishTask(gateway, key, task.id);
      tasks.push(task.id);
      gateway.advance(50 * dayMs);
    }
    const shown = await readTask(gateway, key, tasks[0] ?? "");
    const path = new URL(shown.results[0] ?? "").pathname;
    gateway.advance(100 * dayMs);
    await archiveAll(gateway, id);
    expect(await partsInDatabase(id)).toHaveLength(2);
    const put = env.IMAGES.put.bind(env.IMAGES);
    const bad = path.slice(1).replace(/\.\w+$/, "");
    env.IMAGES.put = ((object: string, ...rest: [never]) =>
      object === bad ? Promise.reject(new Error("out")) : put(object, ...rest)) as typeof put;
    try {
      await eraseAll(id, how);
      await pass(3);
    } finally {
      env.IMAGES.put = put;
    }
    expect(await withText(tasks)).toEqual([]);
    expect((await gateway.fetch(path)).status).toBe(200);
    await pass(2);
    expect((await gateway.fetch(path)).status).toBe(410);
    const { results } = await env.DB.prepare("SELECT erased_ms FROM tenants").all();
    if (how === "deletion") expect(results).toEqual([{ erased_ms: expect.any(Number) }]);
  });
});

it("a tenant is not erased while it has a picture whose row cannot be read", async () => {
  const { key, id } = await gateway.makeTenant();
  const { id: task } = await submitTask(gateway, key, { prompt: "a secret cove" });
  await finishTask(gateway, key, task);
  await env.DB.prepare("UPDATE tasks SET images = json_set(images, '$[0].state', 'kept')").run();
  gateway.advance(70 * dayMs);
  await archiveAll(gateway, id);
  expect(await rowsInDatabase(id)).toBe(0);
  await eraseAll(id, "deletion");
  await pass(3);
  expect(await withText([task])).toEqual([]);
  const { results } = await env.DB.prepare("SELECT erased_ms, erasure FROM tenants, tasks").all();
  expect(results).toEqual([{ erased_ms: null, erasure: "pending" }]);
});

it("tasks of one part that are deleted at a time are all deleted", async () => {
  const one = await withParts([Array.from({ length: 6 }, () => null)]);
  const deleted = await Promise.all(one.ids.map((id) => eraseTask(one.key, id)));
  expect(deleted.map(({ status }) => status)).toEqual(one.ids.map(() => 204));
  for (const id of one.ids) expect(await statusOf(one.key, id)).toBe(410);
  await pass(1);
  expect(await withText(one.ids)).toEqual([]);
  // Their rows go back to the part in the end.
  await archiveAll(gateway, one.id);
  expect(await rowsInDatabase(one.id)).toBe(0);
  expect(await partsInDatabase(one.id)).toMatchObject([{ tasks: 6, oldest_text_id: null }]);
});

describe("retention", () => {
  it("has an archived task within two hours of its age", async () => {
    const one = await withParts([[null]], {});
    const ageMs = () => gateway.now() - madeMs(one.ids[0]);
    const days = Math.ceil(ageMs() / dayMs) + 2;
    await gateway.admin("PATCH", `/tenants/${one.id}`, { retention_days: days });
    while ((await withText(one.ids)).length > 0 && ageMs() < (days + 3) * dayMs) await pass(1);
    expect(ageMs() - days * dayMs).toBeLessThanOrEqual(2 * hourMs);
  });

  it("has tasks that come back from the archive where it has been already", async () => {
    const one = await withParts([[null]], {});
    const never = startGateway({ beside: gateway, vars: { ARCHIVE_TASKS_AFTER_DAYS: 0 } });
    const ageDays = (gateway.now() - madeMs(one.ids[0])) / dayMs;
    await gateway.admin("PATCH", `/tenants/${one.id}`, { retention_days: Math.ceil(ageDays) });
    await never.tick();
    // Its turn stands behind the task, which is no day too old.
    await env.DB.prepare("UPDATE erasure_turns SET cursor = 'task-1', due_ms = due_ms + ?1")
      .bind(dayMs)
      .run();
    const restored = await never.admin("POST", `/tenants/${one.id}/archive/restore?from=2000-01-01`);
    expect(await restored.json()).toMatchObject({ tasks: 1, goes_on: false });
    gateway.advance(dayMs);
    await never.tick();
    const { results } = await env.DB.prepare("SELECT erasure FROM tasks").all();
    expect(results).toEqual([{ erasure: "done" }]);
  });
});
