/**
 * A reply that waits for its pictures: silent for 55 s, so that what goes wrong has a status; alive after that, so that
 * no client gives up on it; and broken off when there is nothing to end it with, so that no client takes it for a picture.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { moneyOf } from "../../helpers/credits.ts";
import { bearer, readTask, type ShownTask, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import {
  ask,
  decoded,
  keyOf,
  type Reply,
  replyOf,
  storedBytes,
  taskIdOf,
  textOf,
  waitFor,
} from "../../helpers/openai.ts";
import { deleteTasks, expectError, makeKey, recordBindings } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const bindings = recordBindings();
const gateway = startGateway({ time: virtualTime(), around: bindings.around });
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  gateway.invocation().upstreamPause.untilMs = 0;
  bindings.broken.clear();
  tenant = await gateway.makeTenant({ balance: 500 });
});

const wait = (fields: object) => waitFor(gateway, tenant.key, fields);
const lasting = (seconds: number, more = "") => ({ prompt: `a boat [sim:seconds=${seconds}]${more}` });

/** Attempts this twice a second until it is done. */
async function until<T>(work: (at: TestGateway) => Promise<T | undefined>): Promise<T> {
  await gateway.sleep(500);
  return (await work(gateway)) ?? until(work);
}

/** The tenant's only task, as soon as it is there and `is` what is waited for. */
const taskThat = (is: (task: ShownTask) => boolean = () => true) =>
  until(async () => {
    const response = await gateway.fetch("/v1/tasks", { headers: bearer(tenant.key) });
    const { data } = (await response.json()) as { data: ShownTask[] };
    return data.find(is);
  });

const remove = (id: string) =>
  gateway.fetch(`/v1/tasks/${id}`, { method: "DELETE", headers: bearer(tenant.key) });

describe("a reply that comes within 55 s", () => {
  it("comes whole, when the pictures are there, and not sooner", async () => {
    const waited = await wait(lasting(40));
    expect(waited.answeredMs).toBeGreaterThanOrEqual(40_000);
    expect(waited.answeredMs).toBeLessThanOrEqual(55_000);
    expect(waited.endedMs).toBe(waited.answeredMs);
    expect(textOf(waited)).toMatch(/^\{.*\}$/s);
  });

  it("of a task that is called off meanwhile says so", async () => {
    gateway.simulator.control.script({ on: "submit", do: { kind: "rate_limit", retryAfter: 300 } });
    const waiting = ask(gateway, tenant.key);
    const { id } = await taskThat();
    const cancelled = await gateway.post(`/v1/tasks/${id}/cancel`, undefined, bearer(tenant.key));
    expect(cancelled.status).toBe(200);
    const response = await waiting;
    expect(taskIdOf(response)).toBe(id);
    await expectError(response, "task_not_finished");
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 500, held: 0 });
  });

  it("of a task that was erased as soon as it ended is 410", async () => {
    const waiting = ask(gateway, tenant.key, lasting(20));
    const { id } = await taskThat(({ status }) => status === "completed");
    expect((await remove(id)).status).toBe(204);
    const response = await waiting;
    expect(taskIdOf(response)).toBe(id);
    await expectError(response, "deleted", null, "unknown");
  });

  it("of a key that is revoked meanwhile says that its task goes on", async () => {
    const { key, id: keyId } = await makeKey(gateway, tenant.id, {});
    const waiting = ask(gateway, key, lasting(30));
    const { id } = await taskThat();
    await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${keyId}`);
    const response = await waiting;
    expect(taskIdOf(response)).toBe(id);
    await expectError(response, "invalid_key", null, "held");
  });

  it("waits on while the database is unavailable: there is a task, and it will be charged", async () => {
    const waiting = ask(gateway, tenant.key, lasting(30));
    const { id } = await taskThat();
    bindings.broken.add("D1");
    await gateway.sleep(10_000);
    bindings.broken.clear();
    const waited = await waiting;
    expect(taskIdOf(waited)).toBe(id);
    expect((await replyOf(waited)).data).toHaveLength(1);
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });
});

describe("a picture that cannot be read has a status, before any byte:", () => {
  it.each([
    { name: "JSON", fields: {} },
    { name: "base 64 alone", fields: { response_format: "b64_json" } },
    { name: "a stream of events", fields: { stream: true } },
  ])("503 when the bucket is unavailable, for $name", async ({ fields }) => {
    bindings.broken.add("R2 get");
    const response = await ask(gateway, tenant.key, fields);
    expect(taskIdOf(response)).not.toBe("");
    // It is paid for: another attempt would be another task.
    expect(await expectError(response, "unavailable", null, "yes")).not.toMatch(/try again|not charged/i);
  });

  it("none of it matters to who asked for URLs", async () => {
    bindings.broken.add("R2 get");
    const { data } = await replyOf(await ask(gateway, tenant.key, { response_format: "url" }));
    expect(data[0]?.url).toMatch(/^https:/);
  });

  it("410 when it was erased, for the same request again", async () => {
    const name = { "idempotency-key": "a" };
    const first = await ask(gateway, tenant.key, {}, name);
    await replyOf(first);
    await remove(taskIdOf(first));
    await expectError(await ask(gateway, tenant.key, {}, name), "deleted");
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });
});

describe("a picture that is being erased while it is asked for again", () => {
  const name = { "idempotency-key": "a" };

  /** Makes two pictures, and puts in the place of one what is left of a deleted one. */
  async function withTombstone(index: number): Promise<void> {
    const { data } = await replyOf(await ask(gateway, tenant.key, { n: 2 }, name));
    await env.IMAGES.put(keyOf(data[index]?.url), new Uint8Array());
  }

  it("is 410 when it is the first", async () => {
    await withTombstone(0);
    await expectError(await ask(gateway, tenant.key, { n: 2 }, name), "deleted", null, "yes");
  });

  it("breaks the reply off when it is a later one", async () => {
    await withTombstone(1);
    const waited = await waitFor(gateway, tenant.key, { n: 2 }, name);
    expect([waited.response.status, waited.end]).toEqual([200, "broken"]);
    expect(() => JSON.parse(textOf(waited)) as unknown).toThrow(SyntaxError);
  });
});

describe("a reply that takes longer than 55 s", () => {
  it("begins then, shows a sign of life at least every 10 s, and parses whole", async () => {
    const waited = await wait({ ...lasting(200), n: 2 });
    expect(waited.answeredMs).toBe(55_000);
    expect(waited.response.status).toBe(200);
    expect(waited.response.headers.get("content-type")).toBe("application/json");
    const task = await readTask(gateway, tenant.key, taskIdOf(waited.response));
    const pulses = waited.chunks.filter(({ text }) => text.trim() === "");
    const moments = [55_000, ...waited.chunks.map(({ atMs }) => atMs), waited.endedMs];
    expect(pulses[0]?.atMs).toBe(55_000);
    for (const [i, atMs] of moments.entries())
      expect(atMs - (moments[i - 1] ?? 0)).toBeLessThanOrEqual(i ? 10_000 : 55_000);
    expect(pulses.length).toBeLessThanOrEqual(30);
    const { data } = JSON.parse(textOf(waited)) as Reply;
    expect(data.map(({ url }) => url)).toEqual(task.results);
    for (const { url, b64_json } of data) expect(decoded(b64_json)).toEqual(await storedBytes(url));
  });

  it.each([
    ["fails", lasting(90, " [sim:fail=generation_timeout]"), 90_000],
    ["is refused for its content", lasting(90, " [sim:fail]"), 90_000],
  ])("breaks off when the task %s, and is no JSON", async (_how, fields, afterMs) => {
    const waited = await wait(fields);
    expect([waited.response.status, waited.end]).toEqual([200, "broken"]);
    expect(waited.endedMs).toBeGreaterThanOrEqual(afterMs);
    expect(textOf(waited).trim()).toBe("");
    const task = await readTask(gateway, tenant.key, taskIdOf(waited.response));
    expect(task).toMatchObject({ status: "failed", usage: { credits_charged: 0 } });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 500, held: 0 });
  });

  it("breaks off when the bucket is unavailable", async () => {
    bindings.broken.add("R2 get");
    const waited = await wait(lasting(90));
    expect([waited.response.status, waited.end]).toEqual([200, "broken"]);
    expect(textOf(waited).trim()).toBe("");
  });

  it("breaks off after ten minutes, and the task goes on", async () => {
    const waited = await wait(lasting(1_000));
    expect([waited.end, waited.endedMs]).toEqual(["broken", 600_000]);
    expect(textOf(waited).trim()).toBe("");
    const task = await readTask(gateway, tenant.key, taskIdOf(waited.response));
    expect(task.status).toMatch(/^(pending|processing)$/);
  });

  it("is given up as soon as the client leaves", async () => {
    const response = await ask(gateway, tenant.key, lasting(900));
    await response.body?.cancel();
    const calls = bindings.calls.length;
    await gateway.sleep(60_000);
    // One read may have been under way.
    expect(bindings.calls.length - calls).toBeLessThanOrEqual(3);
  });
});
