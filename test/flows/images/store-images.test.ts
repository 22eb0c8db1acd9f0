import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { imageKey } from "../../../src/domain/task.ts";
import { storeLane } from "../../../src/flows/cron/lanes.ts";
import { runTick } from "../../../src/flows/cron/tick.ts";
import { storeImages, storeNext } from "../../../src/flows/images/store-images.ts";
import { type ByteMemory, byteShare, usedBytes } from "../../../src/platform/byte-memory.ts";
import { createLaneStarter } from "../../../src/platform/lanes.ts";
import {
  type Around,
  clearTasks,
  filesOrigin,
  finishTask,
  readTask,
  startGateway,
  submitTask,
  type TestGateway,
  upstreamOrigin,
} from "../../helpers/gateway.ts";
import { claimStore } from "../../helpers/seed.ts";
import { garbage, setColumn, unreadable } from "../../helpers/unreadable.ts";
import type { Rule } from "../../simulator/app.ts";

beforeEach(clearTasks);

/** Lanes that never run: the pictures are ready and not stored yet. */
const idleLanes = {
  send: async () => undefined,
  store: async () => undefined,
  settle: async () => undefined,
  deliver: async () => undefined,
};

type PictureFault = Extract<Rule, { on: "picture" }>["do"];

/** A task whose pictures are ready and not yet stored. */
async function readyTask(gateway: TestGateway, body: object = {}) {
  const { key } = await gateway.makeTenant();
  const { id } = await submitTask(gateway, key, body);
  return { key, id };
}

const faults: [string, PictureFault][] = [
  ["HTML with 200", { kind: "reply", status: 200, html: "<h1>soon</h1>" }],
  ["404", { kind: "error", status: 404, code: "not_found" }],
  ["a broken connection", { kind: "reset" }],
  ["half of it, with an honest length", { kind: "serve", keepShare: 0.5, length: "sent" }],
  ["half of it, with the length of the whole", { kind: "serve", keepShare: 0.5, length: "whole" }],
  ["half of it, without a length", { kind: "serve", keepShare: 0.5, length: "absent" }],
  ["nothing", { kind: "serve", keepBytes: 0 }],
  ["half of it, and then silence", { kind: "serve", keepShare: 0.5, length: "whole", ending: "stall" }],
  ["a redirect without an end", { kind: "redirect", form: "loop" }],
  ["six redirects", { kind: "redirect", hops: 6 }],
  ["a redirect to a private address", { kind: "redirect", form: "private" }],
];

describe("a picture that comes wrong once", () => {
  it.each(faults)("is never stored like that, and stored when it comes right: %s", async (_case, fault) => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    gateway.simulator.control.script({ on: "picture", times: 1, do: fault });
    gateway.advance(15_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing", images: [] });
    const origins = new Set(gateway.simulator.control.calls().map((call) => call.origin));
    expect(origins).toEqual(new Set([filesOrigin, upstreamOrigin]));
    const done = await finishTask(gateway, key, id);
    expect(done).toMatchObject({ status: "completed", images: [{ width: 512, height: 512 }] });
  });
});

describe("what is stored", () => {
  it.each([
    ["a JPEG under .png", { kind: "serve", format: "jpeg", type: "image/png" }, "image/jpeg"],
    ["a WebP without a type", { kind: "serve", format: "webp", type: null }, "image/webp"],
    ["a PNG as bytes", { kind: "serve", type: "application/octet-stream" }, "image/png"],
    ["a PNG without a length", { kind: "serve", length: "absent" }, "image/png"],
    ["a PNG behind five redirects", { kind: "redirect", hops: 5 }, "image/png"],
  ] satisfies [string, PictureFault, string][])(
    "is typed by its bytes: %s",
    async (_case, serve, contentType) => {
      const gateway = startGateway();
      const { key, id } = await readyTask(gateway);
      gateway.simulator.control.script({ on: "picture", do: serve });
      const done = await finishTask(gateway, key, id);
      expect(done).toMatchObject({ status: "completed", images: [{ content_type: contentType }] });
      const response = await gateway.fetch(new URL(done.results[0] ?? "").pathname);
      expect(response.headers.get("content-type")).toBe(contentType);
      await response.body?.cancel();
    },
  );

  it("has the size that the bytes have, whatever was asked", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    gateway.simulator.control.script({ on: "picture", do: { kind: "serve", width: 640, height: 480 } });
    expect(await finishTask(gateway, key, id)).toMatchObject({ images: [{ width: 640, height: 480 }] });
  });

  it("is what came, byte for byte, with its hash beside it", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    await finishTask(gateway, key, id);
    const { results } = await env.DB.prepare("SELECT images FROM tasks WHERE id = ?").bind(id).all();
    const [image] = JSON.parse(String(results[0]?.images)) as { id: string; stored: { sha256: string } }[];
    const object = await env.IMAGES.get(imageKey(image?.id ?? ""));
    const digest = await crypto.subtle.digest("SHA-256", (await object?.arrayBuffer()) as ArrayBuffer);
    const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    expect(image?.stored.sha256).toBe(hex);
  });
});

describe("pictures that cannot be stored", () => {
  it("are left out, and only those that came are listed and charged", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway, { n: 3 });
    gateway.simulator.control.script({
      on: "picture",
      match: { image: 1 },
      do: { kind: "serve", padToBytes: 5_000_000 },
    });
    const small = startGateway({ beside: gateway, vars: { ARCHIVE_MAX_BYTES: 4_000_000 } });
    const done = await finishTask(small, key, id);
    expect(done).toMatchObject({
      status: "completed",
      usage: { images: 2, credits_charged: 60, credits_held: 0 },
    });
    expect(done.images).toHaveLength(2);
  });

  it("are attempted until their links expire, and then the task fails with nothing charged", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    gateway.simulator.control.script({
      on: "picture",
      do: { kind: "error", status: 404, code: "not_found" },
    });
    gateway.advance(15_000);
    for (let hour = 0; hour < 24; hour++) {
      await gateway.tick();
      expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing" });
      gateway.advance(3_590_000);
    }
    const failed = await finishTask(gateway, key, id, 20);
    expect(failed).toMatchObject({ status: "failed", error: { code: "storage_failed" } });
    expect(failed.usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
  });

  it("do not keep those of other tasks waiting", async () => {
    const gateway = startGateway();
    const bad = await readyTask(gateway);
    const good = await readyTask(gateway);
    gateway.simulator.control.script({
      on: "picture",
      match: { task: gateway.simulator.control.tasks()[0]?.id ?? "" },
      do: { kind: "error", status: 500, code: "internal_error" },
    });
    gateway.advance(15_000);
    await gateway.tick();
    expect(await readTask(gateway, bad.key, bad.id)).toMatchObject({ status: "processing" });
    expect(await readTask(gateway, good.key, good.id)).toMatchObject({ status: "completed" });
  });
});

describe("links that are dead", () => {
  it.each([401, 403, 404, 410])("are replaced by those that the upstream issues now: %i", async (status) => {
    const gateway = startGateway();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", links: "fresh" } });
    gateway.simulator.control.script({ on: "picture", do: { kind: "stale_link", status } });
    const { key, id } = await readyTask(gateway, { n: 2 });
    gateway.advance(15_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed", usage: { images: 2 } });
    const reads = gateway.simulator.control.calls().filter((call) => call.path.startsWith("/v1/tasks/"));
    expect(reads).toHaveLength(2);
  });

  it("keep those pictures that were stored before", async () => {
    const gateway = startGateway();
    gateway.simulator.control.script({ on: "submit", do: { kind: "plan", links: "fresh" } });
    gateway.simulator.control.script({ on: "picture", match: { image: 1 }, do: { kind: "stale_link" } });
    const { key, id } = await readyTask(gateway, { n: 3 });
    gateway.advance(15_000);
    const before = (await env.IMAGES.list()).objects.length;
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed", usage: { images: 3 } });
    expect((await env.IMAGES.list()).objects.length - before).toBe(3);
  });
});

/** Runs a tick whose store lane never begins. @returns until when it has claimed what it found done. */
async function findDone(gateway: TestGateway): Promise<number> {
  const idle = gateway.invocation();
  let leaseUntilMs = 0;
  const store = async (_untilMs: number, lease = 0) => {
    leaseUntilMs = lease;
  };
  idle.lanes = createLaneStarter({ ...idleLanes, store }, idle.log);
  await runTick(idle);
  return leaseUntilMs;
}

describe("what a tick finds done", () => {
  const rows = async () =>
    (await env.DB.prepare("SELECT state, attempts, due_ms AS dueMs FROM tasks").all()).results;

  it("is its lane's, which stores each task once", async () => {
    const gateway = startGateway();
    for (let i = 0; i < 5; i++) await readyTask(gateway);
    gateway.advance(15_000);
    const leaseUntilMs = await findDone(gateway);
    expect(await rows()).toEqual(Array(5).fill({ state: "storing", attempts: 1, dueMs: leaseUntilMs }));
    const puts: string[] = [];
    const around: Around = (name, call) => {
      if (name.startsWith("R2")) puts.push(name);
      return call();
    };
    const invocation = startGateway({ beside: gateway, around }).invocation();
    // Another tick's lane, and one that got none.
    await storeLane(invocation, 0, leaseUntilMs - 1);
    await storeLane(invocation, 0);
    expect(puts).toEqual([]);
    await storeLane(invocation, 0, leaseUntilMs);
    expect(puts).toEqual(Array(5).fill("R2 put"));
  });

  it("is free for any lane when its lane has no time left for it", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    gateway.advance(15_000);
    const leaseUntilMs = await findDone(gateway);
    await storeLane(gateway.invocation(), gateway.now(), leaseUntilMs);
    expect(await rows()).toEqual([{ state: "storing", attempts: 0, dueMs: gateway.now() }]);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });

  it("is left to its lease where it cannot be read, and the others of that tick are stored", async () => {
    const gateway = startGateway();
    const made = [await readyTask(gateway), await readyTask(gateway), await readyTask(gateway)];
    gateway.advance(15_000);
    const leaseUntilMs = await findDone(gateway);
    const broken = made.shift()?.id ?? "";
    await setColumn("tasks", "metadata", garbage, broken);
    await storeLane(gateway.invocation(), 0, leaseUntilMs);
    for (const { key, id } of made) {
      expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
    }
    expect(unreadable(gateway)).toContain(`tasks metadata ${broken}`);
    expect(await rows()).toContainEqual({ state: "storing", attempts: 1, dueMs: leaseUntilMs });
  });

  it("is free for any lane when its lane has died and the lease is over", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway);
    gateway.advance(15_000);
    const leaseUntilMs = await findDone(gateway);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing" });
    gateway.advance(leaseUntilMs - gateway.now());
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });
});

describe("a picture whose host hangs", () => {
  it("holds up no other task's in the same lane", async () => {
    const gateway = startGateway();
    const made: { key: string; id: string }[] = [];
    for (let i = 0; i < 4; i++) made.push(await readyTask(gateway));
    gateway.advance(15_000);
    const leaseUntilMs = await findDone(gateway);

    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let asked = 0;
    const around: Around = async (name, call) => {
      if (name === "fetch GET" && ++asked === 1) await released;
      return call();
    };
    const lane = storeLane(startGateway({ beside: gateway, around }).invocation(), 0, leaseUntilMs);
    const completed = async () => {
      const tasks = await Promise.all(made.map(({ key, id }) => readTask(gateway, key, id)));
      return tasks.filter((task) => task.status === "completed").length;
    };
    await vi.waitUntil(async () => (await completed()) === 3, { timeout: 20_000 });
    release();
    await lane;
    expect(await completed()).toBe(4);
  });
});

describe("a bucket that fails", () => {
  it.each(["R2 put", "R2 head"])("costs the picture its attempt and not the lane: %s", async (what) => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway, { n: 2 });
    const broken = new Set([what]);
    const around: Around = async (name, call) => {
      if (broken.has(name)) throw new Error("500 internal error");
      return call();
    };
    const shaken = startGateway({ beside: gateway, around });
    gateway.simulator.control.script({ on: "picture", times: 1, do: { kind: "reset" } });
    gateway.advance(15_000);
    await shaken.tick();
    gateway.advance(15_000);
    await shaken.tick();
    expect(shaken.logs.filter((line) => line.event === "lane_failed")).toEqual([]);
    broken.clear();
    expect(await finishTask(shaken, key, id)).toMatchObject({ status: "completed", usage: { images: 2 } });
  });
});

describe("a slot that is behind", () => {
  it("claims several at once, and gives back what it has not begun in 20 s", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    for (let i = 0; i < 6; i++) await submitTask(gateway, key, { seed: 7 });
    gateway.advance(15_000);
    const invocation = gateway.invocation();
    invocation.lanes = createLaneStarter(idleLanes, invocation.log);
    await runTick(invocation);
    // Longer than that tick's own claim of what it found.
    gateway.advance(360_000);
    let fetched = 0;
    const around: Around = (name, call) => {
      // Each picture takes fifteen seconds.
      if (name === "fetch GET" && fetched++ >= 0) gateway.advance(15_000);
      return call();
    };
    const slow = startGateway({ beside: gateway, around });
    expect(await storeNext(slow.invocation(), "any", 6, { leaseUntilMs: 0, begun: new Set() })).toBe(true);
    expect(fetched).toBe(2);
    const { results } = await env.DB.prepare(
      "SELECT count(*) AS n FROM tasks WHERE state = 'storing' AND due_ms <= ?1",
    )
      .bind(gateway.now())
      .all();
    expect(results).toEqual([{ n: 4 }]);
  });
});

describe("two storers of one task", () => {
  it("leave one object per picture and end the task once", async () => {
    const gateway = startGateway();
    const { key, id } = await readyTask(gateway, { n: 2 });
    gateway.advance(15_000);
    const lazy = startGateway({ beside: gateway });
    const invocation = lazy.invocation();
    invocation.lanes = createLaneStarter(idleLanes, invocation.log);
    await runTick(invocation);
    // What is beside the tick ends with it.
    await lazy.fetch("/healthz");
    const claim = async () => {
      gateway.advance(600_000);
      const task = await claimStore(env.DB, gateway.now(), gateway.now() + 120_000, "any");
      if (!task) throw new Error("not claimed");
      return task;
    };
    const late = await claim();
    const current = await claim();
    const objectsBefore = (await env.IMAGES.list()).objects.length;
    await Promise.all([storeImages(gateway.invocation(), late), storeImages(gateway.invocation(), current)]);
    await storeImages(gateway.invocation(), late);
    const done = await readTask(gateway, key, id);
    expect(done).toMatchObject({ status: "completed", usage: { images: 2, credits_charged: 60 } });
    expect((await env.IMAGES.list()).objects.length - objectsBefore).toBe(2);
    const { results } = await env.DB.prepare("SELECT version FROM tasks WHERE id = ?").bind(id).all();
    // Written, submitted, ready, ended.
    expect(results[0]?.version).toBe(4);

    // And one that comes with other bytes, from a link that now leads elsewhere, changes no picture either.
    gateway.simulator.control.script({ on: "picture", do: { kind: "serve", width: 640, height: 480 } });
    await storeImages(gateway.invocation(), late);
    const response = await gateway.fetch(new URL(done.results[0] ?? "").pathname);
    expect((await response.arrayBuffer()).byteLength).toBe(done.images[0]?.bytes);
  });
});

describe("the memory of pictures", () => {
  const mebibyte = 1_048_576;
  const start = async () => {
    const byteMemory: ByteMemory = new Set();
    const seen: number[] = [];
    const gateway = startGateway({
      byteMemory,
      around: (name, call) => {
        if (name === "R2 put") seen.push(usedBytes(byteMemory));
        return call();
      },
    });
    const ready = await readyTask(gateway);
    seen.length = 0;
    return { gateway, byteMemory, seen, ...ready };
  };
  const large = { kind: "serve", padToBytes: 9 * mebibyte } as const;

  it("is counted until they are put, also of one that does not say how large it is", async () => {
    const { gateway, byteMemory, seen, key, id } = await start();
    gateway.simulator.control.script({ on: "picture", do: { ...large, length: "absent" } });
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(seen).toEqual([gateway.config.ARCHIVE_MAX_BYTES]);
    expect(byteMemory).toEqual(new Set());
  });

  it("is free again after one that is no picture, is too large, or breaks off", async () => {
    const { gateway, byteMemory, key, id } = await start();
    const wrong = [
      { kind: "reply", status: 200, html: "<h1>soon</h1>" },
      { kind: "serve", keepShare: 0.5, length: "whole" },
      { kind: "serve", padToBytes: 40 * mebibyte, length: "absent" },
    ] satisfies PictureFault[];
    for (const fault of wrong) {
      gateway.simulator.control.script({ on: "picture", times: 1, do: fault });
      gateway.advance(15_000);
      await gateway.tick();
      expect(byteMemory).toEqual(new Set());
    }
    const problems = gateway.logs.filter(({ event }) => event === "picture_not_stored");
    expect(problems.at(-1)).toMatchObject({ problem: "too large", final: true });
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "failed" });
  });

  it("is there for them whatever callers' bodies take, and their turns are not those of bodies", async () => {
    const { gateway, byteMemory, key, id } = await start();
    const body = byteShare(gateway.invocation(), "body");
    expect(await body.take(56 * mebibyte)).toBe(true);
    gateway.simulator.control.script({ on: "picture", do: large });
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(usedBytes(byteMemory)).toBe(56 * mebibyte);
  });

  it("is one large picture's at a time: one that gets no turn is left for a later attempt", async () => {
    const { gateway, key, id } = await start();
    const other = byteShare(gateway.invocation(), "picture");
    expect(await other.take(9 * mebibyte)).toBe(true);
    gateway.simulator.control.script({ on: "picture", do: large });
    gateway.advance(15_000);
    await gateway.tick();
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "processing" });
    expect(gateway.logs).toContainEqual(
      expect.objectContaining({ event: "picture_not_stored", problem: "no room", final: false }),
    );
    other.end();
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
  });
});

describe("an object under a picture's id whose metadata cannot be read", () => {
  it.each([
    ["none", {}],
    ["a width that is no number", { width: "unreadable contents", height: "512", sha256: "00" }],
  ])("is replaced by the picture, which is fetched again, and logged: %s", async (_what, customMetadata) => {
    const gateway = startGateway({ lanes: idleLanes });
    const { key, id } = await readyTask(gateway);
    gateway.advance(15_000);
    await gateway.tick();
    const { images } = (await env.DB.prepare("SELECT images FROM tasks WHERE id = ?1")
      .bind(id)
      .first<{ images: string }>()) ?? { images: "[]" };
    const [image] = JSON.parse(images) as { id: string }[];
    const objectKey = imageKey(image?.id ?? "");
    await env.IMAGES.put(objectKey, new Uint8Array(100), { customMetadata });
    await env.DB.prepare("UPDATE tasks SET attempts = 3, due_ms = 0 WHERE id = ?1").bind(id).run();
    const storer = startGateway({ beside: gateway });
    const done = await finishTask(storer, key, id);
    expect(done).toMatchObject({ status: "completed", images: [{ width: 512, height: 512 }] });
    expect((await env.IMAGES.head(objectKey))?.customMetadata).toMatchObject({ width: "512", height: "512" });
    const logged = storer.logs.filter(({ event }) => event === "stored_data_unreadable");
    expect(logged).toContainEqual(expect.objectContaining({ table: "R2", id: objectKey }));
    expect(JSON.stringify(storer.logs)).not.toContain("unreadable contents");
  });
});
