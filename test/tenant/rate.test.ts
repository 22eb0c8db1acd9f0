import { evictDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import {
  admitMany,
  admitted,
  beginTask,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  t0,
} from "../helpers/tenant-object.ts";

/** A tenant of 37 requests a minute. */
async function configured(requests_per_minute: number | null = 37): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({ requests_per_minute }) });
  return id;
}

/** Refuses with this many milliseconds to wait, or fails. */
async function waitOf(id: string, nowMs = t0): Promise<number> {
  const decision = await beginTask(id, requestOf(id, { nowMs }));
  if (decision.kind !== "limited" || decision.code !== "rate_limited") throw new Error("was not limited");
  return decision.retryAfterMs;
}

describe("a limit of requests", () => {
  it("admits exactly that many of 200 that come at once", async () => {
    const id = await configured();
    const decisions = await admitMany(id, 200);
    expect(admitted(decisions)).toBe(37);
    const refused = decisions.filter((one) => one.kind !== "admitted");
    expect(refused).toHaveLength(163);
    for (const one of refused)
      expect(one).toMatchObject({ kind: "limited", code: "rate_limited", limit: "requests_per_minute" });
  });

  it("admits exactly that many when the object is evicted in the middle", async () => {
    const id = await configured();
    let count = 0;
    for (const batch of [20, 60, 120]) {
      count += admitted(await admitMany(id, batch));
      await evictDurableObject(objectOf(id));
    }
    expect(count).toBe(37);
    expect(admitted(await admitMany(id, 10))).toBe(0);
  });

  it("neither loses nor repeats anything when the object is evicted under load", async () => {
    const id = await configured();
    const first = admitMany(id, 100);
    const evicted = evictDurableObject(objectOf(id));
    const second = admitMany(id, 100);
    await evicted;
    expect(admitted([...(await first), ...(await second)])).toBe(37);
  });

  it("says with each decision what is left", async () => {
    const id = await configured();
    for (let left = 36; left >= 0; left--) {
      const decision = await beginTask(id, requestOf(id));
      expect(decision).toMatchObject({
        kind: "admitted",
        policies: [
          {
            name: "requests",
            limit: 37,
            windowSeconds: 60,
            remaining: left,
            resetSeconds: Math.ceil(((37 - left) * 60) / 37),
          },
        ],
      });
    }
  });

  it("says with a refusal what is in force and when to come again", async () => {
    const id = await configured();
    await admitMany(id, 37);
    expect(await beginTask(id, requestOf(id))).toEqual({
      kind: "limited",
      code: "rate_limited",
      limit: "requests_per_minute",
      of: "tenant",
      retryAfterMs: 1_622,
      policies: [{ name: "requests", limit: 37, windowSeconds: 60, remaining: 0, resetSeconds: 60 }],
    });
  });

  it("admits again when the time that it named is over, and not before", async () => {
    const id = await configured();
    await admitMany(id, 37);
    const waitMs = await waitOf(id);
    expect(await waitOf(id, t0 + waitMs - 1)).toBe(1);
    const decision = await beginTask(id, requestOf(id, { nowMs: t0 + waitMs }));
    expect(decision.kind).toBe("admitted");
    expect(await waitOf(id, t0 + waitMs)).toBeGreaterThan(1);
  });

  it("names the same moment however often it refuses: a refusal consumes nothing", async () => {
    const id = await configured();
    await admitMany(id, 37);
    const againMs = t0 + (await waitOf(id));
    for (const nowMs of [t0, t0 + 500, t0 + 1_000]) {
      expect(admitted(await admitMany(id, 60, { nowMs }))).toBe(0);
      expect(nowMs + (await waitOf(id, nowMs))).toBe(againMs);
    }
    await evictDurableObject(objectOf(id));
    expect(t0 + 1_000 + (await waitOf(id, t0 + 1_000))).toBe(againMs);
    expect(admitted(await admitMany(id, 60, { nowMs: againMs }))).toBe(1);
  });

  it("counts no request whose key is refused", async () => {
    const id = await configured();
    for (const wrong of [{ keyHash: "0" }, { keyId: "key-unknown" }]) {
      expect(admitted(await admitMany(id, 50, wrong))).toBe(0);
    }
    expect(admitted(await admitMany(id, 200))).toBe(37);
  });

  it("is whole again after a minute, for a full burst and no more", async () => {
    const id = await configured();
    await admitMany(id, 37);
    expect(admitted(await admitMany(id, 100, { nowMs: t0 + 60_000 }))).toBe(37);
    expect(admitted(await admitMany(id, 100, { nowMs: t0 + 86_400_000 }))).toBe(37);
  });

  it("gives nothing to a Worker whose clock is behind", async () => {
    const id = await configured();
    await admitMany(id, 37);
    expect(admitted(await admitMany(id, 20, { nowMs: t0 - 3_600_000 }))).toBe(0);
    expect(admitted(await admitMany(id, 100, { nowMs: t0 + 60_000 }))).toBe(37);
  });

  it("is shared by all keys of the tenant", async () => {
    const id = freshId();
    const other = keyOf("key-0000000000000002");
    await configure(id, { keys: [keyOf(), other] });
    const both = await Promise.all([
      admitMany(id, 50),
      admitMany(id, 50, { keyId: other.id, keyHash: other.hash }),
    ]);
    expect(admitted(both.flat())).toBe(37);
  });

  it("that is none admits everything and has no state to show", async () => {
    const id = await configured(null);
    const decisions = await admitMany(id, 100);
    expect(admitted(decisions)).toBe(100);
    expect(decisions[0]).toMatchObject({ kind: "admitted", policies: [] });
  });

  it("keeps what was used when it is changed", async () => {
    const id = await configured(100);
    await admitMany(id, 100);
    await configure(id, { version: 2, limits: limitsOf({ requests_per_minute: 10 }) });
    expect(admitted(await admitMany(id, 20))).toBe(0);
    expect(admitted(await admitMany(id, 20, { nowMs: t0 + 60_000 }))).toBe(10);
  });
});

describe("two tenants", () => {
  it("have their own limits, whatever the other does", async () => {
    const [a, b] = [await configured(37), await configured(5)];
    const [ofA, ofB] = await Promise.all([admitMany(a, 100), admitMany(b, 100)]);
    expect([admitted(ofA), admitted(ofB)]).toEqual([37, 5]);
    const c = await configured(37);
    expect(admitted(await admitMany(c, 50))).toBe(37);
  });

  it("have their own keys", async () => {
    const [a, b] = [freshId(), freshId()];
    const keyOfB = keyOf("key-bbbbbbbbbbbbbbbb");
    await configure(a);
    await configure(b, { keys: [keyOfB] });
    const withKeyOfB = { keyId: keyOfB.id, keyHash: keyOfB.hash };
    expect(await beginTask(a, requestOf(a, withKeyOfB))).toEqual({
      kind: "key_refused",
      refusal: "invalid_key",
    });
    expect((await beginTask(b, requestOf(b, withKeyOfB))).kind).toBe("admitted");
  });
});
