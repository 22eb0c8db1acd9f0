/** Bodies that come too slowly, or too large for what the isolate has left: a clear refusal, and no memory kept. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  byteShare,
  largeBytes,
  shareLifeMs,
  type Taken,
  usedBytes,
} from "../../../src/platform/byte-memory.ts";
import { type Bytes, draw, left, padded } from "../../helpers/files.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { editTexts, openAiEdits, sendEdit, writeForm } from "../../helpers/openai-edits.ts";
import { expectError, submit } from "../../helpers/routes.ts";

const mebibyte = 1_048_576;
const gateway = startGateway();
const { byteMemory: memory } = gateway.invocation();
const largeOnes = () => [...memory].filter(({ bytes }) => bytes > largeBytes).length;
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  tenant = await gateway.makeTenant({ limits: { requests_per_minute: null, file_bytes: null } });
});
/** A test that fails leaves no open body to the next one. */
const opened: { end(): Promise<void>; reply: Promise<Response> }[] = [];
afterEach(async () => {
  for (const { end, reply } of opened.splice(0)) await end().then(() => reply.catch(() => undefined));
  expect(memory).toEqual(new Set());
});

/** Opens a request whose body the test sends. A pipe is what a connection's body is. */
function open(path: string, headers: Record<string, string>, at = gateway) {
  const { readable, writable } = new IdentityTransformStream();
  const writer = writable.getWriter();
  const reply = at.fetch(path, {
    method: "POST",
    headers: { ...bearer(tenant.key), ...headers },
    body: readable,
  });
  const body = {
    reply,
    /** Ends when the bytes were taken, or will not be. */
    send: (bytes: Bytes) => writer.write(bytes).catch(() => undefined),
    end: () => writer.close().catch(() => undefined),
    /** The connection breaks. */
    lose: () => writer.abort(new Error("connection lost")).catch(() => undefined),
  };
  opened.push(body);
  return body;
}
const form = "multipart/form-data; boundary=x";
const openEdit = (declared = 40 * mebibyte) =>
  open(openAiEdits, { "content-type": form, "content-length": String(declared) });
const openUpload = (headers: Record<string, string> = {}) =>
  open("/v1/files", { "content-type": "image/png", ...headers });

describe("a body's memory", () => {
  it("follows what has come, not what is declared: eight edits of 40 MiB and five bytes", async () => {
    const edits = Array.from({ length: 8 }, () => openEdit());
    for (const { send } of edits) await send(new Uint8Array(5));
    await expect.poll(() => usedBytes(memory)).toBeGreaterThan(0);
    expect(usedBytes(memory)).toBeLessThan(300_000);
    const ninth = openEdit();
    await ninth.send(new Uint8Array(9 * mebibyte));
    await expect.poll(largeOnes).toBe(1);
    expect(usedBytes(memory)).toBeLessThan(64_000_000);
  });

  it("is given to one large body at a time: another gets 503 with nothing charged", async () => {
    const first = openEdit();
    await first.send(new Uint8Array(9 * mebibyte));
    await expect.poll(largeOnes).toBe(1);
    const second = openUpload();
    const sent = second.send(new Uint8Array(9 * mebibyte)).then(second.end);
    const refused = await second.reply;
    expect(refused.headers.get("retry-after")).toBe("5");
    expect(await expectError(refused, "unavailable")).toMatch(/large bodies/);
    await sent;
    // The place that was held for it is free again.
    expect(await left(gateway, tenant.id)).toMatchObject({ files: 200 });
    await first.end();
    await expectError(await first.reply, "invalid_request", "image");
    expect(largeOnes()).toBe(0);
  });

  it("goes to the next large one once the first is done, while that one waits", async () => {
    const first = openEdit();
    await first.send(new Uint8Array(9 * mebibyte));
    await expect.poll(largeOnes).toBe(1);
    let asked = 0;
    const sleep = async () => {
      if (++asked === 3) await first.end().then(() => first.reply);
    };
    const share = byteShare({ ...gateway.invocation(), sleep }, "body");
    expect(await share.take(9 * mebibyte)).toBe(true);
    expect(asked).toBe(3);
    share.end();
  });

  it("is all counted: many of a few megabytes each fill it", async () => {
    // Each has a buffer of five, an eighth of what it may become; and a tenant has three of those.
    for (let count = 0; count < 10; count++) {
      if (count % 3 === 0) tenant = await gateway.makeTenant();
      await openEdit().send(new Uint8Array(4 * mebibyte));
    }
    await expect.poll(() => usedBytes(memory)).toBe(10 * 5 * mebibyte);
    tenant = await gateway.makeTenant();
    const one = openEdit();
    await one.send(new Uint8Array(4 * mebibyte)).then(one.end);
    await expectError(await one.reply, "unavailable");
    expect(usedBytes(memory)).toBe(10 * 5 * mebibyte);
    expect((await submit(gateway, tenant.key)).status).toBe(200);
  });

  it("has room for others, however many bodies one tenant sends", async () => {
    for (let count = 0; count < 3; count++) await openEdit().send(new Uint8Array(4 * mebibyte));
    await expect.poll(() => usedBytes(memory)).toBe(15 * mebibyte);
    const more = openEdit();
    await more.send(new Uint8Array(4 * mebibyte)).then(more.end);
    await expectError(await more.reply, "unavailable");
    tenant = await gateway.makeTenant();
    await openEdit().send(new Uint8Array(4 * mebibyte));
    await expect.poll(() => usedBytes(memory)).toBe(20 * mebibyte);
  });

  it.each(["lose", "end"] as const)("is free again once the connection is over: %s", async (how) => {
    const edit = openEdit();
    await edit.send(new Uint8Array(9 * mebibyte));
    await expect.poll(largeOnes).toBe(1);
    await edit[how]();
    await expectError(await edit.reply, "invalid_request", how === "end" ? "image" : null);
    expect(memory).toEqual(new Set());
  });

  it("is free again a minute after an invocation has ended without another step", async () => {
    expect(await byteShare(gateway.invocation(), "body").take(56 * mebibyte)).toBe(true);
    const next = byteShare(gateway.invocation(), "body");
    gateway.advance(shareLifeMs - 6_000);
    expect(await next.take(9 * mebibyte)).toBe(false);
    gateway.advance(1_000);
    expect(await next.take(9 * mebibyte)).toBe(true);
    expect(usedBytes(memory)).toBe(9 * mebibyte);
    next.end();
  });

  it("stays counted as long as its body comes", async () => {
    const edit = openEdit();
    await edit.send(new Uint8Array(9 * mebibyte));
    for (let passedMs = 0; passedMs < 2 * shareLifeMs; passedMs += 8_000) {
      gateway.advance(8_000);
      await edit.send(new Uint8Array(8 * 8_192));
    }
    const next = byteShare(gateway.invocation(), "body");
    expect(await next.take(9 * mebibyte)).toBe(false);
    next.end();
  });

  it("is enough for an edit of the largest size, and never more than 64 MB on the way", async () => {
    const image = padded(await draw("png"), 19 * mebibyte);
    const edit = await writeForm([["image", image], ["image", image], ...editTexts]);
    let most = 0;
    class Measured extends Set<Taken> {
      override add(one: Taken) {
        let { bytes } = one;
        const set = (now: number) => {
          bytes = now;
          most = Math.max(most, bytes);
        };
        Object.defineProperty(one, "bytes", { configurable: true, get: () => bytes, set });
        return super.add(one);
      }
    }
    const measured = new Measured();
    const roomy = startGateway({ beside: gateway, byteMemory: measured });
    const reply = await sendEdit(roomy, tenant.key, edit);
    expect({ status: reply.status, text: (await reply.text()).slice(0, 300) }).toMatchObject({ status: 200 });
    expect(most).toBeGreaterThan(38 * mebibyte);
    expect(most).toBeLessThanOrEqual(64_000_000);
    expect(measured.size).toBe(0);
  });
});

describe("a body that drips", () => {
  // Time is what the test says: its timers, and the clock.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("is given up when it has sent too little after ten seconds", async () => {
    const upload = openUpload();
    await upload.send(new Uint8Array(1_000));
    gateway.advance(9_000);
    await upload.send(new Uint8Array(1_000));
    gateway.advance(2_000);
    await upload.send(new Uint8Array(1_000));
    expect(await expectError(await upload.reply, "invalid_request")).toMatch(/8192 bytes a second/);
    expect(await left(gateway, tenant.id)).toMatchObject({ files: 200 });
  });

  it("is given up ten seconds after it sent much, whatever it sends from then on", async () => {
    const upload = openUpload();
    await upload.send(new Uint8Array(9 * mebibyte));
    for (let count = 0; count < 3; count++) {
      gateway.advance(4_000);
      await upload.send(new Uint8Array(1));
    }
    expect(await expectError(await upload.reply, "invalid_request")).toMatch(/8192 bytes a second/);
    expect(largeOnes()).toBe(0);
  });

  it("is taken at the least pace, for minutes", async () => {
    const upload = openUpload();
    for (let second = 0; second < 60; second += 5) {
      await upload.send(new Uint8Array(5 * 8_192));
      gateway.advance(5_000);
    }
    await upload.end();
    expect(await expectError(await upload.reply, "invalid_request", "file")).toMatch(/must be a PNG/);
  });

  it("is given up after five minutes, whatever its pace", async () => {
    const upload = openUpload();
    for (let second = 0; second < 300; second += 5) {
      await upload.send(new Uint8Array(5 * 16_384));
      gateway.advance(5_000);
    }
    await upload.send(new Uint8Array(1));
    await vi.advanceTimersByTimeAsync(1);
    expect(await expectError(await upload.reply, "invalid_request")).toMatch(/300 s at the most/);
  });

  it("and then stalls is given up after ten seconds of that", async () => {
    const upload = openUpload();
    await upload.send(new Uint8Array(100_000));
    await vi.advanceTimersByTimeAsync(9_999);
    expect(await Promise.race([upload.reply, "waits"])).toBe("waits");
    await vi.advanceTimersByTimeAsync(1);
    expect(await expectError(await upload.reply, "invalid_request")).toMatch(/no pause of 10 s/);
  });
});
