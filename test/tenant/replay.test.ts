/**
 * A request that comes twice makes one task: by its idempotency key for 24 hours, or, for SDKs that say that
 * they try again, by its body for an hour. Two requests that are only equal make two.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/domain/access.ts";
import { replayOf } from "../../src/flows/tasks/idempotency.ts";
import type { Replay } from "../../src/tenant/replay.ts";
import {
  admissionsOf,
  admitMany,
  admitOne,
  admitted,
  beginTask,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

const byKey = (over: Partial<Replay & { by: "key" }> = {}): Replay => ({
  by: "key",
  value: "order 7",
  fingerprint: "a body",
  retries: 0,
  ...over,
});
/** The same body, for the `retries`th time. */
const byBody = (retries: number, fingerprint = "a body"): Replay => ({ by: "body", fingerprint, retries });

async function configured(): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({ concurrent_tasks: 20 }), prepaid: true, openingBalance: 10_000 });
  return id;
}

/** Asks with a replay, and names the task: the request's own when it was admitted. */
async function taskFor(id: string, replay: Replay | null, nowMs = t0): Promise<string> {
  const request = requestOf(id, { replay, nowMs });
  const decision = await beginTask(id, request);
  if (decision.kind === "replay") return decision.taskId;
  if (decision.kind === "admitted") return request.taskId;
  throw new Error(decision.kind);
}

/** Ends each task that is open. */
async function endAll(id: string, nowMs = t0): Promise<void> {
  const { openHolds } = await runInDurableObject(objectOf(id), (object) => object.check());
  await Promise.all(openHolds.map(({ holdNumber }) => settle(id, holdNumber, { nowMs })));
}
const nothing = async () => undefined;

const held = async (id: string) => (await summaryOf(id)).held;

describe("an idempotency key", () => {
  it("makes one task and one hold of however many replays at once, also across an eviction", async () => {
    const id = await configured();
    const first = admitMany(id, 50, { replay: byKey() });
    const evicted = evictDurableObject(objectOf(id));
    const second = admitMany(id, 50, { replay: byKey() });
    await evicted;
    const decisions = [...(await first), ...(await second)];
    expect(admitted(decisions)).toBe(1);
    const [hold] = (await ledgerOf(id)).filter(({ type }) => type === "hold");
    const replays = decisions.filter((one) => one.kind === "replay");
    expect(replays).toHaveLength(99);
    for (const one of replays) expect(one.taskId).toBe(hold?.taskId);
    expect(await held(id)).toBe(30);
  });

  it("with another body is refused, and consumes nothing", async () => {
    const id = await configured();
    await admitOne(id, { replay: byKey() });
    const before = await summaryOf(id);
    const other = requestOf(id, { replay: byKey({ fingerprint: "another body" }) });
    expect(await beginTask(id, other)).toMatchObject({ kind: "other_body" });
    expect(await summaryOf(id)).toEqual(before);
  });

  it("is kept for 24 hours, and not a millisecond longer", async () => {
    const id = await configured();
    const first = await taskFor(id, byKey());
    expect(await taskFor(id, byKey(), t0 + dayMs - 1)).toBe(first);
    const second = await taskFor(id, byKey({ fingerprint: "another body" }), t0 + dayMs);
    expect(second).not.toBe(first);
    expect(await taskFor(id, byKey({ fingerprint: "another body" }), t0 + dayMs + 1)).toBe(second);
  });

  it("stays bound to a task that has ended", async () => {
    const id = await configured();
    const request = requestOf(id, { replay: byKey() });
    await beginTask(id, request);
    const [line] = await ledgerOf(id, { taskId: request.taskId });
    await settle(id, line?.seq ?? 0, { images: 1 });
    expect(await taskFor(id, byKey())).toBe(request.taskId);
  });

  it("is free again when its caller got a refusal", async () => {
    const id = await configured();
    const { holdNumber: hold } = await admitOne(id, { replay: byKey() });
    await settle(id, hold, { deleteReplay: true });
    expect(await held(id)).toBe(0);
    const again = await beginTask(id, requestOf(id, { replay: byKey({ fingerprint: "another body" }) }));
    expect(again.kind).toBe("admitted");
  });

  it("is not bound by a request that was refused", async () => {
    const id = await configured();
    await configure(id, { version: 2, limits: limitsOf({}), prepaid: true });
    const asked = { replay: byKey(), images: 1_000 };
    expect((await beginTask(id, requestOf(id, asked))).kind).toBe("insufficient_balance");
    expect((await beginTask(id, requestOf(id, { ...asked, images: 1 }))).kind).toBe("admitted");
  });

  it("answers with its task when every limit is used up by now", async () => {
    const id = await configured();
    const first = await taskFor(id, byKey());
    await admitMany(id, 30);
    expect((await beginTask(id, requestOf(id))).kind).toBe("limited");
    expect(await taskFor(id, byKey())).toBe(first);
  });

  it.each([
    ["have ended", endAll],
    ["go on", nothing],
  ])("finds a body among many that came before and after it and %s, for an hour", async (_what, end) => {
    const id = freshId();
    await configure(id, { limits: limitsOf({}) });
    const others = async (nowMs: number) => {
      await admitMany(id, 300, { replay: byBody(0, "another"), nowMs });
      await end(id, nowMs);
    };
    await others(t0);
    const task = await taskFor(id, byBody(0), t0 + 10 * minuteMs);
    await others(t0 + 10 * minuteMs);
    await others(t0 + 69 * minuteMs);
    expect(await taskFor(id, byBody(1), t0 + 70 * minuteMs - 1)).toBe(task);
    expect(await taskFor(id, byBody(2), t0 + 70 * minuteMs)).not.toBe(task);
  });

  it("says nothing to a key that is refused", async () => {
    const id = await configured();
    await admitOne(id, { replay: byKey() });
    const forged = requestOf(id, { replay: byKey(), keyHash: "0".repeat(64) });
    expect(await beginTask(id, forged)).toEqual({ kind: "key_refused", refusal: "invalid_key" });
  });

  it("of one tenant is not another's", async () => {
    const [a, b] = [await configured(), await configured()];
    expect(await taskFor(a, byKey())).not.toBe(await taskFor(b, byKey()));
  });
});

describe("what a replay is found by", () => {
  const { caller } = requestOf("acme");
  const other: Caller = { ...caller, keyId: "key-0000000000000002" };
  const claims = {
    ...{ tenantId: "acme", keyId: caller.keyId, expiresMs: t0, maxImages: 1, endUser: null },
    ...{ allowedOrigins: [], models: null },
  };
  const tokenOf = (id: string): Caller => ({ ...caller, kind: "token", token: { ...claims, id } });
  const browser: Caller = { ...caller, kind: "browser" };
  const body = { prompt: "a lighthouse", n: 1 };
  const find = (who: Caller, key: string | null, ip: string | null = null, asked: object = body) =>
    replayOf(who, asked, { key, retries: 1, ip });

  it("is never shared by two keys, tokens, or visitors of one browser key", async () => {
    const found = await Promise.all([
      find(caller, "k"),
      find(caller, "l"),
      find(other, "k"),
      find(tokenOf("tok-1"), "k"),
      find(tokenOf("tok-2"), "k"),
      find(browser, "k", "192.0.2.1"),
      find(browser, "k", "192.0.2.2"),
    ]);
    const values = found.map((one) => one?.by === "key" && one.value);
    expect(new Set(values).size).toBe(found.length);
  });

  it("does not depend on the order of the body's fields, and depends on each value", async () => {
    const of = async (asked: object) => (await find(caller, "k", null, asked))?.fingerprint;
    const nested = { size: { width: 1, height: 2 }, urls: ["a", "b"] };
    expect(await of(nested)).toBe(await of({ urls: ["a", "b"], size: { height: 2, width: 1 } }));
    expect(await of(nested)).not.toBe(await of({ ...nested, urls: ["b", "a"] }));
    expect(await of(nested)).not.toBe(await of({ ...nested, size: { width: 2, height: 1 } }));
  });

  it("is the body for secret keys alone", async () => {
    expect(await find(caller, null)).toMatchObject({ by: "body", retries: 1 });
    expect(await find(browser, null)).toBeNull();
    expect(await find(tokenOf("tok-1"), null)).toBeNull();
  });
});

describe("without a key, a client's retry", () => {
  it("gets the task that its first attempt made, however often it comes", async () => {
    const id = await configured();
    const first = await taskFor(id, byBody(0));
    for (const retries of [1, 2, 2, 5]) expect(await taskFor(id, byBody(retries))).toBe(first);
    expect(await held(id)).toBe(30);
  });

  it("of however many at once makes nothing", async () => {
    const id = await configured();
    await admitOne(id, { replay: byBody(0) });
    expect(admissionsOf(await admitMany(id, 50, { replay: byBody(1) }))).toEqual([]);
  });

  it("is found for 60 minutes, and not a millisecond longer", async () => {
    const id = await configured();
    const first = await taskFor(id, byBody(0));
    expect(await taskFor(id, byBody(1), t0 + 60 * minuteMs - 1)).toBe(first);
    expect(await taskFor(id, byBody(2), t0 + 60 * minuteMs)).not.toBe(first);
  });

  it("whose first attempt never came is a new request, and its next retry finds it", async () => {
    const id = await configured();
    const first = await taskFor(id, byBody(1));
    expect(await taskFor(id, byBody(2))).toBe(first);
    expect(await taskFor(id, byBody(1, "another body"))).not.toBe(first);
  });

  it("whose first attempt was refused by the upstream is a new request", async () => {
    const id = await configured();
    const { holdNumber: hold } = await admitOne(id, { replay: byBody(0) });
    await settle(id, hold, { deleteReplay: true });
    expect((await beginTask(id, requestOf(id, { replay: byBody(1) }))).kind).toBe("admitted");
  });

  it("is not needed: equal first attempts are as many requests", async () => {
    const id = await configured();
    expect(admitted(await admitMany(id, 5, { replay: byBody(0) }))).toBe(5);
  });

  it.each([
    ["go on", nothing, 60],
    ["have ended", endAll, 0],
  ] as const)(
    "of each of two equal requests gets one of their two tasks, which %s",
    async (_what, end, credits) => {
      const id = await configured();
      const made = new Set([await taskFor(id, byBody(0)), await taskFor(id, byBody(0))]);
      expect(made.size).toBe(2);
      await end(id);
      await evictDurableObject(objectOf(id));
      for (const retries of [1, 2]) {
        const found = new Set([await taskFor(id, byBody(retries)), await taskFor(id, byBody(retries))]);
        expect(found).toEqual(made);
      }
      expect(await held(id)).toBe(credits);
    },
  );
});
