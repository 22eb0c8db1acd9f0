/**
 * What is more than one invocation should take goes to consumers, and whatever becomes of the messages, every poll is
 * taken once: the interleavings of `src/flows/cron/enqueue.ts`, each with messages that the test delivers.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { type Around, clearTasks, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { countWorkItems, insertMany, startWithReads } from "../../helpers/submitted-tasks.ts";

beforeEach(async () => {
  await clearTasks();
  await env.DB.prepare("DELETE FROM work_items").run();
});

const own = 60;
const sorted = (names: readonly string[]) => names.toSorted((a, b) => a.localeCompare(b));
const events = (gateway: TestGateway) => gateway.logs.map(({ event }) => event);

/** To the next full minute, when the next tick comes. */
const nextMinute = (gateway: TestGateway) => gateway.advance(60_000 - (gateway.now() % 60_000));

/** 180 tasks of which a tick has polled 60, and enqueued two work items of 60. */
async function enqueuedPolls() {
  const world = startWithReads();
  const all = await insertMany(world.gateway, 180);
  await world.gateway.tick();
  const [first, second] = world.gateway.work.waiting.splice(0).map(({ body }) => body);
  expect(world.reads).toHaveLength(own);
  const deliver = (body: unknown, to: TestGateway = world.gateway) =>
    world.gateway.work.deliver(body, to.invocation());
  return { ...world, all, first, second, deliver };
}

describe("a tick", () => {
  it("with as much as one invocation takes enqueues nothing and writes nothing for it", async () => {
    const { gateway, reads } = startWithReads();
    const all = await insertMany(gateway, own);
    const calls: string[] = [];
    const around: Around = (name, call) => {
      calls.push(name);
      return call();
    };
    const { gateway: second, reads: theirs } = startWithReads({ beside: gateway, around });
    await second.tick();
    expect(sorted([...reads, ...theirs])).toEqual(sorted(all));
    expect(calls).not.toContain("Queue");
    expect(second.work.sent).toEqual([]);
    expect(await countWorkItems()).toBe(0);
  });

  it("with one more enqueues that one", async () => {
    const { gateway, reads } = startWithReads();
    const all = await insertMany(gateway, own + 1);
    await gateway.tick();
    expect(reads).toHaveLength(own);
    expect(gateway.work.sent).toHaveLength(1);
    await gateway.work.drain();
    expect(sorted(reads)).toEqual(sorted(all));
    expect(await countWorkItems()).toBe(0);
  });

  it("without a Queue does all of it itself", async () => {
    const { gateway, reads } = startWithReads({ consumers: "none" });
    const all = await insertMany(gateway, 150);
    await gateway.tick();
    expect(sorted(reads)).toEqual(sorted(all));
    expect(await countWorkItems()).toBe(0);
  });

  it("does not enqueue again what still waits, and goes on with its own", async () => {
    const { gateway, reads } = await enqueuedPolls();
    nextMinute(gateway);
    await gateway.tick();
    expect(gateway.work.waiting).toEqual([]);
    expect(await countWorkItems()).toBe(2);
    // Its own sixty, a second time.
    expect(reads).toHaveLength(2 * own);
    expect(new Set(reads).size).toBe(own);
  });

  it("that dies before it sends leaves work items that lapse", async () => {
    const { gateway } = startWithReads();
    await insertMany(gateway, 180);
    let dead = false;
    const around: Around = async (name, call) => {
      dead ||= name === "Queue";
      if (dead) throw new Error("died");
      return call();
    };
    await startWithReads({ beside: gateway, around })
      .gateway.tick()
      .catch(() => undefined);
    expect(await countWorkItems()).toBe(2);
    nextMinute(gateway);
    await gateway.tick();
    expect(gateway.work.sent).toEqual([]);
    nextMinute(gateway);
    gateway.advance(60_000);
    await gateway.tick();
    expect(gateway.work.sent).toHaveLength(2);
    expect(await countWorkItems()).toBe(2);
  });

  it.each(["before", "after"])(
    "whose sending fails, %s it took effect, makes all polls itself, once",
    async (when) => {
      let failures = 1;
      const around: Around = async (name, call) => {
        const fails = name === "Queue" && failures-- > 0;
        if (fails && when === "before") throw new Error("no queue");
        const result = await call();
        if (fails) throw new Error("no answer");
        return result;
      };
      const { gateway, reads } = startWithReads({ around });
      const all = await insertMany(gateway, 180);
      await gateway.tick();
      expect(events(gateway)).toContain("not_enqueued");
      await gateway.work.drain();
      expect(sorted(reads)).toEqual(sorted(all));
      expect(await countWorkItems()).toBe(0);
    },
  );
});

describe("a message", () => {
  it("that comes twice, at once and later, has its tasks polled once", async () => {
    const { reads, all, first, second, deliver } = await enqueuedPolls();
    const acked = await Promise.all([first, second, first, second, second].map((body) => deliver(body)));
    expect(acked).toEqual([true, true, true, true, true]);
    expect(await deliver(first)).toBe(true);
    expect(sorted(reads)).toEqual(sorted(all));
    expect(await countWorkItems()).toBe(0);
  });

  it("that comes after its tasks were enqueued again does nothing", async () => {
    const { gateway, reads, all, first, second, deliver } = await enqueuedPolls();
    gateway.advance(120_000);
    // From here on its tasks are due to the tick, which may just be reading them.
    const before = reads.length;
    await deliver(second);
    expect(reads).toHaveLength(before);
    await gateway.tick();
    const [newFirst, newSecond] = gateway.work.waiting.map(({ body }) => body);
    expect(new Set([first, second, newFirst, newSecond]).size).toBe(4);
    reads.length = 0;
    await Promise.all([first, newFirst, second, newSecond].map((body) => deliver(body)));
    expect(sorted(reads)).toEqual(sorted(all.filter((id) => Number(id.slice(3)) > own)));
  });

  it("that comes late leaves alone what has changed meanwhile", async () => {
    const { gateway, reads, first, deliver } = await enqueuedPolls();
    await env.DB.prepare("UPDATE tasks SET state = 'failed', open = 0 WHERE id LIKE '%61'").run();
    await env.DB.prepare("UPDATE tasks SET refreshed_ms = ?1 WHERE id LIKE '%62'").bind(gateway.now()).run();
    reads.length = 0;
    await deliver(first);
    expect(reads).toHaveLength(58);
    expect(reads).not.toContain("up-61");
    expect(reads).not.toContain("up-62");
  });

  it("whose consumer dies halfway is lost with its lease, and its tasks are due again", async () => {
    const { gateway, hosts, reads, all, first, second, deliver } = await enqueuedPolls();
    let polls = 0;
    let dead = false;
    const around: Around = async (name, call) => {
      dead ||= name === "fetch GET" && polls++ === 20;
      if (dead) throw new Error("died");
      return call();
    };
    const victim = startGateway({ beside: gateway, hosts, around });
    await deliver(first, victim);
    // The platform sends it again, since no consumer has acked it. By the row another consumer holds it.
    const before = reads.length;
    expect(await deliver(first)).toBe(true);
    expect(reads).toHaveLength(before);
    await deliver(second);
    gateway.advance(60_000);
    await gateway.tick();
    await gateway.work.drain();
    expect(sorted([...new Set(reads)])).toEqual(sorted(all));
    expect(await countWorkItems()).toBe(0);
  });

  it("that D1 fails is sent again, and done then", async () => {
    const { gateway, hosts, reads, all, first, second, deliver } = await enqueuedPolls();
    let failures = 1;
    const around: Around = async (name, call) => {
      if (name === "D1" && failures-- > 0) throw new Error("D1 is away");
      return call();
    };
    const shaky = startGateway({ beside: gateway, hosts, around });
    expect(await deliver(first, shaky)).toBe(false);
    expect(events(shaky)).toContain("work_item_failed");
    expect(await deliver(first, shaky)).toBe(true);
    await deliver(second);
    expect(sorted(reads)).toEqual(sorted(all));
  });

  it("that meets a pause of the account stops all others", async () => {
    const { reads, answers, first, second, deliver } = await enqueuedPolls();
    reads.length = 0;
    answers(() => Response.json({}, { status: 429, headers: { "retry-after": "30" } }));
    await deliver(first);
    // Those under way when the first refusal came, and no more.
    expect(reads.length).toBeLessThanOrEqual(6);
    const before = reads.length;
    await deliver(second);
    expect(reads).toHaveLength(before);
  });

  it("begins no poll when it has worked for 20 s", async () => {
    const { gateway, reads, answers, first, deliver } = await enqueuedPolls();
    reads.length = 0;
    answers(() => {
      gateway.advance(1_000);
      return Response.json({ status: "processing" });
    });
    await deliver(first);
    expect(reads.length).toBeGreaterThanOrEqual(20);
    expect(reads.length).toBeLessThanOrEqual(26);
    expect(await countWorkItems()).toBe(1);
  });

  it.each([
    [0, "up-61"],
    [0.99, "up-109"],
  ])(
    "begins anywhere in its work item, so that a slow upstream leaves none out for good: %d",
    async (random, begins) => {
      const { gateway, reads, all, first, second, deliver } = await enqueuedPolls();
      const before = reads.length;
      await gateway.work.deliver(first, { ...gateway.invocation(), random: () => random });
      expect(reads[before]).toBe(begins);
      await deliver(second);
      expect(sorted(reads)).toEqual(sorted(all));
    },
  );

  it.each([null, 7, { workItem: "poll:1" }, "", "dig:1", "poll"])(
    "that is none of ours is logged and dropped: %j",
    async (body) => {
      const { gateway } = startWithReads();
      expect(await gateway.work.deliver(body, gateway.invocation())).toBe(true);
      expect(events(gateway)).toEqual(["malformed_message"]);
    },
  );

  it("that no consumer could do becomes a dead letter, which is logged; its tasks are due again", async () => {
    const away = new Set<string>();
    const around: Around = async (name, call) => {
      if (away.has(name)) throw new Error("unavailable");
      return call();
    };
    const { gateway, reads } = startWithReads({ around });
    const all = await insertMany(gateway, 180);
    await gateway.tick();
    away.add("D1");
    await gateway.work.drain();
    away.clear();
    expect(gateway.work.dead).toHaveLength(2);
    expect(events(gateway).filter((event) => event === "dead_letter")).toHaveLength(2);
    gateway.advance(120_000);
    await gateway.tick();
    await gateway.work.drain();
    expect(sorted([...new Set(reads)])).toEqual(sorted(all));
    expect(await countWorkItems()).toBe(0);
  });
});

describe("lanes", () => {
  it.each([
    [60, 0],
    [61, 1],
    [130, 2],
    [5_000, 6],
  ])("of which one would be behind with %i tasks are given %i beside it, once", async (tasks, beside) => {
    const idle = async () => undefined;
    const lanes = { send: idle, store: idle, settle: idle, deliver: idle };
    const { gateway } = startWithReads({ lanes });
    await insertMany(gateway, tasks, "storing");
    await gateway.tick();
    nextMinute(gateway);
    await gateway.tick();
    expect(gateway.work.sent).toEqual(Array.from({ length: beside }, (_, place) => `store:${place}`));
  });

  it("for older tasks, however many, do not hide that others have something to do", async () => {
    const { gateway, reads } = startWithReads({ lanes: { store: async () => undefined } });
    await insertMany(gateway, 2_500, "storing");
    await env.DB.prepare(
      "UPDATE tasks SET state = 'submitted', created_ms = created_ms + 1 WHERE id LIKE '%2500'",
    ).run();
    await env.DB.prepare(
      "UPDATE tasks SET state = 'failed', created_ms = created_ms + 1 WHERE id LIKE '%2499'",
    ).run();
    await gateway.tick();
    expect(reads).toEqual(["up-2500"]);
    const settled = await env.DB.prepare("SELECT open FROM tasks WHERE id LIKE '%2499'").first();
    expect(settled).toEqual({ open: 0 });
  });

  it("are run by consumers, and their places are free again afterwards", async () => {
    const { gateway } = startWithReads({ lanes: { send: async () => undefined } });
    await insertMany(gateway, 130, "submitted");
    await env.DB.prepare("UPDATE tasks SET state = 'queued'").run();
    await gateway.tick();
    expect(gateway.work.sent).toEqual(["send:0", "send:1"]);
    await gateway.work.drain();
    expect(await countWorkItems()).toBe(0);
  });
});
