/**
 * A page's visitors share a tenant with its own servers: whatever one of them does leaves the servers nine tenths of each
 * limit, all of them together leave a tenth, and what the upstream refuses stops the one who asked for it.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../src/domain/access.ts";
import { type defaultLimits, type LimitName, limitNames } from "../../src/domain/admission.ts";
import type { TokenClaims } from "../../src/domain/tokens.ts";
import type { BeginDecision } from "../../src/tenant/decide.ts";
import { admitFile, type FileRequest } from "../../src/tenant/file-admission.ts";
import {
  type Asked,
  beginTask,
  configure,
  freshId,
  keyOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  summaryOf,
  t0,
} from "../helpers/tenant-object.ts";

const hourMs = 3_600_000;
const page = "https://app.example";
const browserKeys = ["b1", "b2", "b3"].map((end) =>
  keyOf(`key-00000000000000${end}`, { kind: "browser", allowedOrigins: [page] }),
);

async function configured(limits: Partial<typeof defaultLimits>): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf(limits), keys: [keyOf(), ...browserKeys] });
  return id;
}

const pageOf = { origin: page, sameOrigin: false };
function browserOf(tenantId: string, index = 0): Caller {
  const { id = "", hash = "" } = browserKeys[index] ?? {};
  return { kind: "browser", tenantId, keyId: id, keyHash: hash, token: null, page: pageOf };
}

let minted = 0;
/** The holder of a fresh token of a thousand images, which the tenant's server made. */
function holderOf(tenantId: string): Caller {
  minted += 1;
  const keyId = keyOf().id;
  const token: TokenClaims = {
    ...{ id: `tok-${minted}`, tenantId, keyId, expiresMs: t0 + hourMs, maxImages: 1_000 },
    ...{ allowedOrigins: [page], models: null, endUser: null },
  };
  return { kind: "token", tenantId, keyId, keyHash: null, token, page: pageOf };
}
const serverOf = (tenantId: string) => requestOf(tenantId).caller;

const ask = (caller: Caller, over: Asked = {}): Promise<BeginDecision> =>
  beginTask(caller.tenantId, { ...requestOf(caller.tenantId, over), caller });

let uploads = 0;
/** Asks for an upload's hold. @returns its id; undefined when it is refused. */
async function upload(caller: Caller, bytes = 1): Promise<string | undefined> {
  uploads += 1;
  const fileId = `file-${String(uploads).padStart(26, "0")}`;
  const request: FileRequest = { caller, fileId, bytes, isRequest: true, nowMs: t0 };
  const { kind } = await runInDurableObject(objectOf(caller.tenantId), (object) => object.admitFile(request));
  return kind === "admitted" ? fileId : undefined;
}
const drop = (caller: Caller, fileId: string) =>
  runInDurableObject(objectOf(caller.tenantId), (object) => object.dropFile(fileId));

/** How often a call succeeds before it is refused. */
async function untilRefused(call: () => Promise<boolean>): Promise<number> {
  for (let times = 0; ; times++) if (!(await call())) return times;
}
const untilFull = (caller: Caller, over: Asked = {}) =>
  untilRefused(async () => (await ask(caller, over)).kind === "admitted");

/** Has the upstream refuse a task's content. */
async function refuse(caller: Caller, over: Asked = {}): Promise<boolean> {
  const decision = await ask(caller, over);
  if (decision.kind !== "admitted") return false;
  await settle(caller.tenantId, decision.holdNumber, { refused: true });
  return true;
}

/** What takes of each limit, one at a time. */
const takers: Record<LimitName, (caller: Caller) => Promise<boolean>> = {
  requests_per_minute: async (caller) => (await upload(caller)) !== undefined,
  images_per_minute: async (caller) => (await ask(caller)).kind === "admitted",
  concurrent_tasks: async (caller) => (await ask(caller)).kind === "admitted",
  images_per_day: async (caller) => (await ask(caller)).kind === "admitted",
  images_per_month: async (caller) => (await ask(caller)).kind === "admitted",
  refusals_per_day: (caller) => refuse(caller),
  files_per_day: async (caller) => (await upload(caller)) !== undefined,
  file_bytes: async (caller) => (await upload(caller)) !== undefined,
};
/** A browser key uploads nothing. */
const visitorsOf = (name: LimitName) =>
  ["requests_per_minute", "files_per_day", "file_bytes"].includes(name)
    ? { "a client token": holderOf }
    : { "a client token": holderOf, "a browser key": (id: string) => browserOf(id) };
const most = 100;
const cases = limitNames.flatMap((name) =>
  Object.entries(visitorsOf(name)).map(([who, visitorOf]) => ({ name, who, visitorOf })),
);

describe("a visitor", () => {
  it.each(cases)("with $who has a tenth of $name, and leaves the rest", async ({ name, visitorOf }) => {
    const id = await configured({ [name]: most });
    const take = takers[name];
    const visitor = visitorOf(id);
    expect(await untilRefused(() => take(visitor))).toBe(most / 10);
    await evictDurableObject(objectOf(id));
    expect(await take(visitor)).toBe(false);
    expect(await untilRefused(() => take(serverOf(id)))).toBe((most * 9) / 10);
  });

  it.each(limitNames)("among many leaves the tenant's servers a tenth of %s", async (name) => {
    const id = await configured({ [name]: most });
    const take = takers[name];
    let taken = 0;
    for (let visitors = 0; visitors < 12; visitors++) {
      const visitor = holderOf(id);
      taken += await untilRefused(() => take(visitor));
    }
    expect(taken).toBe((most * 9) / 10);
    expect(await untilRefused(() => take(serverOf(id)))).toBe(most / 10);
  });

  it("has one of a limit that is smaller than ten, and all of one that cannot be divided", async () => {
    const few = await configured({ concurrent_tasks: 5 });
    expect(await untilFull(browserOf(few))).toBe(1);
    const single = await configured({ concurrent_tasks: 1 });
    expect(await untilFull(browserOf(single))).toBe(1);
  });

  it("has what its key is set to, above a tenth or none at all, as far as the tenant's reserve", async () => {
    const id = freshId();
    const [own] = browserKeys;
    const limits = { images_per_day: 40, concurrent_tasks: null };
    await configure(id, {
      limits: limitsOf({ images_per_day: 1_000, concurrent_tasks: 50 }),
      keys: own ? [{ ...own, limits }] : [],
    });
    expect(await untilFull(browserOf(id))).toBe(40);
    await configure(id, {
      version: 2,
      limits: limitsOf({ images_per_day: 1_000, concurrent_tasks: 50 }),
      keys: own ? [{ ...own, limits: { ...limits, images_per_day: null } }] : [],
    });
    expect(await untilFull(browserOf(id))).toBe(45 - 40);
  });
});

describe("a refusal", () => {
  it("says whose limit it is", async () => {
    const id = await configured({ images_per_day: 10 });
    const whose = async (caller: Caller) => {
      await untilFull(caller);
      return ask(caller);
    };
    expect(await whose(holderOf(id))).toMatchObject({ limit: "images_per_day", of: "token" });
    expect(await whose(browserOf(id))).toMatchObject({ limit: "images_per_day", of: "key" });
    await untilFull(serverOf(id));
    expect(await ask(serverOf(id))).toMatchObject({ limit: "images_per_day", of: "tenant" });
  });
});

describe("what the upstream refuses", () => {
  it("stops an address before it stops the page's key", async () => {
    const id = await configured({ refusals_per_day: 200 });
    const visitor = browserOf(id);
    expect(await untilRefused(() => refuse(visitor, { address: "one" }))).toBe(5);
    expect(await refuse(visitor, { address: "two" })).toBe(true);
    expect(await ask(visitor, { address: "one" })).toMatchObject({
      kind: "limited",
      code: "quota_exceeded",
      limit: "refusals_per_day",
      of: "address",
    });
    // Also with another key, or a token: the address is the same.
    expect((await ask(browserOf(id, 1), { address: "one" })).kind).toBe("limited");
    expect((await ask(visitor, { address: "one", nowMs: t0 + 24 * hourMs })).kind).toBe("admitted");
  });

  it("is counted for a token's whole life, across midnight", async () => {
    const id = await configured({ refusals_per_day: 20 });
    const midnight = t0 - (t0 % (24 * hourMs)) + 24 * hourMs;
    const caller = holderOf(id);
    const holder = {
      ...caller,
      token: caller.token && { ...caller.token, expiresMs: midnight + hourMs / 2 },
    };
    const before = { nowMs: midnight - 1 };
    expect(await untilRefused(() => refuse(holder, before))).toBe(2);
    expect((await ask(holder, { nowMs: midnight + 1 })).kind).toBe("limited");
  });

  it("says nothing of an address for longer than its day", async () => {
    const id = await configured({ refusals_per_day: 200 });
    await refuse(browserOf(id), { address: "one" });
    const later = { nowMs: t0 + 24 * hourMs };
    const decision = await ask(browserOf(id), { address: "two", ...later });
    if (decision.kind === "admitted") await settle(id, decision.holdNumber, { refused: true, ...later });
    const scopes = await runInDurableObject(objectOf(id), (_object, { storage }) =>
      storage.sql.exec("SELECT scope FROM scopes WHERE scope LIKE 'address %'").toArray(),
    );
    expect(scopes).toEqual([{ scope: "address two" }]);
  });
});

describe("refusals of what is in flight", () => {
  it("by visitors leave the tenant's servers their part, however many are sent before the first one ends", async () => {
    const id = await configured({ refusals_per_day: 100 });
    const holds: number[] = [];
    for (let i = 0; i < 12; i++) {
      const holder = holderOf(id);
      for (let j = 0; j < 12; j++) {
        const decision = await ask(holder);
        if (decision.kind === "admitted") holds.push(decision.holdNumber);
      }
    }
    for (const hold of holds) await settle(id, hold, { refused: true });
    expect(holds).toHaveLength(90);
    expect(await untilRefused(() => refuse(serverOf(id)))).toBe(10);
  });
});

describe("a token of a server's key that has limits of its own", () => {
  it("has a tenth of those, and all its tokens leave the key a tenth", async () => {
    const id = freshId();
    await configure(id, {
      limits: limitsOf({ images_per_day: 1_000 }),
      keys: [keyOf(undefined, { limits: { images_per_day: 50 } })],
    });
    expect(await untilFull(holderOf(id))).toBe(5);
    let taken = 5;
    for (let i = 0; i < 12; i++) taken += await untilFull(holderOf(id));
    expect(taken).toBe(45);
    expect(await untilFull(serverOf(id))).toBe(5);
  });
});

describe("a token's images that were not made", () => {
  it("are its day's again, and what is counted for its life says when that is over", async () => {
    const id = await configured({ images_per_day: 100, images_per_month: 100 });
    const holder = holderOf(id);
    const decisions = [];
    for (let i = 0; i < 10; i++) decisions.push(await ask(holder));
    expect(await ask(holder)).toMatchObject({ code: "quota_exceeded", retryAfterMs: hourMs });
    const [first] = decisions;
    if (first?.kind === "admitted") await settle(id, first.holdNumber);
    expect(await untilFull(holder)).toBe(1);
  });
});

describe("a token's uploads", () => {
  it("are given back where the request that they came with was refused", async () => {
    const id = await configured({ files_per_day: 100 });
    const holder = holderOf(id);
    for (let i = 0; i < 30; i++) {
      const fileId = await upload(holder);
      expect(fileId).toBeDefined();
      await runInDurableObject(objectOf(id), (object) => object.dropFile(fileId ?? "", true));
    }
  });

  it("are counted for its life, also those that came to nothing or were deleted", async () => {
    const id = await configured({ files_per_day: 100 });
    const holder = holderOf(id);
    const loop = async () => {
      const fileId = await upload(holder);
      if (fileId) await drop(holder, fileId);
      return fileId !== undefined;
    };
    expect(await untilRefused(loop)).toBe(10);
    expect((await summaryOf(id)).remaining.files_per_day).toBe(90);
  });

  it("are as many as its images could need, where those are fewer", async () => {
    const id = await configured({ files_per_day: 1_000 });
    const caller = holderOf(id);
    const holder = { ...caller, token: caller.token && { ...caller.token, maxImages: 2 } };
    expect(await untilRefused(async () => (await upload(holder)) !== undefined)).toBe(8);
  });

  it("of a server that came to nothing are none of the day's", async () => {
    const id = await configured({ files_per_day: 100 });
    const fileId = await upload(serverOf(id));
    if (fileId) await drop(serverOf(id), fileId);
    expect((await summaryOf(id)).remaining.files_per_day).toBe(100);
  });
});

describe("a task of more images than ever fit", () => {
  it("learns how many fit in all that it counts in", async () => {
    const id = freshId();
    const own = keyOf(keyOf().id, { limits: { images_per_minute: 40 } });
    await configure(id, { limits: limitsOf({ images_per_minute: 1_000 }), keys: [own] });
    const refused = { kind: "never_fits", limit: "images_per_minute", most: 4 };
    for (const images of [5, 37, 41]) expect(await ask(holderOf(id), { images })).toMatchObject(refused);
    expect(await ask(holderOf(id), { images: 4 })).toMatchObject({ kind: "admitted" });
  });
});

describe("an upload by a token", () => {
  it("reads as little beside many files of its tenant as beside none", async () => {
    const id = await configured({});
    const alone = await rowsReadBy(holderOf(id));
    for (let more = 0; more < 50; more++) expect(await upload(serverOf(id))).toBeDefined();
    expect(await rowsReadBy(holderOf(id))).toBeLessThanOrEqual(alone + 5);
  });
});

/** Rows that the object reads for an upload, which it admits. */
function rowsReadBy(caller: Caller): Promise<number> {
  uploads += 1;
  const fileId = `file-${String(uploads).padStart(26, "0")}`;
  const request: FileRequest = { caller, fileId, bytes: 1, isRequest: true, nowMs: t0 };
  return runInDurableObject(objectOf(caller.tenantId), (_, { storage }) => {
    const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    const exec: SqlStorage["exec"] = (query, ...values) => {
      const cursor = storage.sql.exec(query, ...values);
      cursors.push(cursor);
      return cursor as never;
    };
    expect(admitFile({ exec } as SqlStorage, request).kind).toBe("admitted");
    return cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
  });
}
