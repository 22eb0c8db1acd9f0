/**
 * Pictures from the cache at the edge: the same replies as from R2 without asking R2, whatever else a request carries;
 * whole pictures only, and none that was erased here.
 */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { copyAddress, keepCopy } from "../../../src/flows/images/edge-copy.ts";
import type { Invocation } from "../../../src/platform/invocation.ts";
import {
  type Around,
  bearer,
  clearTasks,
  finishTask,
  origin,
  startGateway,
  submitTask,
} from "../../helpers/gateway.ts";
import { comparable, expectError, recordBindings, storePicture } from "../../helpers/routes.ts";

const bindings = recordBindings();
const kept: string[] = [];
/** The real one, and what was written to it. */
const cache: Invocation["cache"] = {
  match: (asked) => caches.default.match(asked),
  put: (address, response) => {
    kept.push(String(address));
    return caches.default.put(address, response);
  },
  delete: (address) => caches.default.delete(address),
};
const bare = startGateway();
const edge = startGateway({ beside: bare, around: bindings.around, cache });
const tenant = await bare.makeTenant();
const picture = await storePicture(bare, tenant.key, "png");
const etag = (await bare.fetch(picture.path)).headers.get("etag") ?? "";

beforeEach(async () => {
  await caches.default.delete(`${origin}${picture.path}`);
  await clearTasks();
  clearCalls();
});

function clearCalls(): void {
  bindings.calls.length = 0;
  bindings.broken.clear();
  kept.length = 0;
}

const bytesOf = async (response: Response) => new Uint8Array(await response.arrayBuffer());
const copyOf = (path: string) => caches.default.match(`${origin}${path}`);

/** Has a copy made, and clears the calls that that took. */
async function warm(path = picture.path): Promise<void> {
  await (await edge.fetch(path)).arrayBuffer();
  expect(kept).toEqual([`${origin}${path}`]);
  clearCalls();
}

const failures: [string, () => Promise<never>][] = [
  ["fails", () => Promise.reject(new Error("internal error"))],
  [
    "throws",
    () => {
      throw new Error("not available here");
    },
  ],
  ["hangs", () => new Promise(() => undefined)],
];

const { length: size } = picture.bytes;
const requests: [string, string, RequestInit][] = [
  ["all of it", "", {}],
  ["it to be saved", "?download=1", {}],
  ["HEAD", "", { method: "HEAD" }],
  ["HEAD, with a range", "", { method: "HEAD", headers: { range: "bytes=0-9" } }],
  ["it, being known", "", { headers: { "if-none-match": etag } }],
  ["HEAD, being known", "", { method: "HEAD", headers: { "if-none-match": `W/${etag}` } }],
  ["any, being known", "", { headers: { "if-none-match": "*" } }],
  ["it, another being known", "", { headers: { "if-none-match": '"other"' } }],
  ["it, under a condition that is none", "", { headers: { "if-none-match": "nonsense" } }],
  ["a part", "", { headers: { range: "bytes=100-299" } }],
  ["a part to be saved", "?download=1", { headers: { range: "bytes=0-0" } }],
  ["a tail", "", { headers: { range: "bytes=-20" } }],
  ["a longer tail than there is", "", { headers: { range: "bytes=-999999999" } }],
  ["an open end", "", { headers: { range: "bytes=100-" } }],
  ["a far end", "", { headers: { range: "bytes=0-99999999999999999999999" } }],
  ["what lies beyond its end", "", { headers: { range: `bytes=${size}-` } }],
  ["an empty tail", "", { headers: { range: "bytes=-0" } }],
  ["several parts", "", { headers: { range: "bytes=0-1,5-9" } }],
  ["no part that makes sense", "", { headers: { range: "bytes=9-5" } }],
  ["a part of what is known", "", { headers: { range: "bytes=0-9", "if-none-match": etag } }],
  ["a part of this very picture", "", { headers: { range: "bytes=0-9", "if-range": etag } }],
  ["a part of another picture", "", { headers: { range: "bytes=0-9", "if-range": '"other"' } }],
];

describe("a picture that is cached", () => {
  it.each(requests)("is as from R2, without asking R2: %s", async (_what, query, init) => {
    await warm();
    const reply = await edge.fetch(`${picture.path}${query}`, init);
    expect(bindings.calls).toEqual([]);
    expect(await comparable(reply)).toEqual(
      await comparable(await bare.fetch(`${picture.path}${query}`, init)),
    );
    expect(kept).toEqual([]);
  });

  it("is one copy, whatever queries and headers come", async () => {
    await (await edge.fetch(`${picture.path}?download=1&x=1`)).arrayBuffer();
    clearCalls();
    for (const query of ["", "?", "?x=2", "?download=1", `?${"x".repeat(500)}`, "?range=bytes"]) {
      const headers = {
        "cache-control": "no-cache, no-store",
        pragma: "no-cache",
        accept: "image/webp",
        "accept-encoding": query,
        authorization: "Bearer nonsense",
        cookie: `a=${query}`,
        origin: "https://shop.example",
      };
      const reply = await edge.fetch(`${picture.path}${query}`, { headers });
      expect(await bytesOf(reply)).toEqual(picture.bytes);
      expect(reply.headers.has("content-disposition")).toBe(query === "?download=1");
    }
    expect([bindings.calls, kept]).toEqual([[], []]);
  });

  it("lives there for an hour, in browsers for good, and each reply has an id of its own", async () => {
    const ids = new Set<string | null>();
    for (let i = 0; i < 3; i++) {
      const { headers } = await edge.fetch(picture.path);
      expect(headers.get("cache-control")).toBe("public, max-age=31536000, immutable");
      expect([headers.get("age"), headers.get("cf-cache-status")]).toEqual([null, null]);
      ids.add(headers.get("x-request-id"));
    }
    expect(ids.size).toBe(3);
    expect(bindings.calls).toEqual(["R2 get"]);
    expect((await copyOf(picture.path))?.headers.get("cache-control")).toBe("public, max-age=3600");
  });
});

describe("a picture that is not cached", () => {
  it.each([
    ["HEAD", { method: "HEAD" }, ["R2 head"]],
    ["what is known", { headers: { "if-none-match": etag } }, ["R2 get"]],
    ["a part", { headers: { range: "bytes=0-9" } }, ["R2 get"]],
    ["a part that is all of it", { headers: { range: "bytes=0-" } }, ["R2 get"]],
  ])("is asked of R2 once, and no copy is made of: %s", async (_what, init, calls) => {
    const reply = await edge.fetch(picture.path, init);
    expect(reply.ok || reply.status === 304).toBe(true);
    expect([bindings.calls, kept]).toEqual([calls, []]);
  });

  it("has no copy made under a wrong extension, and is not found there though it is cached", async () => {
    await warm();
    for (const extension of ["jpg", "webp", "gif", "PNG"]) {
      await expectError(await edge.fetch(picture.path.replace(/png$/, extension)), "not_found");
    }
    expect(kept).toEqual([]);
  });
});

describe("an error", () => {
  it("is never kept: a picture that comes later is served", async () => {
    const path = `/images/img-${"2".repeat(26)}.png`;
    await expectError(await edge.fetch(path), "not_found");
    bindings.broken.add("R2");
    await expectError(await edge.fetch(picture.path), "unavailable");
    bindings.broken.clear();
    expect(kept).toEqual([]);
    await env.IMAGES.put(path.slice(1, -4), picture.bytes, { httpMetadata: { contentType: "image/png" } });
    for (const there of [path, picture.path]) expect((await edge.fetch(there)).status).toBe(200);
  });

  it("of an erased picture is not kept", async () => {
    const path = `/images/img-${"3".repeat(26)}.png`;
    await env.IMAGES.put(path.slice(1, -4), "", { httpMetadata: { contentType: "image/png" } });
    await expectError(await edge.fetch(path), "deleted");
    expect(kept).toEqual([]);
  });
});

describe("erasing", () => {
  /** A finished task of two pictures that are cached. */
  async function cachedTask(gateway = edge, key = tenant.key) {
    const { id } = await submitTask(gateway, key, { n: 2, end_user: "visitor" });
    const paths = (await finishTask(gateway, key, id)).results.map((url) => new URL(url).pathname);
    for (const path of paths) await (await gateway.fetch(path)).arrayBuffer();
    expect(kept).toHaveLength(2);
    clearCalls();
    return { id, paths };
  }
  const drop = (gateway: typeof edge, path: string, key = tenant.key) =>
    gateway.fetch(path, { method: "DELETE", headers: bearer(key) });

  it.each([
    ["the task", (id: string) => `/v1/tasks/${id}`],
    ["the end user", () => "/v1/end-users/visitor"],
  ])("ends a picture at once, though it was cached: %s", async (_what, path) => {
    const { id, paths } = await cachedTask();
    expect((await drop(edge, path(id))).ok).toBe(true);
    for (const gone of paths) await expectError(await edge.fetch(gone), "deleted");
  });

  it("leaves other tenants' copies", async () => {
    const other = await edge.makeTenant();
    const theirs = await cachedTask(edge, other.key);
    const { id } = await cachedTask();
    await drop(edge, `/v1/tasks/${id}`);
    clearCalls();
    for (const path of theirs.paths) expect((await edge.fetch(path)).status).toBe(200);
    expect(bindings.calls).toEqual([]);
  });

  it("drops the one copy that all domains of a gateway share", async () => {
    const vars = { PUBLIC_BASE_URL: "https://pictures.shop.example" };
    const behind = startGateway({ beside: bare, around: bindings.around, cache, vars });
    const { id, paths } = await cachedTask(behind);
    expect(await caches.default.match(`${vars.PUBLIC_BASE_URL}${paths[0]}`)).toBeDefined();
    await drop(behind, `/v1/tasks/${id}`);
    for (const gone of paths) await expectError(await behind.fetch(gone), "deleted");
  });

  it("is gone on with by cron, copies included", async () => {
    const { id, paths } = await cachedTask();
    // The first one is the note that the task is erased; without it nothing is.
    let puts = 0;
    const around: Around = (name, call) =>
      name === "R2 put" && ++puts > 1 ? Promise.reject(new Error("R2 is out")) : call();
    const shaken = startGateway({ beside: edge, cache, around });
    await expectError(await drop(shaken, `/v1/tasks/${id}`), "unavailable");
    edge.advance(3 * 60_000);
    await edge.tick();
    for (const gone of paths) await expectError(await edge.fetch(gone), "deleted");
  });

  it.each(failures)("does not depend on the cache, which %s", async (_what, fail) => {
    const { id, paths } = await cachedTask();
    const shaken = startGateway({ beside: bare, cache: { ...cache, delete: fail } });
    expect((await drop(shaken, `/v1/tasks/${id}`)).status).toBe(204);
    for (const gone of paths) await expectError(await bare.fetch(gone), "deleted");
  });
});

describe("a copy's address", () => {
  const at = (publicUrl: string | null, from: string) =>
    copyAddress({ config: { ...bare.config, PUBLIC_BASE_URL: publicUrl } }, from, "img-1", "image/jpeg");

  it("is the public one for all domains, and each domain's own where none is configured", () => {
    expect(at("https://a.example", "https://b.example")).toBe("https://a.example/images/img-1.jpg");
    expect(at(null, "https://b.example")).toBe("https://b.example/images/img-1.jpg");
    expect(at(null, "http://b.example")).toBe(at(null, "https://b.example"));
  });
});

describe("a cache that is broken", () => {
  it.each(failures)("costs a read of R2 and nothing else when it %s", async (_what, fail) => {
    await warm();
    const shaken = startGateway({ beside: bare, around: bindings.around, cache: { ...cache, match: fail } });
    for (const headers of [{}, { range: "bytes=5-9" }, { "if-none-match": etag }]) {
      const expected = await comparable(await bare.fetch(picture.path, { headers }));
      expect(await comparable(await shaken.fetch(picture.path, { headers }))).toEqual(expected);
    }
    expect([bindings.calls, kept]).toEqual([["R2 get", "R2 get", "R2 get"], []]);
    expect(shaken.logs).toContainEqual(expect.objectContaining({ event: "cache_failed" }));
  });

  it("costs nothing when it keeps nothing", async () => {
    const put = () => Promise.reject(new Error("full"));
    const shaken = startGateway({ beside: bare, around: bindings.around, cache: { ...cache, put } });
    for (let i = 0; i < 2; i++)
      expect(await bytesOf(await shaken.fetch(picture.path))).toEqual(picture.bytes);
    expect(bindings.calls).toEqual(["R2 get", "R2 get"]);
  });

  it("that gives no parts leaves them to R2", async () => {
    await warm();
    const whole = { ...cache, match: () => caches.default.match(`${origin}${picture.path}`) };
    const shaken = startGateway({ beside: bare, around: bindings.around, cache: whole });
    const reply = await shaken.fetch(picture.path, { headers: { range: "bytes=5-9" } });
    expect(reply.status).toBe(206);
    expect(await bytesOf(reply)).toEqual(picture.bytes.slice(5, 10));
    expect(bindings.calls).toEqual(["R2 get"]);
  });
});

describe("a copy", () => {
  it("is whole though the client left in the middle", async () => {
    const reader = (await edge.fetch(picture.path)).body?.getReader();
    await reader?.read();
    await reader?.cancel();
    const copy = await copyOf(picture.path);
    expect(copy && (await bytesOf(copy))).toEqual(picture.bytes);
  });

  it("holds up no reply when it cannot be written", async () => {
    const hangs = { ...cache, put: () => new Promise<never>(() => undefined) };
    const begun: Promise<unknown>[] = [];
    // It runs beside the reply, and for ever: no caller here may wait for it.
    const invocation: Invocation = {
      ...bare.invocation(),
      cache: hangs,
      defer: (_name, work) => void begun.push(work()),
    };
    const object = await env.IMAGES.get(picture.path.slice(1, -4));
    const body = object?.body as ReadableStream<Uint8Array>;
    const isErased = () => Promise.reject(new Error("nothing asks"));
    const reply = keepCopy(
      invocation,
      `${origin}${picture.path}`,
      "image/png",
      { etag, size, body },
      isErased,
    );
    expect(await bytesOf(new Response(reply))).toEqual(picture.bytes);
    expect(begun).toHaveLength(1);
  });

  it.each([
    ["is dropped when its picture was erased while a slow client read it", 1_000, "erased", false],
    ["is dropped when it is unknown whether it was", 1_000, "unknown", false],
    ["stays when it was not", 1_000, "there", true],
    ["is not checked when it was written at once", 999, "unknown", true],
  ])("%s", async (_what, tookMs, state, stays) => {
    const copies = new Map<string, Uint8Array[]>();
    const work: Promise<unknown>[] = [];
    let nowMs = 0;
    const invocation: Invocation = {
      ...bare.invocation(),
      cache: greedy(copies),
      now: () => nowMs,
      defer: (_name, begin) => void work.push(begin()),
    };
    const object = await env.IMAGES.get(picture.path.slice(1, -4));
    const body = object?.body as ReadableStream<Uint8Array>;
    const isErased = () =>
      state === "unknown" ? Promise.reject(new Error("R2 is away")) : Promise.resolve(state === "erased");
    const reply = keepCopy(
      invocation,
      `${origin}${picture.path}`,
      "image/png",
      { etag, size, body },
      isErased,
    );
    nowMs = tookMs;
    await bytesOf(new Response(reply));
    await Promise.all(work);
    expect(copies.size).toBe(stays ? 1 : 0);
  });

  it("is not left when its picture was deleted while a slow client read it", async () => {
    const mine = await storePicture(bare, tenant.key, "png");
    const copies = new Map<string, Uint8Array[]>();
    const keeper = greedy(copies);
    const put: Invocation["cache"]["put"] = async (address, response) => {
      await keeper.put(address, response);
      await env.IMAGES.put(mine.path.slice(1, -4), "");
      bare.advance(1_000);
    };
    const slow = startGateway({ beside: bare, cache: { ...keeper, put } });
    expect(await bytesOf(await slow.fetch(mine.path))).toEqual(mine.bytes);
    expect(copies.size).toBe(0);
  });

  it.each(["breaks off", "ends early"])("is not left when what R2 sends %s", async (how) => {
    const copies = new Map<string, Uint8Array[]>();
    const torn = startGateway({ beside: bare, cache: greedy(copies), around: tearing(how === "ends early") });
    const reply = await torn.fetch(picture.path);
    await reply.arrayBuffer().catch(() => undefined);
    expect(torn.logs).toContainEqual(
      expect.objectContaining({ event: "deferred_failed", name: "keep_copy" }),
    );
    expect(copies).toEqual(new Map());
  });
});

/** A cache that keeps whatever came, also when it then says that it failed. */
function greedy(copies: Map<string, Uint8Array[]>): Invocation["cache"] {
  return {
    match: async () => undefined,
    async put(address, response) {
      const chunks: Uint8Array[] = [];
      copies.set(String(address), chunks);
      for await (const chunk of response.body ?? []) chunks.push(chunk as Uint8Array);
    },
    delete: async (address) => copies.delete(String(address)),
  };
}

/** Has R2 send half of a picture: then the connection is lost, or seems to have ended well. */
function tearing(endsWell: boolean): Around {
  return async (name, call) => {
    const object = await call();
    if (name !== "R2 get" || object === null) return object;
    const { httpEtag, httpMetadata, size: bytes } = object as R2ObjectBody;
    const chunks = [picture.bytes.slice(0, bytes / 2)];
    const body = new ReadableStream({
      pull(controller) {
        const chunk = chunks.pop();
        if (chunk) controller.enqueue(chunk);
        else if (endsWell) controller.close();
        else controller.error(new Error("connection lost"));
      },
    });
    return { httpEtag, httpMetadata, size: bytes, body } as typeof object;
  };
}
