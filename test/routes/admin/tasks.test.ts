/**
 * `/admin/api/tasks`: the operator finds any tenant's task, sees what tenants never do, brings one to its end by
 * hand, and leaves a line about it.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { pageThrough } from "../../helpers/admin.ts";
import { getAs, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { bearer, finishTask, readTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { deleteTasks, expectError, read, submit, upstreamCalls } from "../../helpers/routes.ts";

const readKey = "read-only-test-key-0123456789-0123";
const gateway = startGateway({ vars: { ADMIN_READ_KEY: readKey } });
const { script, tasks: upstreamTasks } = gateway.simulator.control;

type Shown = { id: string } & Record<string, unknown>;

const list = async (query = "") => {
  const response = await gateway.admin("GET", `/tasks?${query}`);
  expect(response.status).toBe(200);
  return (await response.json()) as { object: string; data: Shown[]; next_cursor: string | null };
};
const ids = async (query: string) => (await list(query)).data.map(({ id }) => id);
const show = async (id: string): Promise<Shown> => (await gateway.admin("GET", `/tasks/${id}`)).json();
const act = (id: string, what: "refresh" | "fail") => gateway.admin("POST", `/tasks/${id}/${what}`);

async function auditEntriesOf(id: string) {
  const response = await gateway.admin("GET", "/audit?acts_limit=100");
  const { acts } = (await response.json()) as { acts: { data: { act: string; subject: string | null }[] } };
  return acts.data.filter(({ subject }) => subject === id);
}

let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await deleteTasks();
  tenant = await gateway.makeTenant({ balance: 500 });
});

describe("the operator's list of tasks", () => {
  const pro = "wan-2.7-image-pro";

  /** One task in each status, the newest last, two of them another tenant's. */
  async function fill(other: { key: string }): Promise<Record<string, string>> {
    const made: Record<string, string> = {};
    const submitAs = async (name: string, key: string, body: object = {}) => {
      gateway.advance(1_000);
      made[name] = (await submitTask(gateway, key, body)).id;
      return made[name];
    };
    await finishTask(gateway, tenant.key, await submitAs("completed", tenant.key, { end_user: "eve" }));
    script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
    await finishTask(gateway, other.key, await submitAs("failed", other.key, { model: pro }));
    script({ on: "submit", times: 1, do: { kind: "plan", seconds: 40 } });
    await submitAs("processing", tenant.key);
    gateway.advance(5_000);
    await gateway.tick();
    await submitAs("pending", other.key, { end_user: "eve" });
    gateway.advance(1_000);
    script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
    expect((await submit(gateway, tenant.key)).status).toBe(400);
    return { ...made, hidden: (await ids("limit=1"))[0] ?? "" };
  }

  it("is filtered by tenant, status, model, end user and request, and by several at once", async () => {
    const other = await gateway.makeTenant();
    const { completed, failed, processing, pending, hidden } = await fill(other);
    expect(await list()).toMatchObject({ object: "list", next_cursor: null });
    expect(await ids("")).toEqual([hidden, pending, processing, failed, completed]);
    expect(await ids(`tenant=${other.id}`)).toEqual([pending, failed]);
    expect(await ids("status=pending")).toEqual([pending]);
    expect(await ids("status=processing")).toEqual([processing]);
    expect(await ids("status=completed")).toEqual([completed]);
    expect(await ids("status=failed")).toEqual([hidden, failed]);
    expect(await ids("status=cancelled")).toEqual([]);
    expect(await ids(`model=${pro}`)).toEqual([failed]);
    expect(await ids("end_user=eve")).toEqual([pending, completed]);
    expect(await ids(`end_user=eve&tenant=${tenant.id}&status=completed`)).toEqual([completed]);
    expect(await ids(`status=completed&tenant=${other.id}`)).toEqual([]);
    const { request_id } = await show(String(processing));
    expect(await ids(`request_id=${request_id}`)).toEqual([processing]);
  });

  it("comes in pages that together hold each task once, newest first", async () => {
    for (let i = 0; i < 7; i++) await submitTask(gateway, tenant.key);
    const all = await ids("");
    expect(all).toHaveLength(7);
    const byText = (a: string, b: string) => (a < b ? 1 : -1);
    expect(all).toEqual(all.toSorted(byText));
    for (const limit of [1, 2, 3, 7, 8]) {
      const pages = await pageThrough<Shown>(gateway, "/tasks", limit);
      expect(pages.flat().map(({ id }) => id)).toEqual(all);
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    }
  });

  it.each([
    ["status", "status=done"],
    ["limit", "limit=0"],
    ["cursor", `cursor=${"c".repeat(101)}`],
  ])("refuses a bad %s: %s", async (param, query) => {
    await expectError(await gateway.admin("GET", `/tasks?${query}`), "invalid_request", param);
  });
});

describe("a task as the operator sees it", () => {
  it("shows the upstream's id and the attempts, which its tenant never sees", async () => {
    script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 10 } });
    const submitted = await submit(gateway, tenant.key, { end_user: "eve" });
    const { id } = (await submitted.json()) as { id: string };
    expect(await show(id)).toMatchObject({ state: "queued", upstream_id: null, attempts: 1 });
    gateway.advance(60_000);
    await gateway.tick();
    const shown = await show(id);
    const upstreamId = upstreamTasks().at(-1)?.id ?? "";
    expect(upstreamId).not.toBe("");
    expect(shown).toMatchObject({
      tenant: tenant.id,
      key: tenant.keyId,
      request_id: submitted.headers.get("x-request-id"),
      state: "submitted",
      upstream_id: upstreamId,
      attempts: 2,
      hidden: false,
      input: { prompt: "a lighthouse at dusk", n: 1 },
      end_user: "eve",
      usage: { credits_held: 30 },
    });
    const { settled, ...listed } = shown as Record<string, unknown>;
    expect(settled).toBe(false);
    expect((await list()).data).toEqual([listed]);
    const own = await (await read(gateway, tenant.key, id)).text();
    for (const word of [upstreamId, "upstream_id", "attempts", "request_id", "deadline_at"]) {
      expect(own).not.toContain(word);
    }
  });

  it("says when it came to each of its stations, and when nothing is left to do", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    const { created } = (await show(id)) as unknown as { created: number };
    const taken = { submitted_at: created, storing_at: null, finished: null, settled: false };
    expect(await show(id)).toMatchObject(taken);
    script({ on: "picture", times: 1, do: { kind: "reply", status: 500 } });
    gateway.advance(30_000);
    await gateway.tick();
    const storing = { ...taken, storing_at: created + 30 };
    expect(await show(id)).toMatchObject({ state: "storing", ...storing });
    gateway.advance(60_000);
    await gateway.tick();
    expect(await show(id)).toMatchObject({ ...storing, finished: created + 90, settled: true });
    const own = await (await read(gateway, tenant.key, id)).text();
    for (const word of ["submitted_at", "storing_at", "settled"]) expect(own).not.toContain(word);
  });

  it("is said to be erased once it is, without its pictures' addresses, and keeps what it cost", async () => {
    const { id } = await submitTask(gateway, tenant.key, { n: 2, end_user: "eve", metadata: { order: "7" } });
    await finishTask(gateway, tenant.key, id);
    const before = await show(id);
    expect(before).toMatchObject({ erased: false, results: [expect.any(String), expect.any(String)] });
    const erase = () => gateway.fetch(`/v1/tasks/${id}`, { method: "DELETE", headers: bearer(tenant.key) });
    expect((await erase()).status).toBe(204);
    const gone = { results: [], images: [], input: { prompt: "", n: 2 }, metadata: {}, end_user: null };
    const erased = { ...gone, erased: true, status: "completed", usage: before.usage };
    expect(await show(id)).toMatchObject(erased);
    expect(await (await act(id, "refresh")).json()).toMatchObject(erased);
    expect((await list()).data).toMatchObject([erased]);
    expect(before.usage).toMatchObject({ images: 2, credits_charged: 60 });
  });

  it("is there when the tenant's caller was refused by the upstream, for the operator alone", async () => {
    script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
    const refused = await submit(gateway, tenant.key);
    const [hidden] = (await list(`request_id=${refused.headers.get("x-request-id")}`)).data;
    expect(hidden).toMatchObject({
      status: "failed",
      hidden: true,
      error: { code: "content_policy_violation" },
      usage: { credits_held: 0, credits_charged: 0 },
    });
    await expectError(await read(gateway, tenant.key, hidden?.id ?? ""), "task_not_found");
    expect(await show(hidden?.id ?? "")).toEqual({ ...hidden, settled: true });
  });

  it.each(["task-unknown", "x", "%00", "t".repeat(500)])(
    "is not found when there is none: %s",
    async (id) => {
      await expectError(await gateway.admin("GET", `/tasks/${id}`), "task_not_found");
      await expectError(await act(id, "refresh"), "task_not_found");
      await expectError(await act(id, "fail"), "task_not_found");
    },
  );
});

describe("refreshing a task", () => {
  it("brings one that is done upstream to its end", async () => {
    const { id } = await submitTask(gateway, tenant.key, { n: 2 });
    gateway.advance(30_000);
    const response = await act(id, "refresh");
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({ id, status: "completed", usage: { credits_charged: 60 } });
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 440, held: 0, available: 440 });
    expect(await auditEntriesOf(id)).toMatchObject([
      { act: "task.refresh", actor: "admin", tenant: tenant.id },
    ]);
  });

  it("polls one under way at once, however recent its last poll is", async () => {
    script({ on: "submit", times: 1, do: { kind: "plan", seconds: 1_000 } });
    const { id } = await submitTask(gateway, tenant.key);
    gateway.advance(300_000);
    const before = upstreamCalls(gateway, "GET").length;
    for (const polls of [1, 2, 3]) {
      expect(await (await act(id, "refresh")).json()).toMatchObject({ status: "processing", progress: 30 });
      expect(upstreamCalls(gateway, "GET")).toHaveLength(before + polls);
    }
  });

  it("has one whose pictures could not be stored attempted again at the next tick", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    script({ on: "picture", times: 1, do: { kind: "reply", status: 500 } });
    gateway.advance(30_000);
    await gateway.tick();
    await gateway.tick();
    expect(await show(id)).toMatchObject({ status: "processing", state: "storing" });
    await act(id, "refresh");
    await gateway.tick();
    expect(await show(id)).toMatchObject({ status: "completed" });
  });

  it("leaves one that has ended as it is", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, id);
    const before = await show(id);
    expect(await (await act(id, "refresh")).json()).toEqual(before);
  });
});

describe("failing a task", () => {
  beforeAll(() => script({ on: "submit", match: { prompt: "slow" }, do: { kind: "plan", seconds: 60 } }));

  it("ends it and gives its hold back, once, whatever the upstream makes of it", async () => {
    const { id } = await submitTask(gateway, tenant.key, { prompt: "slow", n: 3 });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 90 });
    const failed = await (await act(id, "fail")).json();
    expect(failed).toMatchObject({ status: "failed", error: { code: "unknown_error", charged: "no" } });
    expect(await moneyOf(gateway, tenant.id)).toEqual({ balance: 500, held: 0, available: 500 });
    gateway.advance(120_000);
    await gateway.tick();
    const again = await act(id, "fail");
    expect([again.status, await again.json()]).toEqual([200, failed]);
    expect(await readTask(gateway, tenant.key, id)).toMatchObject({ status: "failed", images: [] });
    expect((await ledgerOf(gateway, tenant.id)).map(({ type }) => type)).toEqual([
      "release",
      "hold",
      "topup",
    ]);
    expect(await auditEntriesOf(id)).toMatchObject([{ act: "task.fail", actor: "admin", tenant: tenant.id }]);
  });

  it("many times at once ends it once", async () => {
    const { id } = await submitTask(gateway, tenant.key, { prompt: "slow" });
    const replies = await Promise.all(Array.from({ length: 10 }, () => act(id, "fail")));
    expect(replies.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect((await ledgerOf(gateway, tenant.id)).map(({ type }) => type)).toEqual([
      "release",
      "hold",
      "topup",
    ]);
  });

  it("leaves one that is completed as it is, and charged", async () => {
    const { id } = await submitTask(gateway, tenant.key);
    await finishTask(gateway, tenant.key, id);
    expect(await (await act(id, "fail")).json()).toMatchObject({ status: "completed" });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
    expect(await auditEntriesOf(id)).toEqual([]);
  });

  it("is not for the key that only reads, nor for tenants", async () => {
    const { id } = await submitTask(gateway, tenant.key, { prompt: "slow" });
    for (const what of ["fail", "refresh"]) {
      const path = `/admin/api/tasks/${id}/${what}`;
      const ask = (key: string) => gateway.fetch(path, { method: "POST", headers: bearer(key) });
      await expectError(await ask(readKey), "scope_denied");
      await expectError(await ask(tenant.key), "invalid_key");
    }
    expect((await getAs(gateway, readKey, `/admin/api/tasks/${id}`)).status).toBe(200);
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ held: 30 });
  });
});
