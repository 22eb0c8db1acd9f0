/**
 * A client token is a handful of images in a stranger's hands: they are counted exactly, come back when they
 * were not made, and neither a token nor a browser key learns anything of its tenant beyond its own.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/domain/access.ts";
import type { TokenClaims } from "../../src/domain/tokens.ts";
import type { BeginDecision } from "../../src/tenant/decide.ts";
import {
  type Asked,
  admissionsOf,
  admitted,
  beginTask,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  rowOf,
  settle,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

const hourMs = 3_600_000;
const page = "https://app.example";
const browserKey = keyOf("key-00000000000000b1", { kind: "browser", allowedOrigins: [page] });

/** A tenant of a secret and a browser key. */
async function configured(limits = {}, ofKey = {}): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf(limits), keys: [keyOf(), { ...browserKey, limits: ofKey }] });
  return id;
}

const browserOf = (tenantId: string): Caller => ({
  kind: "browser",
  tenantId,
  keyId: browserKey.id,
  keyHash: browserKey.hash,
  token: null,
  page: { origin: page, sameOrigin: false },
});

/** The holder of a token that the browser key made, of 37 images for an hour. */
const holderOf = (tenantId: string, over: Partial<TokenClaims> = {}): Caller => ({
  ...browserOf(tenantId),
  kind: "token",
  keyHash: null,
  token: {
    id: "tok-1",
    tenantId,
    keyId: browserKey.id,
    expiresMs: t0 + hourMs,
    maxImages: 37,
    allowedOrigins: [page],
    models: null,
    endUser: null,
    ...over,
  },
});

const ask = (caller: Caller, over: Asked = {}): Promise<BeginDecision> =>
  beginTask(caller.tenantId, { ...requestOf(caller.tenantId, over), caller });
/** The policies that a decision shows, by name. */
const shownOf = (decision: BeginDecision) =>
  Object.fromEntries("policies" in decision ? decision.policies.map((policy) => [policy.name, policy]) : []);
const askMany = (count: number, caller: Caller, over: Asked = {}) =>
  Promise.all(Array.from({ length: count }, () => ask(caller, over)));

describe("a token's images", () => {
  it("are counted exactly, of 200 requests at once", async () => {
    const holder = holderOf(await configured());
    const decisions = await askMany(200, holder);
    expect(admitted(decisions)).toBe(37);
    for (const one of decisions.filter(({ kind }) => kind !== "admitted"))
      expect(one).toMatchObject({ kind: "token_spent", most: 37 });
  });

  it("are counted exactly by their number, and across an eviction", async () => {
    const holder = holderOf(await configured());
    const first = askMany(5, holder, { images: 4 });
    const evicted = evictDurableObject(objectOf(holder.tenantId));
    const second = askMany(100, holder, { images: 4 });
    await evicted;
    expect(admitted([...(await first), ...(await second)])).toBe(9);
    expect(await ask(holder, { images: 2 })).toMatchObject({ kind: "token_spent" });
    expect((await ask(holder)).kind).toBe("admitted");
    expect(await ask(holder)).toMatchObject({ kind: "token_spent" });
  });

  it("are each token's own, and nothing to the key that made it", async () => {
    const id = await configured();
    expect(admitted(await askMany(100, holderOf(id)))).toBe(37);
    expect(admitted(await askMany(100, holderOf(id, { id: "tok-2", maxImages: 5 })))).toBe(5);
    expect(admitted(await askMany(50, browserOf(id)))).toBe(50);
  });

  it("come back when they were not made, once", async () => {
    const holder = holderOf(await configured());
    const [first] = admissionsOf(await askMany(10, holder, { images: 4 }));
    if (!first) throw new Error("was not admitted");
    for (let times = 0; times < 3; times++) await settle(holder.tenantId, first.holdNumber, { images: 1 });
    // 36 were held, 3 came back.
    expect(admitted(await askMany(20, holder))).toBe(4);
  });

  it("that never fit into it differ from those that are spent", async () => {
    const holder = holderOf(await configured(), { maxImages: 3 });
    const tooMany = await ask(holder, { images: 4 });
    expect(tooMany).toMatchObject({ kind: "never_fits", limit: "max_images", most: 3 });
    expect((await ask(holder, { images: 3 })).kind).toBe("admitted");
  });

  it("are not used up by what the tenant's limits or money refuse", async () => {
    const id = freshId();
    const money = { prepaid: true, openingBalance: 60 };
    await configure(id, { ...money, limits: limitsOf({ concurrent_tasks: 1 }), keys: [browserKey] });
    const holder = holderOf(id, { maxImages: 4 });
    const first = await ask(holder);
    expect(admitted(await askMany(20, holder))).toBe(0);
    if (first.kind === "admitted") await settle(id, first.holdNumber, { images: 1 });
    expect(await ask(holder, { images: 2 })).toMatchObject({ kind: "insufficient_balance" });
    const last = await ask(holder);
    expect(last.kind).toBe("admitted");
    expect(shownOf(last).images).toMatchObject({ remaining: 2 });
  });

  it("that are spent take nothing from the tenant", async () => {
    const id = await configured({ requests_per_minute: 100, images_per_day: 100 });
    const holder = holderOf(id, { maxImages: 2 });
    await askMany(2, holder);
    const before = await summaryOf(id);
    expect(admitted(await askMany(50, holder))).toBe(0);
    expect(await summaryOf(id)).toEqual(before);
  });

  it("that cannot be read are none, also once one comes back, and are the token's alone", async () => {
    const holder = holderOf(await configured(), { maxImages: 2 });
    const [first] = admissionsOf(await askMany(3, holder));
    if (!first) throw new Error("was not admitted");
    await runInDurableObject(objectOf(holder.tenantId), (_object, { storage }) => {
      storage.sql.exec("UPDATE tokens SET images = 'unreadable contents'");
    });
    const refusal = "stored data cannot be read: tokens images [tok-1] must be a whole number";
    const request = { ...requestOf(holder.tenantId), caller: holder };
    const problem = () =>
      runInDurableObject(objectOf(holder.tenantId), (object) =>
        object.begin(request, rowOf(request)).then(
          ({ kind }) => kind,
          (error: Error) => error.message,
        ),
      );
    expect(await problem()).toBe(refusal);
    await settle(holder.tenantId, first.holdNumber, { images: 0 });
    expect(await problem()).toBe(refusal);
    expect((await ask(holderOf(holder.tenantId, { id: "tok-2" }))).kind).toBe("admitted");
  });

  it("are not given anew to a token that is about to expire, by the tokens that come after it", async () => {
    const id = await configured();
    const holder = holderOf(id);
    await askMany(37, holder);
    const lastMs = t0 + hourMs - 1;
    await ask(holderOf(id, { id: "tok-2", expiresMs: t0 + 2 * hourMs }), { nowMs: lastMs });
    expect(await ask(holder, { nowMs: lastMs })).toMatchObject({ kind: "token_spent" });
    expect(await ask(holder, { nowMs: t0 + hourMs })).toEqual({
      kind: "key_refused",
      refusal: "invalid_key",
    });
  });
});

describe("a token", () => {
  it("ends with the key that made it", async () => {
    const id = await configured();
    expect((await ask(holderOf(id))).kind).toBe("admitted");
    await configure(id, { version: 2, keys: [keyOf(), { ...browserKey, revokedMs: t0 }] });
    expect(await ask(holderOf(id))).toEqual({ kind: "key_refused", refusal: "invalid_key" });
    await configure(id, { version: 3, keys: [keyOf()] });
    expect(await ask(holderOf(id))).toEqual({ kind: "key_refused", refusal: "invalid_key" });
  });

  it("is under the limits of the key that made it, with all its other tokens", async () => {
    const id = await configured({}, { images_per_day: 10 });
    const both = [holderOf(id), holderOf(id, { id: "tok-2" })];
    const decisions = await Promise.all(both.map((holder) => askMany(20, holder)));
    expect(admitted(decisions.flat())).toBe(10);
  });
});

describe("the policies that are shown", () => {
  const tight = { requests_per_minute: 20, images_per_minute: 20, concurrent_tasks: 20, images_per_day: 20 };

  it("to a browser key are a tenth of its tenant's, where it has no limits of its own", async () => {
    const decision = await ask(browserOf(await configured(tight)));
    expect(shownOf(decision)).toMatchObject({
      requests: { limit: 2, remaining: 1 },
      images: { limit: 2, remaining: 1 },
      tasks: { limit: 2, remaining: 1 },
      daily: { limit: 2, remaining: 1 },
    });
  });

  it("to a browser key are its own, whatever is left of its tenant's", async () => {
    const id = await configured(tight, { images_per_day: 100, images_per_minute: 10 });
    await Promise.all(Array.from({ length: 17 }, () => beginTask(id, requestOf(id))));
    const decision = await ask(browserOf(id));
    expect(decision.kind).toBe("admitted");
    expect(shownOf(decision)).toMatchObject({
      images: { limit: 10, remaining: 9 },
      daily: { limit: 100, remaining: 99 },
    });
    // The last tenth of the tenant's is not for visitors.
    const refusal = await ask(browserOf(id));
    expect(refusal.kind).toBe("limited");
    expect(shownOf(refusal)).toMatchObject({ images: { limit: 10 }, daily: { limit: 100 } });
  });

  it("to a token are its images until it expires, or its key's where those are fewer", async () => {
    const id = await configured({}, { images_per_day: 100, images_per_minute: 10 });
    const few = await ask(holderOf(id, { maxImages: 3 }), { images: 2, nowMs: t0 + 500 });
    const ofToken = { name: "images", limit: 3, windowSeconds: 3600, remaining: 1, resetSeconds: 3600 };
    expect(few).toMatchObject({ policies: [ofToken, { name: "daily", limit: 100, remaining: 98 }] });
    const many = await ask(holderOf(id, { id: "tok-2" }), { nowMs: t0 + 500 });
    expect(many).toMatchObject({ policies: [{ name: "images", limit: 10, remaining: 7 }, { limit: 100 }] });
  });

  it("to a secret key are the tightest of its own and its tenant's", async () => {
    const id = freshId();
    const key = keyOf(undefined, { limits: { images_per_day: 5, concurrent_tasks: 90 } });
    await configure(id, { limits: limitsOf(tight), keys: [key] });
    const { policies } = (await beginTask(id, requestOf(id))) as { policies: { name: string }[] };
    expect(Object.fromEntries(policies.map((policy) => [policy.name, policy]))).toMatchObject({
      requests: { limit: 20, remaining: 19 },
      images: { limit: 20, remaining: 19 },
      tasks: { limit: 20, remaining: 19 },
      daily: { limit: 5, remaining: 4 },
    });
    expect(policies).toHaveLength(4);
  });
});
