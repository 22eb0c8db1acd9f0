/**
 * A thousand callers of one task, each in its own way and at its own moment, in virtual time: what they cost the upstream
 * depends on how long they read and not on how many they are.
 */
import { beforeEach, expect, it } from "vitest";
import { chanceOf } from "../../helpers/chance.ts";
import { bearer, clearTasks, startGateway, submitTask } from "../../helpers/gateway.ts";
import { upstreamCalls } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

beforeEach(clearTasks);

const readers = 900;
const waiters = 80;
const streams = 20;
/** Four may follow one task in each. */
const isolates = (waiters + streams) / 4;
const spanMs = 10_000;
/** They come in small groups, as two and three of a thousand do by chance. */
const stepMs = 25;

/** Reads a stream until it ends or the client leaves. @returns what closes it. */
async function readStream(response: Response, leave: Promise<void>): Promise<() => Promise<void>> {
  const reader = response.body?.getReader();
  const left = leave.then(() => ({ done: true }));
  while (!(await Promise.race([reader?.read() ?? left, left])).done);
  return async () => reader?.cancel();
}

it("a thousand who read, wait for and stream one task for 10 s have the upstream read four times at the most", async () => {
  const gateway = startGateway({ time: virtualTime() });
  const { key } = await gateway.makeTenant();
  const { id } = await submitTask(gateway, key, { prompt: "a boat [sim:seconds=50]" });
  const chance = chanceOf(1);
  const endMs = gateway.now() + spanMs;
  const inIsolate = Array.from({ length: isolates }, () => startGateway({ beside: gateway }));
  let next = 0;
  const get = (path: string) => {
    const at = path === "" ? gateway : (inIsolate[next++ % isolates] ?? gateway);
    return at.fetch(`/v1/tasks/${id}${path}`, { headers: bearer(key) });
  };
  const closings: (() => Promise<void>)[] = [];
  const replies = new Map<string, number>();
  const call = async (kind: string, work: (leftMs: number) => Promise<Response>) => {
    await gateway.sleep(stepMs * chance.between(0, (kind === "read" ? spanMs : spanMs / 2) / stepMs));
    const { status } = await work(endMs - gateway.now());
    replies.set(`${kind} ${status}`, (replies.get(`${kind} ${status}`) ?? 0) + 1);
  };
  const many = (times: number, work: () => Promise<void>) => Array.from({ length: times }, work);
  await Promise.all([
    ...many(readers, () => call("read", () => get(""))),
    ...many(waiters, () => call("wait", (leftMs) => get(`?wait=${Math.floor(leftMs / 1000)}`))),
    ...many(streams, () =>
      call("stream", async (leftMs) => {
        const response = await get("/events");
        closings.push(await readStream(response, gateway.sleep(leftMs)));
        return response;
      }),
    ),
  ]);
  expect(Object.fromEntries(replies)).toEqual({
    "read 200": readers,
    "wait 200": waiters,
    "stream 200": streams,
  });
  expect(gateway.now()).toBe(endMs);
  const reads = upstreamCalls(gateway, "GET").length;
  expect(reads).toBeLessThanOrEqual(4);
  expect(reads).toBeGreaterThanOrEqual(3);
  await Promise.all(closings.map((close) => close()));
});
