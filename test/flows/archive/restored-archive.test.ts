/** The archive after D1 was restored to a time before: no task is lost, and no text that was erased stays. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { insertLeftover, writerMs } from "../../../src/d1/archive/leftovers.ts";
import {
  archiveAll,
  archivedTexts,
  copyTask,
  dayMs,
  partsInDatabase,
  rowsInDatabase,
} from "../../helpers/archived.ts";
import { bearer, finishTask, startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { backUpDatabase } from "../../helpers/restored-stores.ts";
import { emptyStores } from "../../helpers/setup.ts";

const hourMs = 3_600_000;
let gateway: TestGateway;
beforeEach(async () => {
  await emptyStores();
  // Objects are as old as the machine's clock says.
  gateway = startGateway({ startMs: Math.ceil(Date.now() / 60_000) * 60_000 });
});

/** A tenant with two old tasks, each of an end user of its own. */
async function withOldTasks() {
  const tenant = await gateway.makeTenant();
  const { id: like } = await submitTask(gateway, tenant.key, { prompt: "a secret lighthouse" });
  await finishTask(gateway, tenant.key, like);
  const users = ["ada", "bob"];
  const ids = await copyTask(
    like,
    users.map((endUser, i) => ({ createdMs: gateway.now() + i, endUser })),
  );
  await env.DB.prepare("DELETE FROM tasks WHERE id = ?1").bind(like).run();
  gateway.advance(75 * dayMs);
  return { ...tenant, ids };
}

async function withArchive() {
  const one = await withOldTasks();
  await archiveAll(gateway, one.id);
  expect(await rowsInDatabase(one.id)).toBe(0);
  return one;
}

async function pass(hours: number): Promise<void> {
  for (let i = 0; i < hours; i++) {
    gateway.advance(hourMs);
    await gateway.tick();
  }
}

const statusOf = async (key: string, id = "") =>
  (await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) })).status;
const remove = async (key: string, path: string) =>
  (await gateway.fetch(path, { method: "DELETE", headers: bearer(key) })).status;
const audit = () => gateway.admin("POST", "/audit");

/** Those of some tasks whose text is in R2. */
async function withText(ids: string[]): Promise<string[]> {
  const lines = (await archivedTexts()).split("\n");
  return ids.filter((id) => lines.some((line) => line.includes(id) && line.includes("secret")));
}

it("an object that D1 knows nothing of goes, and with it the text of what is erased since", async () => {
  const one = await withOldTasks();
  await archiveAll(gateway, one.id);
  const [first] = await partsInDatabase(one.id);
  await pass(1);
  // As if D1 had gone back to before, and its rows had been archived again.
  const object = await env.IMAGES.get(first?.key ?? "");
  const orphan = `${first?.key.slice(0, -30)}0000000000000.ndjson.gz`;
  await env.IMAGES.put(orphan, (await object?.arrayBuffer()) ?? "");
  expect(await remove(one.key, `/v1/tasks/${one.ids[0]}`)).toBe(204);
  await pass(1);
  expect(await withText(one.ids)).toEqual(one.ids);
  await audit();
  await pass(1);
  expect(await env.IMAGES.head(orphan)).toBeNull();
  expect(await withText(one.ids)).toEqual([one.ids[1]]);
});

it("an object that is the last that there is of some tasks stays, and is named", async () => {
  const one = await withArchive();
  const [part] = await partsInDatabase(one.id);
  await env.DB.prepare("DELETE FROM task_parts").run();
  await pass(3);
  const listed = await (await audit()).json<{ data: { kind: string; subject: string }[] }>();
  expect(listed.data).toContainEqual(expect.objectContaining({ kind: "task", subject: part?.key }));
  await pass(1);
  expect(await env.IMAGES.head(part?.key ?? "")).not.toBeNull();
});

describe("what was erased just before, while the part's former object is there", () => {
  it("is erased again: a task", async () => {
    const one = await withArchive();
    const restore = await backUpDatabase();
    gateway.advance(10 * 60_000);
    expect(await remove(one.key, `/v1/tasks/${one.ids[0]}`)).toBe(204);
    await restore();
    expect(await statusOf(one.key, one.ids[0])).toBe(200);
    gateway.advance(10 * 60_000);
    await audit();
    await pass(1);
    expect([await statusOf(one.key, one.ids[0]), await statusOf(one.key, one.ids[1])]).toEqual([410, 200]);
    await audit();
    await pass(1);
    expect(await withText(one.ids)).toEqual([one.ids[1]]);
  });

  it("is erased again: an end user, by cron alone", async () => {
    const one = await withArchive();
    await gateway.tick();
    const restore = await backUpDatabase();
    gateway.advance(10 * 60_000);
    expect(await remove(one.key, "/v1/end-users/ada")).toBe(202);
    await restore();
    expect(await statusOf(one.key, one.ids[0])).toBe(200);
    for (let minute = 0; minute < 5; minute++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    expect([await statusOf(one.key, one.ids[0]), await statusOf(one.key, one.ids[1])]).toEqual([410, 200]);
  });
});

it("a part that has gone back to D1 since is there for a day, unless something of its tenant is erased", async () => {
  const one = await withArchive();
  const restore = await backUpDatabase();
  const never = startGateway({ beside: gateway, vars: { ARCHIVE_TASKS_AFTER_DAYS: 0 } });
  await never.admin("POST", `/tenants/${one.id}/archive/restore?from=2000-01-01`);
  expect(await rowsInDatabase(one.id)).toBe(2);
  gateway.advance(hourMs);
  await never.tick();
  await restore();
  expect(await statusOf(one.key, one.ids[0])).toBe(200);
  await never.admin("POST", `/tenants/${one.id}/archive/restore?from=2000-01-01`);
  expect(await remove(one.key, `/v1/tasks/${one.ids[0]}`)).toBe(204);
  gateway.advance(60_000);
  await never.tick();
  expect(await withText(one.ids)).toEqual([]);
  expect((await env.IMAGES.list({ prefix: "archive/" })).objects).toEqual([]);
});

it("a note of an object that became the part since does not sweep it", async () => {
  const one = await withArchive();
  const [part] = await partsInDatabase(one.id);
  const former = `${part?.key.slice(0, -30)}0000000000000.ndjson.gz`;
  // D1 went back to between the note and the part; the part that it names was swept.
  await env.DB.prepare("UPDATE task_parts SET key = ?1").bind(former).run();
  await insertLeftover(env.DB, part?.key ?? "", gateway.now() + writerMs);
  await pass(2);
  expect(await statusOf(one.key, one.ids[0])).toBe(200);
  expect(await partsInDatabase(one.id)).toMatchObject([{ key: part?.key }]);
  expect((await env.DB.prepare("SELECT * FROM leftovers").all()).results).toEqual([]);
});
