/**
 * Reconciliation: silent while all is sound, and each kind of damage, made here in the rows, is found. A hold that
 * leaked is settled by it, once, with an entry that says so; what is younger than five minutes is left alone.
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { ledgerOf, moneyOf } from "../../helpers/credits.ts";
import {
  bearer,
  finishTask,
  startGateway,
  storedKeys,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import {
  expectError,
  expectUnknown,
  generations,
  goodBody,
  recordBindings,
  submit,
} from "../../helpers/routes.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { objectOf, stubOf } from "../../helpers/tenant-object.ts";
import { setInState } from "../../helpers/tenant-state.ts";
import { garbage, setColumn, unreadable } from "../../helpers/unreadable.ts";

let gateway: TestGateway;
let tenant = { id: "", key: "", keyId: "" };
const bindings = recordBindings();
const fiveMinutes = 301_000;

beforeEach(async () => {
  await emptyStores();
  bindings.broken.clear();
  gateway = startGateway({ around: bindings.around });
  tenant = await gateway.makeTenant({ balance: 500 });
});

interface Problem {
  kind: string;
  tenant: string | null;
  subject: string | null;
  text: string;
}

async function reconcile(method: "GET" | "POST" = "POST"): Promise<{ ok: boolean; data: Problem[] }> {
  const response = await gateway.admin(method, "/audit");
  expect(response.status).toBe(200);
  const { ok, data } = (await response.json()) as { ok: boolean; data: Problem[] };
  expect(ok).toBe(data.length === 0);
  return { ok, data };
}

const sound = { ok: true, data: [] };
const found = (kind: string, subject: string | null, owner: string | null = tenant.id) => ({
  ok: false,
  data: [{ kind, tenant: owner, subject, text: expect.stringMatching(/\w/) }],
});

async function finished(n = 1): Promise<string> {
  const { id } = await submitTask(gateway, tenant.key, { n });
  expect(await finishTask(gateway, tenant.key, id)).toMatchObject({ status: "completed" });
  return id;
}

const slow = (seconds = 3_000) =>
  gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "plan", seconds } });

const sql = (query: string, ...values: unknown[]) =>
  env.DB.prepare(query)
    .bind(...values)
    .run();

describe("a hold that cannot be read", () => {
  it("is named, and keeps no other of its tenant from being settled", async () => {
    const broken = await submitTask(gateway, tenant.key);
    const { id } = await submitTask(gateway, tenant.key);
    await sql("UPDATE tasks SET state = 'failed', finished_ms = created_ms, open = 0");
    await runInDurableObject(objectOf(tenant.id), (_tenant, { storage }) => {
      storage.sql.exec("UPDATE open_tasks SET images = 'unreadable contents' WHERE task_id = ?", broken.id);
    });
    gateway.advance(fiveMinutes);
    const { data } = await reconcile();
    expect(data).toContainEqual(expect.objectContaining({ kind: "hold", subject: id }));
    expect(data).toContainEqual(
      expect.objectContaining({ kind: "hold", text: expect.stringContaining("open_tasks images") }),
    );
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 30 });
    expect(gateway.logs).toContainEqual(
      expect.objectContaining({ event: "stored_data_unreadable", table: "open_tasks", field: "images" }),
    );
    expect(JSON.stringify([data, gateway.logs])).not.toContain("unreadable contents");
  });
});

describe("a sound gateway", () => {
  it("has nothing to show, whatever its tasks went through", async () => {
    expect(await reconcile()).toEqual(sound);
    const { script } = gateway.simulator.control;
    await finished(3);
    script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
    await finishTask(gateway, tenant.key, (await submitTask(gateway, tenant.key)).id);
    script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
    await expectError(await submit(gateway, tenant.key), "content_policy_violation");
    script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 60 } });
    await submitTask(gateway, tenant.key);
    slow();
    await submitTask(gateway, tenant.key, { n: 2 });
    await gateway.admin("PATCH", `/tenants/${tenant.id}`, { balance: 300 });
    const metered = await gateway.makeTenant();
    await submitTask(gateway, metered.key);
    expect(await reconcile()).toEqual(sound);
    gateway.advance(fiveMinutes);
    await gateway.tick();
    expect(await reconcile()).toEqual(sound);
    gateway.advance(900_000);
    await gateway.tick();
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(sound);
  });
});

describe("a picture that is not there", () => {
  it("is found by its task", async () => {
    const id = await finished(2);
    await finished();
    await env.IMAGES.delete((await storedKeys())[0] ?? "");
    const { results } = await env.DB.prepare("SELECT id, images FROM tasks").all<{
      id: string;
      images: string;
    }>();
    const kept = await storedKeys();
    const ids = (images: string) => (JSON.parse(images) as { id: string }[]).map((image) => image.id);
    const robbed = results.find(
      ({ images }) => !ids(images).every((one) => kept.some((key) => key.includes(one))),
    );
    expect(robbed).toBeDefined();
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(found("picture", robbed?.id ?? id));
  });

  it("is found when it is cut short, too, and not while its task is young", async () => {
    const id = await finished();
    await env.IMAGES.put((await storedKeys())[0] ?? "", "cut");
    expect(await reconcile()).toEqual(sound);
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(found("picture", id));
  });
});

describe("a hold that leaked", () => {
  it("whose task the database has lost is found, and the task is written there again, and ends", async () => {
    slow();
    const { id } = await submitTask(gateway, tenant.key, { n: 2 });
    await sql("DELETE FROM tasks WHERE id = ?", id);
    gateway.advance(fiveMinutes - 2_000);
    expect(await reconcile()).toEqual(sound);
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 60 });
    gateway.advance(2_000);
    for (let i = 0; i < 2; i++) expect(await reconcile("GET")).toEqual(found("hold", id));
    expect(await reconcile()).toEqual(found("hold", id));
    for (const method of ["GET", "POST"] as const) expect(await reconcile(method)).toEqual(sound);
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 60 });
    await gateway.admin("POST", `/tasks/${id}/fail`);
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 500, held: 0, available: 500 });
  });

  it("of a task that has ended is settled as the task ended", async () => {
    bindings.broken.add("object settle");
    const id = await finished(3);
    await sql("UPDATE tasks SET open = 0");
    bindings.broken.clear();
    gateway.advance(fiveMinutes);
    for (let i = 0; i < 2; i++) expect(await reconcile("GET")).toEqual(found("hold", id));
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 90 });
    expect(await reconcile()).toEqual(found("hold", id));
    const [charge] = await ledgerOf(gateway, tenant.id);
    expect(charge).toMatchObject({ type: "charge", amount: 90, note: "found unsettled by the audit" });
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 410, held: 0, available: 410 });
    expect(await reconcile()).toEqual(sound);
  });

  it("of a task whose pictures cannot be read is left alone: how many are to be charged is not known", async () => {
    bindings.broken.add("object settle");
    const [id, other] = [await finished(3), await finished()];
    await sql("UPDATE tasks SET open = 0");
    await setColumn("tasks", "images", garbage, id);
    bindings.broken.clear();
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(found("hold", other));
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 470, held: 90, available: 380 });
    expect(unreadable(gateway)).toContain(`tasks images_charged ${id}`);
  });

  it("of a task that ended just now is left to those that settle it", async () => {
    bindings.broken.add("object settle");
    await finished();
    bindings.broken.clear();
    expect(await reconcile()).toEqual(sound);
    await runDurableObjectAlarm(objectOf(tenant.id));
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
  });

  it("is settled once by many that reconcile at the same time", async () => {
    bindings.broken.add("object settle");
    await finished();
    bindings.broken.clear();
    gateway.advance(fiveMinutes);
    const replies = await Promise.all(Array.from({ length: 5 }, () => reconcile()));
    expect(replies.filter(({ ok }) => !ok)).toHaveLength(1);
    expect(await ledgerOf(gateway, tenant.id)).toHaveLength(3);
  });
});

describe("a task that", () => {
  it("goes on although its hold is settled is found", async () => {
    slow();
    const { id } = await submitTask(gateway, tenant.key);
    const row = await env.DB.prepare("SELECT hold_number AS hold FROM tasks WHERE id = ?")
      .bind(id)
      .first<{ hold: number }>();
    const end = { images: 0, refused: false, deleteReplay: false, nowMs: gateway.now() };
    expect(await stubOf(tenant.id).settle({ ...end, holdNumber: row?.hold ?? 0 })).toBe("settled");
    expect(await reconcile()).toEqual(sound);
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(found("task", id));
  });

  it("should have ended is found, five minutes later", async () => {
    slow(9_000);
    const { id } = await submitTask(gateway, tenant.key);
    gateway.advance(3_600_000 + 299_000);
    expect(await reconcile()).toEqual(sound);
    gateway.advance(2_000);
    expect(await reconcile()).toEqual(found("overdue", id, null));
  });
});

describe("a task that one of the two stores has lost", () => {
  it("is named where the database lacks it and its object has charged it, and its replay was not deleted", async () => {
    const headers = { ...bearer(tenant.key), "idempotency-key": "order-1" };
    const ask = () => gateway.post(generations, goodBody, headers);
    const { id } = (await (await ask()).json()) as { id: string };
    await finishTask(gateway, tenant.key, id);
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(sound);
    await sql("DELETE FROM tasks WHERE id = ?1", id);
    for (const method of ["GET", "POST"] as const) expect(await reconcile(method)).toEqual(found("task", id));
    expect(await expectUnknown(await ask())).toBe(id);
  });

  it("is named where it has ended and its object knows nothing of its hold", async () => {
    const id = await finished();
    gateway.advance(fiveMinutes);
    expect(await reconcile()).toEqual(sound);
    // As in an object that was restored to a time before it, and has given its number to another one.
    await sql("UPDATE tasks SET hold_number = hold_number + 1 WHERE id = ?1", id);
    for (const method of ["GET", "POST"] as const) expect(await reconcile(method)).toEqual(found("hold", id));
  });
});

describe("an account that does not add up", () => {
  it.each([
    ["account.toppedUp", 501, /topped up.*501.*500/],
    ["account.charged", 0, /charged.*0.*30/],
    ["account.held", 7, /held.*7.*60/],
    ["counters.open", 0, /in flight.*0.*1/],
  ])("are found by what they say of %s", async (path, value, text) => {
    await finished();
    slow();
    await submitTask(gateway, tenant.key, { n: 2 });
    await setInState(tenant.id, path, value);
    expect(await reconcile()).toEqual({
      ok: false,
      data: [{ kind: "balance", tenant: tenant.id, subject: null, text: expect.stringMatching(text) }],
    });
  });

  it("are found when a prepaid tenant has less than nothing", async () => {
    await setInState(tenant.id, "account.toppedUp", -5);
    await runInDurableObject(objectOf(tenant.id), (_tenant, { storage }) => {
      storage.sql.exec("UPDATE entries SET amount = -5");
    });
    expect(await reconcile()).toMatchObject({
      ok: false,
      data: [{ kind: "balance", text: expect.stringContaining("-5") }],
    });
  });
});
