/**
 * All news of a task may come twice, late and out of order: a reply of the upstream's that two pollers have read,
 * or one that a poller held while the task went on and ended; a tick that is doubled, or runs into the
 * next. A caller sees each change under one version of its own, progress that never falls, and one end; money moves once
 * and each picture is one object.
 */
import { beforeEach, describe, expect, it } from "vitest";
import type { UpstreamTask } from "../../../src/domain/poll.ts";
import type { Task } from "../../../src/domain/task.ts";
import { recordPolls, resultOf } from "../../../src/flows/tasks/poll.ts";
import { clearTasks, finishTask, readTask, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { deleteObjects, heldAtItsPoll, kept, lineTypes, submitted } from "../../helpers/overlap.ts";
import { taskOf } from "../../helpers/seed.ts";

beforeEach(clearTasks);
beforeEach(deleteObjects);

const reply = (over: Partial<UpstreamTask>): UpstreamTask => ({
  status: "processing",
  progress: null,
  estimatedSeconds: null,
  links: [],
  failure: null,
  ...over,
});
const running = (progress: number, estimatedSeconds: number | null = null) =>
  reply({ progress, estimatedSeconds });
const links = (folder: string) =>
  [1, 2].map((n) => `https://files.upstream.example/files/${folder}/${n}.png`);
const done = (folder: string) => reply({ status: "completed", progress: 100, links: links(folder) });
const failed = reply({ status: "failed", failure: "generation_timeout" });

/** Records a reply as a poller does that read the task when it was as `known`. */
async function record(gateway: TestGateway, known: Task, seen: UpstreamTask): Promise<void> {
  const polled = { ...known, imagesAsked: known.input.n, isRead: true };
  const invocation = gateway.invocation();
  await recordPolls(invocation, [resultOf(invocation, polled, seen)]);
}

describe("a reply of the upstream's", () => {
  it.each([
    ["it is at work", running(0)],
    ["it is half-way", running(50, 20)],
    ["it is done", done("a")],
    ["it has failed", failed],
  ])("that two pollers have read and both write down is one change: %s", async (_what, seen) => {
    const { gateway, id } = await submitted("a boat [sim:seconds=600]");
    const known = await taskOf(id);
    await record(gateway, known, seen);
    const once = await taskOf(id);
    expect(once.version).toBe(known.version + 1);
    await record(gateway, known, seen);
    expect(await taskOf(id)).toEqual(once);
  });

  it.each([
    ["it waits", reply({ status: "pending", progress: 3, estimatedSeconds: 90 })],
    ["it has just begun", running(20, 70)],
    ["it is as far as is known", running(60, 40)],
    ["it does not say how far it is", running(0)],
  ])("that is older than what is known changes nothing, whatever holds it: %s", async (_what, old) => {
    const { gateway, id } = await submitted("a boat [sim:seconds=600]");
    const atFirst = await taskOf(id);
    await record(gateway, atFirst, running(60, 30));
    const known = await taskOf(id);
    expect(known).toMatchObject({ processing: true, progress: 60, estimatedSeconds: 30 });
    for (const holder of [atFirst, known]) {
      await record(gateway, holder, old);
      expect(await taskOf(id)).toEqual(known);
    }
  });

  it("that knows more of the progress and less of the status takes nothing back", async () => {
    const { gateway, id } = await submitted("a boat [sim:seconds=600]");
    const atFirst = await taskOf(id);
    await record(gateway, atFirst, running(40));
    await record(gateway, atFirst, reply({ status: "pending", progress: 70 }));
    expect(await taskOf(id)).toMatchObject({ processing: true, progress: 70, version: atFirst.version + 2 });
  });

  it.each([
    ["completed", "a boat [sim:seconds=5]", ["topup", "hold", "charge"], 2],
    ["failed", "a boat [sim:seconds=5] [sim:fail]", ["topup", "hold", "release"], 0],
  ])("that comes when the task is %s changes nothing", async (status, prompt, lines, objects) => {
    const { gateway, key, tenantId, id } = await submitted(prompt);
    const atFirst = await taskOf(id);
    expect(await finishTask(gateway, key, id)).toMatchObject({ status });
    const end = await kept(gateway, tenantId, id);
    for (const late of [running(50), done("other"), failed, done("other")]) {
      await record(gateway, atFirst, late);
      gateway.advance(60_000);
      await gateway.tick();
      expect(await kept(gateway, tenantId, id)).toEqual(end);
    }
    expect([lineTypes(end), end.objects.length]).toEqual([lines, objects]);
  });
});

describe("a poller that was held with a reply", () => {
  const tick = (gateway: TestGateway) => gateway.tick();
  const read = (gateway: TestGateway, key: string, id: string) => readTask(gateway, key, id);
  const isDone = "a boat [sim:seconds=5]";
  const isHalfWay = "a boat [sim:seconds=20]";
  const hasFailed = "a boat [sim:seconds=5] [sim:fail]";

  it.each([
    ["a tick", "that the task is done", tick, isDone],
    ["a reader", "that the task is done", read, isDone],
    ["a tick", "that the task is half-way", tick, isHalfWay],
    ["a reader", "that the task is half-way", read, isHalfWay],
    ["a tick", "that the task has failed", tick, hasFailed],
    ["a reader", "that the task has failed", read, hasFailed],
  ])("changes nothing after others brought the task to its end: %s, %s", async (_who, _what, act, prompt) => {
    const { gateway, key, tenantId, id } = await submitted(prompt);
    gateway.advance(10_000);
    const end: Awaited<ReturnType<typeof kept>>[] = [];
    const held = heldAtItsPoll(gateway, async () => {
      // Longer than a tick has to itself; or nearly as long as the platform lets work go on beside a reply.
      gateway.advance(act === tick ? 60_000 : 25_000);
      await gateway.tick();
      end.push(await kept(gateway, tenantId, id));
    });
    await act(held, key, id);
    gateway.advance(60_000);
    await gateway.tick();
    const after = await kept(gateway, tenantId, id);
    expect(end).toEqual([after]);
    const isFailure = prompt === hasFailed;
    expect(after.task.state).toBe(isFailure ? "failed" : "completed");
    expect(lineTypes(after)).toEqual(["topup", "hold", isFailure ? "release" : "charge"]);
    expect(after.objects).toHaveLength(isFailure ? 0 : 2);
  });

  it("and one who passed him halfway leave one version for one change", async () => {
    const { gateway, key, id } = await submitted("a boat [sim:seconds=100]");
    const before = await taskOf(id);
    gateway.advance(20_000);
    const held = heldAtItsPoll(gateway, async () => {
      gateway.advance(3_000);
      await readTask(gateway, key, id);
    });
    await readTask(held, key, id);
    const after = await taskOf(id);
    expect(after).toMatchObject({ processing: true, progress: 23, version: before.version + 1 });
  });
});

describe("ticks that come twice and thrice at once", () => {
  /** Each version of a task by the second, read from its row, with so many ticks at a time. */
  async function life(ticksAtOnce: number, prompt: string) {
    const { gateway, tenantId, id } = await submitted(prompt);
    const others = Array.from({ length: ticksAtOnce - 1 }, () => startGateway({ beside: gateway }));
    const versions: unknown[] = [];
    for (let seconds = 0; seconds < 120; seconds += 5) {
      gateway.advance(5_000);
      await Promise.all([gateway, ...others].map((one) => one.tick()));
      const { version, state, progress, processing } = await taskOf(id);
      versions.push({ version, state, progress, processing });
    }
    const { task, ...rest } = await kept(gateway, tenantId, id);
    const objects = rest.objects.length;
    await clearTasks();
    await deleteObjects();
    return { versions, end: task.state, lines: lineTypes({ task, ...rest }), objects };
  }

  it.each(["a boat [sim:seconds=30]", "a boat [sim:seconds=30] [sim:fail]"])(
    "bring a task through the same versions as single ones, to the same end: %s",
    async (prompt) => {
      const calm = await life(1, prompt);
      expect(calm.versions.at(-1)).toMatchObject({ version: prompt.includes("fail") ? 4 : 5 });
      expect(await life(3, prompt)).toEqual(calm);
    },
  );
});
