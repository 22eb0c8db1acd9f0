/**
 * A reply that is held: until the task has ended, and no longer than asked. However many wait, the upstream is asked at
 * its own pace.
 */
import { beforeEach, describe, expect, it } from "vitest";
import {
  bearer,
  clearTasks,
  type ShownTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import { expectError, generations, goodBody, upstreamCalls } from "../../helpers/routes.ts";

beforeEach(clearTasks);

async function withTenant() {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant();
  const get = (id: string, query: string, headers: Record<string, string> = {}) =>
    gateway.fetch(`/v1/tasks/${id}${query}`, { headers: { ...bearer(key), ...headers } });
  return { gateway, key, get };
}

/** A task of so many seconds, and how long a reply to a read took by the clock. */
async function waitFor(taskSeconds: number, query: string, headers: Record<string, string> = {}) {
  const { gateway, key, get } = await withTenant();
  const { id } = await submitTask(gateway, key, { prompt: `a boat [sim:seconds=${taskSeconds}]` });
  const startMs = gateway.now();
  const response = await get(id, query, headers);
  return { response, tookMs: gateway.now() - startMs, task: (await response.clone().json()) as ShownTask };
}

describe("a read that waits", () => {
  it("answers when the task has ended, with its pictures", async () => {
    const { response, tookMs, task } = await waitFor(10, "?wait=60");
    expect(response.status).toBe(200);
    expect(task).toMatchObject({ status: "completed", images: [{ width: 512 }] });
    // The upstream is polled every three seconds.
    expect(tookMs).toBeGreaterThanOrEqual(10_000);
    expect(tookMs).toBeLessThanOrEqual(15_000);
    expect(response.headers.get("preference-applied")).toBeNull();
    expect(response.headers.get("retry-after")).toBeNull();
  });

  it("answers after the time that was asked for with the task as it is", async () => {
    const { response, tookMs, task } = await waitFor(600, "?wait=7");
    expect(tookMs).toBe(7_000);
    expect(task.status).toMatch(/^(pending|processing)$/);
    expect(response.headers.get("retry-after")).toBe("3");
  });

  it.each([
    ["wait=5", 5],
    ["respond-async, wait=5", 5],
    ['wait="5"', 5],
    ["WAIT = 5", 5],
    ["wait=100", 60],
  ])("is asked for by the header %s too, which the reply then names", async (prefer, seconds) => {
    const { response, tookMs } = await waitFor(600, "", { prefer });
    expect(tookMs).toBe(seconds * 1000);
    expect(response.headers.get("preference-applied")).toBe(`wait=${seconds}`);
  });

  it.each(["wait=0", "wait", "wait=x", "wait=-1", "handling=lenient", ""])(
    "is not asked for by the header %j: preferences that make no sense are ignored",
    async (prefer) => {
      const { response, tookMs } = await waitFor(600, "", { prefer });
      expect(tookMs).toBe(0);
      expect(response.headers.get("preference-applied")).toBeNull();
    },
  );

  it.each(["0", "61", "x", "1.5"])("is refused with ?wait=%s", async (wait) => {
    const { gateway, key, get } = await withTenant();
    const { id } = await submitTask(gateway, key);
    await expectError(await get(id, `?wait=${wait}`), "invalid_request", "wait");
  });

  it("by many at once asks the upstream no more often than one does", async () => {
    const { gateway, key } = await withTenant();
    const { id } = await submitTask(gateway, key, { prompt: "a boat [sim:seconds=600]" });
    // Parallel waits share the clock that each of them moves, so each waits for less of its own.
    const isolates = Array.from({ length: 13 }, () => startGateway({ beside: gateway }));
    const waitIn = (isolate: TestGateway) =>
      isolate.fetch(`/v1/tasks/${id}?wait=20`, { headers: bearer(key) });
    const waits = isolates.flatMap((isolate) => Array.from({ length: 4 }, () => waitIn(isolate)));
    expect((await Promise.all(waits)).map(({ status }) => status)).toEqual(waits.map(() => 200));
    const seconds = Math.ceil((gateway.now() - (gateway.simulator.control.calls()[0]?.at ?? 0)) / 1000);
    expect(upstreamCalls(gateway, "GET").length).toBeLessThanOrEqual(Math.ceil(seconds / 3) + 1);
  });
});

describe("a submit that waits", () => {
  it("answers with the finished task", async () => {
    const { gateway, key } = await withTenant();
    const body = { ...goodBody, prompt: "a boat [sim:seconds=6]" };
    const response = await gateway.post(generations, body, { ...bearer(key), prefer: "wait=30" });
    expect(response.headers.get("preference-applied")).toBe("wait=30");
    expect(await response.json()).toMatchObject({ status: "completed", images: [{}] });
  });

  it("answers in time with a task that goes on, and holds nothing up when it is refused", async () => {
    const { gateway, key } = await withTenant();
    const prefer = { ...bearer(key), prefer: "wait=4" };
    const startMs = gateway.now();
    const slow = await gateway.post(generations, { ...goodBody, prompt: "a boat [sim:seconds=600]" }, prefer);
    expect([slow.status, gateway.now() - startMs]).toEqual([200, 4_000]);
    await expectError(await gateway.post(generations, { ...goodBody, n: 9 }, prefer), "invalid_request", "n");
    expect(gateway.now() - startMs).toBe(4_000);
  });
});
