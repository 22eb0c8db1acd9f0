/** Erasing by cron: each erasure by itself, so that what cannot be read or reached holds up nothing that is another's. */
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { endTurn, insertErasure, takeTurn } from "../../../src/d1/erasure/erasure-turns.ts";
import { eraserLeaseMs } from "../../../src/flows/erasure/erase-tasks.ts";
import { draw, fileOf, pathOf, storedFiles, upload } from "../../helpers/files.ts";
import {
  type Around,
  bearer,
  finishTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, read } from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf } from "../../helpers/tenant-object.ts";
import { failedEvents, garbage, setColumn, unreadable } from "../../helpers/unreadable.ts";

beforeEach(emptyStores);

const fail = (problem: Error) => {
  throw problem;
};
const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** A tenant with a task that has ended. */
async function withTask(gateway: TestGateway, tenant: object = {}, body: object = {}) {
  const { id, key } = await gateway.makeTenant(tenant);
  const task = await finishTask(gateway, key, (await submitTask(gateway, key, body)).id);
  return { id, key, taskId: task.id, picture: new URL(task.results[0] ?? "").pathname };
}

/** The state of each task's erasure. */
async function erasures(...taskIds: string[]): Promise<unknown[]> {
  const { results } = await env.DB.prepare("SELECT id, erasure FROM tasks").all();
  return taskIds.map((taskId) => results.find(({ id }) => id === taskId)?.erasure);
}

async function ask(gateway: TestGateway, { key }: { key: string }, path: string): Promise<Response> {
  return gateway.fetch(path, { method: "DELETE", headers: bearer(key) });
}

async function toFullHour(gateway: TestGateway): Promise<void> {
  gateway.advance(hourMs - (gateway.now() % hourMs));
  await gateway.tick();
}

describe("a task whose input cannot be read", () => {
  it.each([garbage, '{"prompt":"unreadable contents","n":"two"}'])(
    "is erased as others are: %s",
    async (input) => {
      const gateway = startGateway();
      const tenant = await withTask(gateway);
      await setColumn("tasks", "input", input, tenant.taskId);
      expect((await ask(gateway, tenant, `/v1/tasks/${tenant.taskId}`)).status).toBe(204);
      await expectError(await read(gateway, tenant.key, tenant.taskId), "deleted");
      await expectError(await gateway.fetch(tenant.picture), "deleted");
      const row = await env.DB.prepare("SELECT * FROM tasks").first();
      expect(JSON.stringify(row)).not.toContain("unreadable contents");
    },
  );

  it("is erased with its end user's others", async () => {
    const gateway = startGateway();
    const tenant = await withTask(gateway, {}, { end_user: "ada" });
    const other = await submitTask(gateway, tenant.key, { end_user: "ada" });
    await finishTask(gateway, tenant.key, other.id);
    await setColumn("tasks", "input", garbage, tenant.taskId);
    expect((await ask(gateway, tenant, "/v1/end-users/ada")).status).toBe(202);
    await gateway.tick();
    expect(await erasures(tenant.taskId, other.id)).toEqual(["done", "done"]);
    expect((await env.DB.prepare("SELECT * FROM erasure_turns").all()).results).toEqual([]);
    expect(failedEvents(gateway)).toEqual([]);
  });

  it("loses its text where its pictures cannot be read either, and cron names it", async () => {
    const gateway = startGateway();
    const tenant = await withTask(gateway);
    await setColumn("tasks", "input", garbage, tenant.taskId);
    await setColumn("tasks", "images", garbage, tenant.taskId);
    await expectError(await ask(gateway, tenant, `/v1/tasks/${tenant.taskId}`), "internal_error");
    const row = await env.DB.prepare("SELECT input, erasure FROM tasks").first();
    expect(row).toEqual({ input: '{"prompt":"","n":1}', erasure: "pending" });
    await gateway.tick();
    expect(new Set(unreadable(gateway))).toEqual(new Set([`tasks images ${tenant.taskId}`]));
  });
});

describe("an erasure of an end user", () => {
  it("covers a task that only its tenant's object has so far", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const shaky = startGateway({
      beside: gateway,
      around: (name, call) => {
        if (name.startsWith("D1")) throw new Error("the database is unavailable");
        return call();
      },
    });
    const { id } = await submitTask(shaky, key, { end_user: "ada", prompt: "secret" });
    const erased = await gateway.fetch("/v1/end-users/ada", { method: "DELETE", headers: bearer(key) });
    expect(erased.status).toBe(202);
    for (let i = 0; i < 8; i++) {
      gateway.advance(15_000);
      await gateway.tick();
    }
    await expectError(await read(gateway, key, id), "deleted");
    const row = await env.DB.prepare("SELECT input FROM tasks WHERE id = ?").bind(id).first();
    expect(JSON.stringify(row)).not.toContain("secret");
  });

  it("is left out where it cannot be read, so that it erases nothing that is not meant", async () => {
    const gateway = startGateway();
    const [broken, other] = [
      await withTask(gateway, {}, { end_user: "ada" }),
      await withTask(gateway, {}, { end_user: "bob" }),
    ];
    const insert = "INSERT INTO erasure_turns (tenant_id, end_user, at_ms) VALUES (?1, ?2, ?3)";
    await env.DB.prepare(insert).bind(broken.id, "ada", garbage).run();
    await env.DB.prepare(insert).bind(other.id, "bob", gateway.now()).run();
    await gateway.tick();
    expect(await erasures(broken.taskId, other.taskId)).toEqual(["none", "done"]);
    expect(unreadable(gateway)).toEqual([`erasure_turns at_ms ${broken.id}`]);
  });

  it("that fails holds up no other tenant's, and is tried again", async () => {
    const gateway = startGateway();
    const [failing, other] = [
      await gateway.makeTenant({ id: "aaa-failing" }),
      await withTask(gateway, { id: "bbb-other" }, { end_user: "bob" }),
    ];
    const file = await fileOf(await upload(gateway, failing.key, await draw("png")));
    await env.DB.prepare("UPDATE files SET end_user = 'ada'").run();
    await insertErasure(env.DB, { tenantId: failing.id, endUser: "ada", atMs: gateway.now() });
    await insertErasure(env.DB, { tenantId: other.id, endUser: "bob", atMs: gateway.now() });
    const around: Around = async (name, call) => {
      if (name === "object dropFile") throw new Error("overloaded");
      return call();
    };
    const shaken = startGateway({ beside: gateway, around });
    await shaken.tick();
    expect(await erasures(other.taskId)).toEqual(["done"]);
    expect(shaken.logs.filter(({ event }) => event === "not_erased")).toMatchObject([
      { level: "error", tenant: failing.id },
    ]);
    gateway.advance(eraserLeaseMs);
    await gateway.tick();
    await expectError(await gateway.fetch(pathOf(file)), "not_found");
    expect((await env.DB.prepare("SELECT * FROM erasure_turns").all()).results).toEqual([]);
  });

  it("that is asked for again is not ended by the one before it", async () => {
    const erasure = { tenantId: "acme", endUser: "ada", atMs: 1_000 };
    await insertErasure(env.DB, erasure);
    const taken = await takeTurn(env.DB, 1_000, 9_000, fail);
    await insertErasure(env.DB, { ...erasure, atMs: 2_000 });
    if (!taken?.turn) throw new Error("not taken");
    await endTurn(env.DB, taken.turn, 60_000);
    const left = await env.DB.prepare("SELECT at_ms, since_ms, due_ms FROM erasure_turns").first();
    expect(left).toEqual({ at_ms: 2_000, since_ms: 2_000, due_ms: 2_000 });
  });
});

describe("erased files", () => {
  it("of a tenant whose object cannot read what it counts go like others', and the log names it", async () => {
    const gateway = startGateway();
    const [broken, other] = [await gateway.makeTenant(), await withTask(gateway, {}, { end_user: "bob" })];
    const picture = await draw("png");
    for (const { key } of [broken, other]) await fileOf(await upload(gateway, key, picture));
    await runInDurableObject(objectOf(broken.id), (_object, { storage }) => {
      storage.sql.exec("UPDATE scopes SET body = ?1", garbage);
    });
    await env.DB.prepare("UPDATE files SET erasure = 'pending'").run();
    await insertErasure(env.DB, { tenantId: other.id, endUser: "bob", atMs: gateway.now() });
    await gateway.tick();
    expect((await storedFiles()).map(({ size }) => size)).toEqual([0, 0]);
    const { results } = await env.DB.prepare("SELECT DISTINCT erasure FROM files").all();
    expect(results).toEqual([{ erasure: "done" }]);
    expect(await erasures(other.taskId)).toEqual(["done"]);
    expect(unreadable(gateway)).toHaveLength(1);
    expect(failedEvents(gateway)).toEqual([]);
  });

  it("go each by itself: one whose object is unavailable is tried again", async () => {
    const gateway = startGateway();
    const picture = await draw("png");
    for (const { key } of [await gateway.makeTenant(), await gateway.makeTenant()]) {
      await fileOf(await upload(gateway, key, picture));
    }
    await env.DB.prepare("UPDATE files SET erasure = 'pending'").run();
    let failed = false;
    const around: Around = async (name, call) => {
      if (name !== "object dropFile" || failed) return call();
      failed = true;
      throw new Error("overloaded");
    };
    const pending = () =>
      env.DB.prepare("SELECT count(*) AS count FROM files WHERE erasure = 'pending'").first("count");
    await startGateway({ beside: gateway, around }).tick();
    expect(await pending()).toBe(1);
    gateway.advance(eraserLeaseMs);
    await gateway.tick();
    expect(await pending()).toBe(0);
  });
});

describe("a tenant's retention", () => {
  it.each([
    ["retention_days", "forever"],
    ["retention_days", -5],
    ["retention_days", 0],
    ["retention_days", 1.5],
  ])("erases nothing where it cannot be read: %s is %j", async (column, value) => {
    const gateway = startGateway();
    const [broken, other] = [
      await withTask(gateway, { id: "aaa-broken", retention_days: 365 }),
      await withTask(gateway, { id: "bbb-other", retention_days: 2 }),
    ];
    await setColumn("tenants", column, value, broken.id);
    gateway.advance(3 * dayMs);
    await toFullHour(gateway);
    expect(await erasures(broken.taskId, other.taskId)).toEqual(["none", "done"]);
    expect(unreadable(gateway)).toEqual([`tenants ${column} ${broken.id}`]);
  });

  it("goes on from the start where it cannot have come so far", async () => {
    const gateway = startGateway();
    const { id, taskId } = await withTask(gateway, { retention_days: 2 });
    await env.DB.prepare("UPDATE erasure_turns SET cursor = ?1 WHERE tenant_id = ?2").bind(garbage, id).run();
    gateway.advance(3 * dayMs);
    await toFullHour(gateway);
    expect(await erasures(taskId)).toEqual(["done"]);
    expect(JSON.stringify(await env.DB.prepare("SELECT * FROM erasure_turns").first())).not.toContain(
      garbage,
    );
  });

  it("of two tenants is done for the second where the first one's input cannot be read", async () => {
    const gateway = startGateway();
    const [broken, other] = [
      await withTask(gateway, { id: "aaa-broken", retention_days: 2 }),
      await withTask(gateway, { id: "bbb-other", retention_days: 2 }),
    ];
    await setColumn("tasks", "input", garbage, broken.taskId);
    gateway.advance(3 * dayMs);
    await toFullHour(gateway);
    expect(await erasures(broken.taskId, other.taskId)).toEqual(["done", "done"]);
  });

  it("of one day erases a task that ran for longer, once it has ended", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ retention_days: 1 });
    const { id } = await submitTask(gateway, key, { prompt: "a boat [sim:seconds=95000]" });
    await env.DB.prepare("UPDATE tasks SET deadline_ms = deadline_ms + ?1").bind(dayMs).run();
    gateway.advance(dayMs);
    await toFullHour(gateway);
    expect(await erasures(id)).toEqual(["none"]);
    await finishTask(gateway, key, id, 120);
    await toFullHour(gateway);
    expect(await erasures(id)).toEqual(["done"]);
  }, 90_000);
});
