/** The platform's limits, as tests hold them: each goes off at its figure, and not before. */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { startGateway } from "./gateway.ts";
import { type EventKind, PlatformLimitExceeded, platformEvent, takeExceeded } from "./platform-event.ts";
import { strictBucket, strictDatabase, strictQueue } from "./strict-bindings.ts";

let nowMs = 0;
const begin = (kind: EventKind = "message") => platformEvent(kind, () => nowMs);

/** What a call went over, and nothing else did. */
async function exceededBy(call: () => unknown): Promise<string[]> {
  await expect((async () => call())()).rejects.toThrow(PlatformLimitExceeded);
  return takeExceeded();
}

describe("connections", () => {
  it("are six; a seventh begins when one of them is answered, and each event has its own", async () => {
    const event = begin();
    const begun: number[] = [];
    const ends = Array.from({ length: 8 }, () => Promise.withResolvers<void>());
    const calls = ends.map(({ promise }, index) =>
      event.connect("fetch", () => {
        begun.push(index);
        return promise;
      }),
    );
    expect(await begin().connect("fetch", async () => "answered")).toBe("answered");
    expect(begun).toEqual([0, 1, 2, 3, 4, 5]);
    ends[3]?.resolve();
    await calls[3];
    await begin().connect("fetch", async () => undefined);
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6]);
    for (const { resolve } of ends) resolve();
    await Promise.all(calls);
    expect(begun).toHaveLength(8);
    expect(event.used).toMatchObject({ connections: 8, subrequests: 8 });
  });

  it("are not waited for beyond the caller's time, and who has left takes none", async () => {
    const event = begin();
    const end = Promise.withResolvers<void>();
    const calls = Array.from({ length: 6 }, () => event.connect("fetch", () => end.promise));
    const stop = new AbortController();
    const late = event.connect("fetch", () => Promise.reject(new Error("it began")), stop.signal);
    stop.abort(new Error("given up"));
    await expect(late).rejects.toThrow("given up");
    end.resolve();
    await Promise.all(calls);
    expect(await event.connect("fetch", async () => "answered")).toBe("answered");
  });
});

describe("going over is an error with the figure", () => {
  it("for statements, each one of a batch", async () => {
    const db = strictDatabase(env.DB, begin());
    const one = db.prepare("SELECT 1");
    await db.batch(Array.from({ length: 999 }, () => one));
    await one.all();
    expect(await exceededBy(() => one.all())).toEqual(["message: D1: SELECT 1: queries 1001 > 1000"]);
  });

  it("for parameters and long values", async () => {
    const db = strictDatabase(env.DB, begin());
    const many = Array.from({ length: 101 }, () => 0);
    expect(await exceededBy(() => db.prepare("SELECT 1").bind(...many))).toHaveLength(1);
    expect(await exceededBy(() => db.prepare("SELECT ?1").bind("é".repeat(1_000_001)))).toHaveLength(1);
    expect(await exceededBy(() => db.prepare(`SELECT '${"x".repeat(100_000)}'`))).toHaveLength(1);
    await db.prepare("SELECT ?1").bind("é".repeat(1_000_000)).run();
  });

  it("for the Queue's messages and R2's deletes", async () => {
    const queue = strictQueue({ sendBatch: async () => undefined } as unknown as Queue<string>, begin());
    const messages = (count: number, bytes: number) =>
      Array.from({ length: count }, () => ({ body: "x".repeat(bytes - 2) }));
    await queue.sendBatch(messages(100, 2_560));
    expect(await exceededBy(() => queue.sendBatch(messages(101, 3)))).toHaveLength(1);
    expect(await exceededBy(() => queue.sendBatch(messages(100, 2_561)))).toHaveLength(1);
    expect(await exceededBy(() => queue.sendBatch(messages(1, 128_001)))).toHaveLength(1);
    const keys = Array.from({ length: 1_001 }, (_, i) => `${i}`);
    expect(await exceededBy(() => strictBucket(env.IMAGES, begin()).delete(keys))).toHaveLength(1);
  });

  it("for work half a minute after a reply, and a quarter of an hour after a tick began", async () => {
    const request = begin("request");
    nowMs += 100_000;
    request.count("subrequests", 1, "D1");
    request.replied();
    nowMs += 30_000;
    request.count("subrequests", 1, "D1");
    nowMs += 1;
    expect(await exceededBy(() => request.count("subrequests", 1, "D1"))).toHaveLength(1);
    const tick = begin("tick");
    nowMs += 900_001;
    expect(await exceededBy(() => tick.connect("fetch", async () => undefined))).toHaveLength(1);
  });
});

it("a gateway's requests, ticks and messages are events, and what a tick calls beside it shares its connections", async () => {
  let most = 0;
  let underWay = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const counted = async () => {
    most = Math.max(most, ++underWay);
    await promise;
    underWay--;
    return new Response();
  };
  const gateway = startGateway({ hosts: { "https://slow.example": counted } });
  const fetchAll = ({ fetch }: { fetch(url: string, init: RequestInit): Promise<Response> }) =>
    Array.from({ length: 10 }, () => fetch("https://slow.example/", {}));
  const calls = [...fetchAll(gateway.invocation()), ...fetchAll(gateway.invocation())];
  await new Promise((goOn) => setTimeout(goOn));
  resolve();
  await Promise.all(calls);
  expect(most).toBe(12);
});
