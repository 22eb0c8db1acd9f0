/**
 * Yesterday's data opens: for every fixture, what a former version stored is migrated, read, gone on with and brought to
 * its end by the newest code. The tests of a fixture run in order: time only goes forward.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { imageUrl } from "../../src/domain/task.ts";
import { bearer } from "../helpers/gateway.ts";
import type { ShownTask } from "./fixture.ts";
import { checkMoney } from "./opening/money.ts";
import { type Reopened, reopen } from "./opening/reopened.ts";
import { readFixtures, restore } from "./opening/restore.ts";
import { byId, type Json, ledgerSums, namesOnPage, taskAsShown } from "./views.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const ends = ["completed", "failed", "cancelled"];

/** Paths of a task's pictures, as D1 has them: of one that is erased no reply has any. */
async function storedImages(id: string): Promise<string[]> {
  const images = await env.DB.prepare("SELECT images FROM tasks WHERE id = ?").bind(id).first("images");
  const stored = JSON.parse(String(images)).filter((image: Json) => image.stored);
  return stored.map((image: Json) => new URL(imageUrl(own, image.id, image.stored.contentType)).pathname);
}

const own = { api: "http://gateway.example", imageDomain: null };

/** All of them are in each fixture. */
const states = ["submitting", "queued", "submitted", "storing", ...ends];

it("has a fixture of what the newest migration leads to", () => {
  expect(readFixtures().at(-1)?.d1.migration).toBe(env.MIGRATIONS.at(-1)?.name);
});

describe.each(readFixtures())("$version", (fixture) => {
  const { made, shown } = fixture;
  let world: Reopened;
  beforeAll(async () => {
    await restore(fixture);
    world = reopen(fixture);
  });

  it("holds tasks in every state", async () => {
    const tasks = await world.all(world.adminKey, "/admin/api/tasks");
    expect(new Set(tasks.map(({ state }) => state))).toEqual(new Set(states));
    expect(tasks).toHaveLength(shown.tasks.length);
  });

  it("shows the operator every task as it was", async () => {
    for (const task of shown.tasks) {
      const now = await world.read(world.adminKey, `/admin/api/tasks/${task.id}`);
      // Lists do not say any more whether a task is settled.
      const { settled: wasSettled = false, ...before } = withoutErased(task);
      const { settled: isSettled = false, ...after } = taskAsShown(now);
      expect(after).toEqual(before);
      if (wasSettled) expect(isSettled).toBe(true);
    }
  });

  it("goes on with every list where it was left", async () => {
    for (const { as, path, page } of made.cursors) {
      const reply = await world.read(as === "admin" ? world.adminKey : world.key(as).key, path);
      expect(namesOnPage(reply), path).toEqual(page);
    }
  });

  it("has the same money, the same lines in every ledger, and the same usage", async () => {
    for (const [tenant, money] of Object.entries(shown.money))
      expect(await world.read(world.adminKey, `/admin/api/tenants/${tenant}`)).toMatchObject(money);
    for (const [tenant, sums] of Object.entries(shown.ledger)) {
      const lines = await world.all(world.adminKey, `/admin/api/tenants/${tenant}/ledger`);
      expect(ledgerSums(lines), tenant).toEqual(sums);
    }
    const { data } = await world.read(world.adminKey, "/admin/api/usage?group=tenant,model");
    expect(data).toEqual(shown.usage);
  });

  it("has the same keys and deliveries", async () => {
    const deliveries = await world.all(world.adminKey, "/admin/api/webhooks");
    expect(deliveries.toSorted(byId)).toMatchObject(shown.deliveries);
    for (const tenant of Object.keys(shown.money)) {
      const keys = await world.all(world.adminKey, `/admin/api/tenants/${tenant}/keys`);
      expect(keys.toSorted(byId)).toMatchObject(
        shown.keys.filter((key) => key.tenant === tenant).map(({ tenant: _tenant, ...key }) => key),
      );
    }
  });

  it("serves every picture and file to the holder of its URL, or says that it is gone", async () => {
    for (const { path, status, bytes } of [...made.images, ...made.files]) {
      const response = await world.gateway.fetch(path);
      expect(response.status, path).toBe(status);
      if (bytes !== undefined) expect((await response.arrayBuffer()).byteLength).toBe(bytes);
    }
  });

  it("lets in every key and token that worked, and no other", async () => {
    for (const key of made.keys) {
      const response = await world.ask(key, key.manages && !key.submits ? "/v1/keys" : "/v1/models");
      expect(response.status, key.name).toBe(200);
    }
    for (const { name, key, code } of made.deadKeys) {
      const response = await world.gateway.fetch("/v1/tasks", { headers: bearer(key) });
      expect(((await response.json()) as Json).error?.code, name).toBe(code);
    }
  });

  it("answers a replay with the task that the first one made", async () => {
    for (const { key, idempotencyKey, body, task } of made.replays) {
      const headers = { ...bearer(world.key(key).key), "idempotency-key": idempotencyKey };
      const response = await world.gateway.post("/v1/images/generations", body, headers);
      expect(await response.json(), idempotencyKey).toMatchObject({ id: task });
    }
  });

  it("shows tenants their tasks, and none that was hidden or erased", async () => {
    for (const task of shown.tasks.filter(({ tenant }) => made.tenants.active.includes(tenant))) {
      const key = world.keyOf(task.tenant, "submits");
      const response = await world.gateway.fetch(`/v1/tasks/${task.id}`, { headers: bearer(key) });
      expect(response.status, task.id).toBe(task.hidden ? 404 : task.erased ? 410 : 200);
      if (response.status !== 200) continue;
      const { status, end_user, metadata } = (await response.json()) as Json;
      const { end_user: endUser = null, metadata: pairs = {} } = task;
      expect({ status, end_user, metadata }).toEqual({
        status: task.status,
        end_user: endUser,
        metadata: pairs,
      });
    }
  });

  it("streams events to the holder of a link", async () => {
    for (const { task, path } of made.eventLinks) {
      const response = await world.gateway.fetch(path);
      expect(response.status).toBe(200);
      expect(await firstEvent(response)).toMatchObject({ id: task });
    }
  });

  it("takes what waits in the Queue", async () => {
    for (const body of made.messages)
      expect(await world.gateway.work.deliver(body, world.gateway.invocation())).toBe(true);
  });

  it("takes new tasks by each kind of key", async () => {
    for (const key of made.keys.filter(({ submits }) => submits)) {
      const response = await world.submit(key, { model: key.model, prompt: "a new boat" });
      expect(response.status, key.name).toBe(200);
    }
  });

  it("takes a file of before for a reference, a new one, and deletes both", async () => {
    const [alive] = made.files.filter(({ status }) => status === 200);
    const acme = world.key("acme");
    const edit = { model: acme.model, prompt: "of a file", image_urls: [`${made.origin}${alive?.path}`] };
    expect((await world.submit(acme, edit)).status).toBe(200);
    const bytes = await (await world.gateway.fetch(alive?.path ?? "")).arrayBuffer();
    const init = { method: "POST", body: bytes, headers: { "content-type": "image/png" } };
    const { url } = (await (await world.ask(acme, "/v1/files", init)).json()) as Json;
    for (const path of [alive?.path ?? "", new URL(url).pathname]) {
      const id = path.replace("/files/", "").replace(/\.\w+$/, "");
      expect((await world.ask(acme, `/v1/files/${id}`, { method: "DELETE" })).status).toBe(204);
      expect((await world.gateway.fetch(path)).status).toBe(404);
    }
  });

  it("goes on trying links that fail", async () => {
    await world.pass(4, minuteMs);
    const storing = shown.tasks.filter(({ state }) => state === "storing");
    expect(storing).not.toEqual([]);
    for (const { id } of storing)
      expect((await world.read(world.adminKey, `/admin/api/tasks/${id}`)).state).toBe("storing");
    world.filesRecover();
  });

  it("brings every task to its end, and settles every hold once", async () => {
    await world.pass(8, 15_000);
    // A pause of the account, and the slowest pace of polls and retries.
    await world.pass(14, 5 * minuteMs);
    const tasks = await world.all(world.adminKey, "/admin/api/tasks");
    expect(tasks.filter(({ status }) => !ends.includes(status))).toEqual([]);
    for (const { id } of tasks)
      expect(await world.read(world.adminKey, `/admin/api/tasks/${id}`)).toMatchObject({ settled: true });
    for (const id of made.inOutbox ?? []) expect(tasks.map((task) => task.id)).toContain(id);
    for (const id of made.withoutRow)
      expect((await world.gateway.admin("GET", `/tasks/${id}`)).status).toBe(404);
    for (const tenant of Object.keys(shown.money))
      expect((await world.read(world.adminKey, `/admin/api/tenants/${tenant}`)).held, tenant).toBe(0);
    await checkMoney(world);
  });

  it("stores what was to be stored", async () => {
    const going = shown.tasks.filter(({ status }) => !ends.includes(status));
    expect(going).not.toEqual([]);
    for (const { id } of going) {
      const task = await world.read(world.adminKey, `/admin/api/tasks/${id}`);
      expect(task.status, id).toBe("completed");
      const isErased = made.toBeErased.includes(id);
      const images = await storedImages(id);
      expect([task.erased, task.usage.images], id).toEqual([isErased, images.length]);
      expect(images, id).not.toEqual([]);
      const shownUrls = task.images.map(({ url }: Json) => new URL(url).pathname);
      expect(shownUrls, id).toEqual(isErased ? [] : images);
      for (const path of images)
        expect((await world.gateway.fetch(path)).status, id).toBe(isErased ? 410 : 200);
    }
  });

  it("delivers what receivers take, and gives up on the others", async () => {
    // Four days of attempts, after which the files are over too.
    await world.pass(100, hourMs);
    const deliveries = await world.all(world.adminKey, "/admin/api/webhooks");
    const open = deliveries.filter(({ status }) => !["delivered", "failed", "dropped"].includes(status));
    expect(open).toEqual([]);
    const taken = deliveries.filter(({ target }) => made.receivers[target] === 204);
    expect(taken.map(({ status }) => status)).toContain("delivered");
    expect(taken.filter(({ status }) => status === "failed")).toEqual([]);
    for (const { path } of made.files) expect((await world.gateway.fetch(path)).status, path).toBe(404);
  });

  it("finds nothing wrong, then or on the way", async () => {
    expect(await world.read(world.adminKey, "/admin/api/audit")).toMatchObject({ ok: true, data: [] });
    expect(world.gateway.logs.filter(({ level }) => level === "error")).toEqual([]);
  });

  it("erases a task, and all of a tenant", async () => {
    const [tenant = ""] = made.tenants.active;
    const key = world.keyOf(tenant, "submits");
    const [one, other] = (await world.all(key, "/v1/tasks?status=completed")) as Json[];
    const erased = await world.gateway.fetch(`/v1/tasks/${one.id}`, {
      method: "DELETE",
      headers: bearer(key),
    });
    expect(erased.status).toBe(204);
    expect((await world.gateway.fetch(new URL(one.results[0]).pathname)).status).toBe(410);
    expect((await world.gateway.admin("DELETE", `/tenants/${tenant}`)).status).toBe(202);
    expect((await world.gateway.fetch("/v1/tasks", { headers: bearer(key) })).status).toBe(401);
    await world.pass(3, minuteMs);
    expect((await world.gateway.fetch(new URL(other.results[0]).pathname)).status).toBe(410);
    for (const { path } of made.images.filter((image) => isOf(tenant, image.path)))
      expect((await world.gateway.fetch(path)).status).toBe(410);
    expect(await world.read(world.adminKey, "/admin/api/audit")).toMatchObject({ ok: true });
  });

  const isOf = (tenant: string, path: string) =>
    made.images.some((image) => image.path === path && image.tenant === tenant);
});

const withoutErased = ({ erased: _erased, ...task }: ShownTask) => task;

/** The first task of a stream. */
async function firstEvent(response: Response): Promise<Json> {
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (!/^data: .*\n/m.test(text)) text += decoder.decode((await reader?.read())?.value, { stream: true });
  await reader?.cancel();
  return JSON.parse(/^data: (.*)\n/m.exec(text)?.[1] ?? "");
}
