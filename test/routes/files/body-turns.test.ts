/** How bodies share an isolate's memory: who drips gives way to others, and one holder's bodies leave room for the rest. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type ByteHolder,
  type ByteMemory,
  byteShare,
  largeBytes,
  usedBytes,
} from "../../../src/platform/byte-memory.ts";
import { readBytes } from "../../../src/platform/read-bytes.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { makeBrowserKey } from "../../helpers/page-visitor.ts";
import { expectError, generations, submit } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const mebibyte = 1_048_576;
const servers = (tenantId: string): ByteHolder => ({ tenantId, kind: "servers" });
const visitors = (tenantId: string): ByteHolder => ({ tenantId, kind: "visitors" });

describe("the turn of large bodies", () => {
  // Clock and timers are one, and move when the test says.
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  const much = new Uint8Array(9 * mebibyte);
  const bounds = {
    ...{ keptBytes: 20 * mebibyte, readBytes: 40 * mebibyte, declared: null },
    ...{ maxMs: 300_000, silenceMs: 10_000 },
  };
  const after = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  const isolateOf = (byteMemory: ByteMemory) => ({ byteMemory, now: Date.now, sleep: after });

  /** Reads a body of nine megabytes at once and then, for as long as it is read, so many bytes at such a pause. */
  function drip(byteMemory: ByteMemory, holder: ByteHolder, bytes: number, pauseMs: number) {
    const chunk = new Uint8Array(bytes);
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        if (sent++ > 0) await after(pauseMs);
        controller.enqueue(sent === 1 ? much : chunk);
      },
    });
    const share = byteShare(isolateOf(byteMemory), "body", holder);
    const begunMs = Date.now();
    return readBytes(body, bounds, Date.now, share)
      .then(({ kind }) => ({ kind, ms: Date.now() - begunMs }))
      .finally(share.end);
  }
  /** One that sends nine megabytes, and ends. */
  async function sendAll(byteMemory: ByteMemory, holder: ByteHolder) {
    const share = byteShare(isolateOf(byteMemory), "body", holder);
    const { kind } = await readBytes(new Blob([much]).stream(), bounds, Date.now, share).finally(share.end);
    return kind;
  }
  const largeOnes = (memory: ByteMemory) => [...memory].filter(({ bytes }) => bytes > largeBytes).length;

  it("ends within two windows for a body that sent much and then drips", async () => {
    const memory: ByteMemory = new Set();
    const dripped = drip(memory, servers("a"), 1, 4_000);
    await vi.advanceTimersByTimeAsync(1);
    expect(largeOnes(memory)).toBe(1);
    await vi.advanceTimersByTimeAsync(20_000);
    expect(memory.size).toBe(0);
    expect(await dripped).toMatchObject({ kind: "slow" });
  });

  it("stays with a body that keeps its pace while none waits, for as long as a body may take", async () => {
    const memory: ByteMemory = new Set();
    const dripped = drip(memory, servers("a"), 2 * 8_192, 2_000);
    await vi.advanceTimersByTimeAsync(299_000);
    expect(largeOnes(memory)).toBe(1);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(await dripped).toEqual({ kind: "slow", ms: 300_000 });
  });

  it("passes to another holder, who waits, from a body that drips", async () => {
    const memory: ByteMemory = new Set();
    const dripped = drip(memory, servers("a"), 1, 900);
    await vi.advanceTimersByTimeAsync(1);
    const other = sendAll(memory, servers("b"));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await dripped).toMatchObject({ kind: "slow" });
    expect(await other).toBe("read");
  });

  it("is not taken from a body that comes at half a megabit a second, or for its own holder", async () => {
    const memory: ByteMemory = new Set();
    const steady = drip(memory, servers("a"), 62_500, 1_000);
    await vi.advanceTimersByTimeAsync(1);
    for (let count = 0; count < 10; count++) {
      const other = sendAll(memory, servers("b"));
      await vi.advanceTimersByTimeAsync(6_000);
      expect(await other).toBe("no_room");
    }
    expect(largeOnes(memory)).toBe(1);
    await vi.advanceTimersByTimeAsync(300_000);
    expect(await steady).toMatchObject({ kind: "slow" });

    const dripped = drip(memory, servers("a"), 1, 4_000);
    await vi.advanceTimersByTimeAsync(1);
    const own = sendAll(memory, servers("a"));
    await vi.advanceTimersByTimeAsync(6_000);
    expect(await own).toBe("no_room");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(await dripped).toMatchObject({ kind: "slow" });
  });

  it("goes to the holder with fewer bodies: nine uploads by one page leave another tenant's its turn", async () => {
    const memory: ByteMemory = new Set();
    const nine = Array.from({ length: 9 }, () => drip(memory, visitors("a"), 1, 4_000));
    await vi.advanceTimersByTimeAsync(1);
    const other = sendAll(memory, servers("b"));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await other).toBe("read");
    await vi.advanceTimersByTimeAsync(60_000);
    for (const { kind } of await Promise.all(nine)) expect(kind).not.toBe("read");
    expect(memory.size).toBe(0);
  });

  it("costs a body that waits for it none of its patience", async () => {
    const memory: ByteMemory = new Set();
    const turn = byteShare(isolateOf(memory), "body", servers("a"));
    expect(await turn.take(9 * mebibyte)).toBe(true);
    const body = new IdentityTransformStream();
    const writer = body.writable.getWriter();
    const share = byteShare(isolateOf(memory), "body", servers("b"));
    const read = readBytes(body.readable, bounds, Date.now, share).finally(share.end);
    const sent = writer.write(much);
    await vi.advanceTimersByTimeAsync(4_500);
    turn.end();
    await vi.advanceTimersByTimeAsync(100);
    await sent;
    await vi.advanceTimersByTimeAsync(9_500);
    await writer.close();
    expect(await read).toMatchObject({ kind: "read", size: much.length });
  });

  it("is not kept for one whose invocation ended while it waited", async () => {
    const memory: ByteMemory = new Set();
    const turn = byteShare(isolateOf(memory), "body", servers("a"));
    expect(await turn.take(9 * mebibyte)).toBe(true);
    const never = () => new Promise<void>(() => undefined);
    void byteShare({ ...isolateOf(memory), sleep: never }, "body", servers("b")).take(9 * mebibyte);
    await vi.advanceTimersByTimeAsync(1);
    const next = byteShare(isolateOf(memory), "body", servers("c")).take(9 * mebibyte);
    turn.end();
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await Promise.race([next, "waits"])).toBe(true);
  });
});

describe("a holder's share", () => {
  // Those who wait for room wait side by side, so that nothing runs out meanwhile.
  const gateway = startGateway({ time: virtualTime() });
  const { byteMemory: memory } = gateway.invocation();
  const take = (bytes: number, holder: ByteHolder | null) => {
    const share = byteShare(gateway.invocation(), "body", holder);
    return share.take(bytes).then((isTaken) => ({ isTaken, share }));
  };
  afterEach(() => memory.clear());

  it("is 12 MiB for a page's visitors, beside the 20 MiB of the tenant's servers", async () => {
    for (const [holder, count] of [
      [visitors("a"), 3],
      [servers("a"), 5],
    ] as const) {
      for (let i = 0; i < count; i++) expect((await take(4 * mebibyte, holder)).isTaken).toBe(true);
      expect((await take(4 * mebibyte, holder)).isTaken).toBe(false);
    }
    expect((await take(4 * mebibyte, servers("b"))).isTaken).toBe(true);
  });

  it("of short bodies is 1 MiB where all else is full, and others' find room", async () => {
    const filled = await take(64_000_000 - 5 * mebibyte, null);
    expect(filled.isTaken).toBe(true);
    for (let count = 0; count < 16; count++) expect((await take(65_536, visitors("a"))).isTaken).toBe(true);
    filled.share.renew();
    expect((await take(65_536, visitors("a"))).isTaken).toBe(false);
    expect((await take(65_536, servers("a"))).isTaken).toBe(true);
    expect((await take(65_536, servers("b"))).isTaken).toBe(true);
    expect((await take(131_073, servers("b"))).isTaken).toBe(false);
  });

  it("leaves room for others' submits, and the tenant's own, beside 200 bodies of JSON that drip", async () => {
    const tenant = await gateway.makeTenant();
    const other = await gateway.makeTenant();
    const { key } = await makeBrowserKey(gateway, tenant.id);
    // Two hundred buffers of 16 KiB would leave nothing.
    const filled = {
      use: "body" as const,
      holder: null,
      bytes: 64_000_000 - 200 * 16_384,
      untilMs: Infinity,
    };
    memory.add(filled);
    const writers: WritableStreamDefaultWriter[] = [];
    const dripping = Array.from({ length: 200 }, () => {
      const { readable, writable } = new IdentityTransformStream();
      const writer = writable.getWriter();
      writers.push(writer);
      writer.write(new Uint8Array(10_000)).catch(() => undefined);
      const headers = {
        ...bearer(key),
        ...{ origin: "https://shop.example", "content-type": "application/json" },
      };
      return gateway.fetch(generations, { method: "POST", headers, body: readable });
    });
    const first = await Promise.race(dripping);
    await expectError(first, "unavailable");
    expect((await submit(gateway, other.key)).status).toBe(200);
    expect((await submit(gateway, tenant.key)).status).toBe(200);
    for (const writer of writers) await writer.abort(new Error("gone")).catch(() => undefined);
    await Promise.all(dripping);
    memory.delete(filled);
    expect(usedBytes(memory)).toBe(0);
  });
});
