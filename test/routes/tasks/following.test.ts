/**
 * How many replies may wait for a task or stream it at a time, in one isolate: four of one task, a hundred of one key. A
 * place is given back however the reply ends, and no submission is refused for want of one.
 */
import { beforeEach, describe, expect, it } from "vitest";
import {
  bearer,
  clearTasks,
  finishTask,
  type ShownTask,
  startGateway,
  submitTask,
} from "../../helpers/gateway.ts";
import { ask, taskIdOf } from "../../helpers/openai.ts";
import { expectError, generations, goodBody, read, recordBindings } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

beforeEach(clearTasks);

const noLimits = { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null };
const slow = { prompt: "a boat [sim:seconds=900]" };

async function started(options: Parameters<typeof startGateway>[0] = {}) {
  const bindings = recordBindings();
  const gateway = startGateway({ around: bindings.around, ...options });
  const tenant = await gateway.makeTenant({ limits: noLimits });
  const task = await submitTask(gateway, tenant.key, slow);
  const { events } = task.links as { events: string };
  const { pathname, search } = new URL(events);
  const byLink = (headers: Record<string, string> = {}) => gateway.fetch(pathname + search, { headers });
  const open = (id = task.id, init: RequestInit = {}) =>
    gateway.fetch(`/v1/tasks/${id}/events`, { headers: bearer(tenant.key), ...init });
  const wait = (seconds: number, id = task.id, init: RequestInit = {}) =>
    gateway.fetch(`/v1/tasks/${id}?wait=${seconds}`, { headers: bearer(tenant.key), ...init });
  return { gateway, bindings, ...tenant, task, byLink, open, wait };
}

/** Opens as many streams as there are places. @returns what closes them. */
async function fill(open: () => Promise<Response>, places = 4): Promise<() => Promise<void>> {
  const opened: Response[] = [];
  for (let i = 0; i < places; i++) opened.push(await open());
  expect(opened.map(({ status }) => status)).toEqual(opened.map(() => 200));
  return async () => {
    for (const { body } of opened) await body?.cancel();
  };
}

async function expectNoPlace(response: Response, of: RegExp): Promise<void> {
  expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(await expectError(response, "rate_limited")).toMatch(of);
}

describe("one task", () => {
  it("of whose link 400 streams are opened has four, and another tenant's read costs what it always does", async () => {
    const { gateway, bindings, byLink } = await started();
    const other = await gateway.makeTenant();
    const { id } = await submitTask(gateway, other.key, slow);
    const costOfRead = async () => {
      bindings.calls.length = 0;
      expect((await read(gateway, other.key, id)).status).toBe(200);
      return bindings.calls.filter((name) => !name.startsWith("fetch"));
    };
    await costOfRead();
    const before = await costOfRead();
    const replies: Response[] = [];
    for (let i = 0; i < 400; i++) {
      const calls = bindings.calls.length;
      const reply = await byLink();
      replies.push(reply);
      if (reply.status === 429) expect(bindings.calls).toHaveLength(calls);
    }
    const open = replies.filter(({ status }) => status === 200);
    expect(open).toHaveLength(4);
    for (const reply of replies.slice(4)) await expectNoPlace(reply, /this task|this link/);
    expect(await costOfRead()).toEqual(before);
    for (const { body } of open) await body?.cancel();
    expect((await submitTask(gateway, other.key)).id).toBeTruthy();
  });

  it("has four over streams and waits, by links and keys, each of its own", async () => {
    const { gateway, key, open, byLink, wait, task } = await started();
    const close = await fill(open, 3);
    const closeLast = await fill(byLink, 1);
    await expectNoPlace(await open(), /of this task: 4/);
    await expectNoPlace(await byLink(), /of this task/);
    await expectNoPlace(await wait(10), /of this task/);
    const prefer = { ...bearer(key), prefer: "wait=10" };
    await expectNoPlace(await gateway.fetch(`/v1/tasks/${task.id}`, { headers: prefer }), /of this task/);
    // What does not wait needs no place, nor does another task.
    expect((await read(gateway, key, task.id)).status).toBe(200);
    const another = await submitTask(gateway, key, slow);
    expect((await wait(1, another.id)).status).toBe(200);
    await close();
    await closeLast();
  });

  it("is its tenant's: another tenant takes up no place of it by asking for its id", async () => {
    const { gateway, open, task } = await started();
    const other = await gateway.makeTenant();
    for (let i = 0; i < 5; i++)
      await expectError(await open(task.id, { headers: bearer(other.key) }), "task_not_found");
    await (await fill(open))();
  });
});

describe("the settings", () => {
  it("say how many there may be", async () => {
    const vars = { FOLLOWERS_PER_TASK: 2, FOLLOWERS_PER_KEY: 3 };
    const { gateway, key, open } = await started({ vars });
    const { id } = await submitTask(gateway, key, slow);
    const close = await fill(open, 2);
    await expectNoPlace(await open(), /of this task: 2/);
    const closeLast = await fill(() => open(id), 1);
    await expectNoPlace(await open(id), /with this key or token: 3/);
    await close();
    await closeLast();
  });
});

describe("one key", () => {
  it("has a hundred over all its tasks; its links count by network address instead", async () => {
    const { gateway, key, open, wait } = await started();
    const ids: ShownTask[] = [];
    for (let i = 0; i < 26; i++) ids.push(await submitTask(gateway, key, slow));
    const closings: (() => Promise<void>)[] = [];
    for (const { id } of ids.slice(0, 25)) closings.push(await fill(() => open(id)));
    const last = ids.at(-1) as ShownTask;
    await expectNoPlace(await open(last.id), /with this key or token: 100/);
    await expectNoPlace(await wait(5, last.id), /with this key/);
    const { pathname, search } = new URL((last.links as { events: string }).events);
    await (await gateway.fetch(pathname + search)).body?.cancel();

    // A submission is taken, and answered at once.
    const startMs = gateway.now();
    const prefer = { ...bearer(key), prefer: "wait=10" };
    const taken = await gateway.post(generations, { ...goodBody, ...slow }, prefer);
    expect([taken.status, gateway.now() - startMs]).toEqual([200, 0]);
    expect(taken.headers.get("preference-applied")).toBeNull();
    // One in OpenAI's words, whose reply alone has the pictures, waits for them.
    expect((await ask(gateway, key)).status).toBe(200);
    for (const close of closings) await close();
  });

  it("of a page's visitors by links has a hundred from each network address", async () => {
    const { gateway, key } = await started();
    const from = (ip: string) => ({ headers: { "cf-connecting-ip": ip } });
    const links: string[] = [];
    for (let i = 0; i < 26; i++) {
      const { pathname, search } = new URL(
        ((await submitTask(gateway, key, slow)).links as { events: string }).events,
      );
      links.push(pathname + search);
    }
    const closings: (() => Promise<void>)[] = [];
    for (const link of links.slice(0, 25))
      closings.push(await fill(() => gateway.fetch(link, from("192.0.2.200"))));
    const last = links.at(-1) ?? "";
    await expectNoPlace(await gateway.fetch(last, from("192.0.2.200")), /network address: 100/);
    await (await gateway.fetch(last, from("192.0.2.201"))).body?.cancel();
    for (const close of closings) await close();
  });
});

describe("a place is given back", () => {
  it("when a stream is cancelled, and nothing more is read for it", async () => {
    const { gateway, bindings, open } = await started({ time: virtualTime() });
    for (let i = 0; i < 6; i++) {
      const response = await open();
      expect(response.status).toBe(200);
      const reader = response.body?.getReader();
      await reader?.read();
      await reader?.read();
      const more = reader?.read();
      await gateway.sleep(1_500);
      await reader?.cancel();
      await more;
      bindings.calls.length = 0;
      await gateway.sleep(10_000);
      expect(bindings.calls).toEqual([]);
    }
  });

  it("when a stream ends, whether the task has or its two minutes are over", async () => {
    const { gateway, key, open } = await started();
    for (let i = 0; i < 5; i++) await (await open()).text();
    const { id } = await submitTask(gateway, key, { prompt: "a boat [sim:seconds=20]" });
    for (let i = 0; i < 5; i++) await (await open(id)).text();
    await (await fill(open))();
  });

  it("when there is no stream after all: 404, 204, HEAD, D1 out", async () => {
    const { gateway, bindings, key, open, task } = await started();
    for (let i = 0; i < 5; i++) expect((await open("task-none")).status).toBe(404);
    for (let i = 0; i < 5; i++)
      expect((await open(task.id, { method: "HEAD", headers: bearer(key) })).status).toBe(200);
    gateway.advance(3 * 3_600_000);
    bindings.broken.add("D1");
    for (let i = 0; i < 5; i++) expect((await open()).status).toBe(503);
    bindings.broken.clear();
    await (await fill(open))();
    const ended = await submitTask(gateway, key, { prompt: "a boat [sim:fail] [sim:seconds=0]" });
    await finishTask(gateway, key, ended.id);
    const seen = /id: (\d+)/.exec(await (await open(ended.id)).text())?.[1] ?? "";
    const headers = { ...bearer(key), "last-event-id": seen };
    for (let i = 0; i < 5; i++) expect((await open(ended.id, { headers })).status).toBe(204);
  });

  it("when a wait is over, was refused, or failed", async () => {
    const { bindings, wait, open, gateway } = await started();
    for (let i = 0; i < 5; i++) expect((await wait(1)).status).toBe(200);
    for (let i = 0; i < 5; i++) expect((await wait(1, "task-none")).status).toBe(404);
    gateway.advance(3 * 3_600_000);
    bindings.broken.add("D1");
    for (let i = 0; i < 5; i++) expect((await wait(1)).status).toBe(503);
    bindings.broken.clear();
    await (await fill(open))();
  });

  it("when the client of a wait has left, and nothing more is read for it", async () => {
    const { gateway, bindings, open, wait, task } = await started({ time: virtualTime() });
    const client = new AbortController();
    const waits = Array.from({ length: 4 }, () => wait(60, task.id, { signal: client.signal }));
    await gateway.sleep(2_500);
    expect((await open()).status).toBe(429);
    client.abort();
    bindings.calls.length = 0;
    await Promise.allSettled(waits);
    expect(bindings.calls.filter((name) => name.startsWith("D1"))).toEqual([]);
    await (await fill(open))();
  });

  it("after some seconds when its invocation was ended without a word", async () => {
    const { gateway, open } = await started();
    // Their bodies are not read: nothing keeps their places any more.
    await fill(open);
    expect((await open()).status).toBe(429);
    gateway.advance(7_999);
    expect((await open()).status).toBe(429);
    gateway.advance(1);
    await (await fill(open))();
  });

  it("and not sooner: a wait and a stream that go on keep theirs", async () => {
    const { gateway, open, wait, task } = await started({ time: virtualTime() });
    const waits = [wait(40), wait(40, task.id)];
    const streams = [await open(), await open()].map((stream) => stream.text());
    for (let i = 0; i < 39; i++) {
      await gateway.sleep(1_000);
      expect((await open()).status).toBe(429);
    }
    await Promise.all(waits);
    expect((await open()).status).toBe(200);
    await Promise.all(streams);
  });

  it("by a reply in OpenAI's words, whether it has its pictures, a failure, or a client that has left", async () => {
    const { gateway, bindings, key, open } = await started({ time: virtualTime() });
    const headers = (name: string) => ({ "idempotency-key": name });
    const lasting = (name: string, prompt: string) => ask(gateway, key, { prompt }, headers(name));
    const first = await lasting("a", "a boat [sim:seconds=5]");
    await first.text();
    const id = taskIdOf(first);
    for (let i = 0; i < 4; i++) await (await lasting("a", "a boat [sim:seconds=5]")).text();
    expect((await open(id)).status).toBe(200);
    for (let i = 0; i < 5; i++)
      expect((await lasting("b", "a boat [sim:fail] [sim:seconds=5]")).status).toBe(400);
    const late = Array.from({ length: 5 }, () => lasting("c", "a boat [sim:seconds=500]"));
    const begun = await Promise.all(late);
    const [lateId = ""] = begun.map(taskIdOf);
    // All five wait, and leave no place to others.
    expect(begun.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect((await open(lateId)).status).toBe(429);
    for (const { body } of begun) await body?.cancel();
    await gateway.sleep(5_000);
    bindings.calls.length = 0;
    await gateway.sleep(20_000);
    expect(bindings.calls).toEqual([]);
    await (await fill(() => open(lateId)))();
  });
});
