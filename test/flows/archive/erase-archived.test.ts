/** Archived tasks are erased as others are: one, all of an end user's, what is too old, all of a tenant's; no text stays in R2. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import {
  archiveAll,
  archivedTexts,
  copyTask,
  dayMs,
  partsInDatabase,
  rowsInDatabase,
} from "../../helpers/archived.ts";
import { type Around, bearer, finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

const gateway = startGateway();
const hourMs = 3_600_000;

/** A tenant whose tasks are all archived: one of its own, and others like it, of two end users in turn. */
async function archived(body: object = {}, copies = 6) {
  const tenant = await gateway.makeTenant(body);
  const asked = { prompt: "a secret lighthouse", end_user: "u-1", metadata: { order: "secret-7" } };
  const { id } = await submitTask(gateway, tenant.key, asked);
  await finishTask(gateway, tenant.key, id);
  const others = await copyTask(
    id,
    Array.from({ length: copies }, (_, i) => ({
      createdMs: gateway.now() + i * dayMs,
      endUser: `u-${(i % 2) + 1}`,
    })),
  );
  gateway.advance(75 * dayMs);
  await archiveAll(gateway, tenant.id);
  expect(await rowsInDatabase(tenant.id)).toBe(0);
  return { ...tenant, task: id, others };
}

const read = (key: string, id: string) => gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) });

/** What is left in R2 of a tenant's tasks with text. */
async function textsOf(ids: string[]): Promise<string[]> {
  const lines = (await archivedTexts()).split("\n");
  return ids.filter((id) => lines.some((line) => line.includes(id) && line.includes("secret")));
}

/** Ticks by the hour until what was left behind is gone. */
async function settleDown(hours = 3): Promise<void> {
  for (let i = 0; i < hours; i++) {
    gateway.advance(hourMs);
    await gateway.tick();
  }
}

describe("an archived task", () => {
  it("is erased by its id: 410 from then on, its pictures too, and its text is nowhere", async () => {
    const { key, task, others, id } = await archived();
    const shown = (await (await read(key, task)).json()) as { images: { url: string }[] };
    const [path = ""] = shown.images.map(({ url }) => new URL(url).pathname);
    const deleted = await gateway.fetch(`/v1/tasks/${task}`, { method: "DELETE", headers: bearer(key) });
    expect(deleted.status).toBe(204);
    await expectError(await read(key, task), "deleted");
    await expectError(await gateway.fetch(path), "deleted");
    await settleDown();
    expect(await textsOf([task, ...others])).toEqual(others);
    // Again, it is gone.
    await expectError(
      await gateway.fetch(`/v1/tasks/${task}`, { method: "DELETE", headers: bearer(key) }),
      "deleted",
    );
    expect((await partsInDatabase(id)).map(({ tasks }) => tasks)).toEqual([7]);
    const list = await gateway.fetch("/v1/tasks?limit=100", { headers: bearer(key) });
    const { data } = (await list.json()) as { data: { id: string }[] };
    expect(data.map((one) => one.id)).toEqual(others.toReversed());
  });

  it("is erased with its end user, and those of another one stay", async () => {
    const { key, task, others } = await archived();
    const asked = await gateway.fetch("/v1/end-users/u-1", { method: "DELETE", headers: bearer(key) });
    expect(asked.status).toBe(202);
    await settleDown();
    const theirs = [task, ...others.filter((_, i) => i % 2 === 0)];
    for (const one of theirs) await expectError(await read(key, one), "deleted");
    const left = others.filter((_, i) => i % 2 === 1);
    expect(await textsOf([task, ...others])).toEqual(left);
    for (const one of left) expect((await read(key, one)).status).toBe(200);
    expect((await env.DB.prepare("SELECT * FROM leftovers").all()).results).toEqual([]);
  });

  it("is erased when it is older than its tenant keeps tasks, to the day", async () => {
    const { key, task, others } = await archived({ retention_days: 72 });
    await settleDown(26);
    const old = [task, ...others.slice(0, 4)];
    for (const one of old) await expectError(await read(key, one), "deleted");
    // The one whose day it is goes today or tomorrow.
    const [, ...left] = others.slice(4);
    expect((await textsOf([task, ...others])).filter((id) => id !== others[4])).toEqual(left);
    gateway.advance(8 * dayMs);
    await settleDown();
    expect(await textsOf([task, ...others])).toEqual([]);
  });

  it("is erased with its tenant", async () => {
    const { id, task, others } = await archived();
    expect((await gateway.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
    await settleDown(30);
    expect(await textsOf([task, ...others])).toEqual([]);
    const { results } = await env.DB.prepare("SELECT erased_ms FROM tenants WHERE id = ?1").bind(id).all();
    expect(results[0]?.erased_ms).toEqual(expect.any(Number));
    expect((await partsInDatabase(id)).map((part) => part.oldest_text_id)).toEqual([null]);
  });

  it("keeps its text while the bucket takes no tombstone, and is erased when it does", async () => {
    const { key, task } = await archived();
    const bucket: { isOut: boolean } = { isOut: true };
    const around: Around = (name, call) =>
      bucket.isOut && /put/i.test(name) ? Promise.reject(new Error("R2 is out")) : call();
    const shaken = startGateway({ beside: gateway, around });
    const remove = () => shaken.fetch(`/v1/tasks/${task}`, { method: "DELETE", headers: bearer(key) });
    await expectError(await remove(), "unavailable");
    expect((await read(key, task)).status).toBe(200);
    bucket.isOut = false;
    expect((await remove()).status).toBe(204);
    await expectError(await read(key, task), "deleted");
  });
});
