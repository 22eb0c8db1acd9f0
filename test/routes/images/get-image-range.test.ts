/** A part of a stored picture: one range of bytes, and what becomes of every other wish. */
import { beforeAll, describe, expect, it } from "vitest";
import { startGateway } from "../../helpers/gateway.ts";
import {
  expectError,
  type Format,
  recordBindings,
  type StoredPicture,
  storePicture,
} from "../../helpers/routes.ts";

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
const formats: Format[] = ["png", "jpeg", "webp"];
const pictures = new Map<Format, StoredPicture>();
beforeAll(async () => {
  const { key } = await gateway.makeTenant();
  for (const format of formats) pictures.set(format, await storePicture(gateway, key, format));
});

function stored(format: Format): StoredPicture {
  const picture = pictures.get(format);
  if (!picture) throw new Error(`no ${format} is stored`);
  return picture;
}

const ask = (format: Format, range: string, headers: Record<string, string> = {}, method = "GET") =>
  gateway.fetch(stored(format).path, { method, headers: { range, ...headers } });

/** What a range means of a picture of `size` bytes: the first byte, and the one after the last. */
const parts: [string, (size: number) => [string, number, number]][] = [
  ["the first bytes", () => ["bytes=0-9", 0, 10]],
  ["the first byte", () => ["bytes=0-0", 0, 1]],
  ["some in the middle", () => ["bytes=100-299", 100, 300]],
  ["an open end", (size) => ["bytes=100-", 100, size]],
  ["the last bytes", (size) => ["bytes=-20", size - 20, size]],
  ["the last byte", (size) => [`bytes=${size - 1}-`, size - 1, size]],
  ["all of it", (size) => [`bytes=0-${size - 1}`, 0, size]],
  ["all of it, with an open end", (size) => ["bytes=0-", 0, size]],
  ["more at its end than there is", (size) => [`bytes=100-${size + 1_000}`, 100, size]],
  ["far more at its end than there is", (size) => ["bytes=0-99999999999999999999999", 0, size]],
  ["a longer tail than there is", (size) => ["bytes=-999999999", 0, size]],
];

describe.each(formats)("a range of a stored %s", (format) => {
  it.each(parts)("is served: %s", async (_what, part) => {
    const { bytes, type } = stored(format);
    const [range, start, end] = part(bytes.length);
    const response = await ask(format, range);
    expect(response.status).toBe(206);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-range": `bytes ${start}-${end - 1}/${bytes.length}`,
      "content-length": String(end - start),
      "content-type": type,
      etag: expect.stringMatching(/^"[^"]+"$/),
      "cache-control": "public, max-age=31536000, immutable",
      "access-control-allow-origin": "*",
      "cross-origin-resource-policy": "cross-origin",
      "x-content-type-options": "nosniff",
      "content-security-policy": "default-src 'none'; sandbox",
    });
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes.slice(start, end));
  });

  it("beyond its end is refused with its size", async () => {
    const { bytes } = stored(format);
    const ranges = [
      `bytes=${bytes.length}-`,
      `bytes=${bytes.length}-${bytes.length + 9}`,
      "bytes=999999999-",
      "bytes=-0",
    ];
    for (const range of [...ranges, "bytes=99999999999999999999999-"]) {
      const response = await ask(format, range);
      expect([range, response.headers.get("content-range")]).toEqual([range, `bytes */${bytes.length}`]);
      await expectError(response, "range_not_satisfiable");
    }
  });

  it.each([
    "bytes=0-1,5-9",
    "bytes=0-1, -5",
    "bytes=9-5",
    "bytes=-",
    "bytes=",
    "bytes",
    "bytes=a-b",
    "bytes=0-9x",
    "bytes=-5-9",
    "bytes=0.5-9",
    "bytes=0x0-9",
    "items=0-9",
    "0-9",
    "",
  ])("is ignored when it is none, or several: %j", async (range) => {
    const { bytes } = stored(format);
    const response = await ask(format, range);
    expect(response.status).toBe(200);
    expect(response.headers.get("content-range")).toBeNull();
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  });
});

describe("a range", () => {
  it("means nothing to HEAD", async () => {
    const response = await ask("png", "bytes=0-9", {}, "HEAD");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-length")).toBe(String(stored("png").bytes.length));
    expect(response.headers.get("content-range")).toBeNull();
  });

  it("comes after If-None-Match: who has the picture gets 304", async () => {
    const etag = (await gateway.fetch(stored("png").path)).headers.get("etag") ?? "";
    const response = await ask("png", "bytes=0-9", { "if-none-match": etag });
    expect([response.status, await response.text()]).toEqual([304, ""]);
    expect((await ask("png", "bytes=0-9", { "if-none-match": '"other"' })).status).toBe(206);
  });

  it("holds under If-Range only for the very picture that it was meant for", async () => {
    const etag = (await gateway.fetch(stored("png").path)).headers.get("etag") ?? "";
    const { bytes } = stored("png");
    for (const [range, from, to] of [
      ["bytes=0-9", 0, 10],
      ["bytes=3-3", 3, 4],
      [`bytes=${bytes.length - 5}-`, bytes.length - 5, bytes.length],
      ["bytes=-7", bytes.length - 7, bytes.length],
      ["bytes=1-99999999", 1, bytes.length],
    ] as const) {
      const part = await ask("png", range, { "if-range": etag });
      expect([part.status, part.headers.get("content-length")]).toEqual([206, String(to - from)]);
      expect(new Uint8Array(await part.arrayBuffer())).toEqual(bytes.slice(from, to));
    }
    const beyond = await ask("png", `bytes=${bytes.length}-`, { "if-range": etag });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, `bytes */${bytes.length}`]);
    await beyond.body?.cancel();
    for (const [range, ifRange] of [
      ["bytes=0-9", '"other"'],
      ["bytes=0-9", "Wed, 21 Oct 2026 07:28:00 GMT"],
      [`bytes=${bytes.length}-`, '"other"'],
    ] as const) {
      const whole = await ask("png", range, { "if-range": ifRange });
      expect(whole.status).toBe(200);
      expect(new Uint8Array(await whole.arrayBuffer())).toEqual(bytes);
    }
  });

  it.each([
    ["the picture's own", (etag: string) => etag, 206],
    ["a date", () => "Wed, 21 Oct 2026 07:28:00 GMT", 200],
  ])("under If-Range costs one read of R2: %s", async (_what, ifRange, status) => {
    const etag = (await gateway.fetch(stored("jpeg").path, { method: "HEAD" })).headers.get("etag") ?? "";
    bindings.calls.length = 0;
    expect((await ask("jpeg", "bytes=0-9", { "if-range": ifRange(etag) })).status).toBe(status);
    expect(bindings.calls).toEqual(["R2 get"]);
  });

  it("of no picture costs one read of R2, under If-Range too", async () => {
    const path = `/images/img-${"0".repeat(26)}.png`;
    for (const headers of [{ range: "bytes=0-9" }, { range: "bytes=0-9", "if-range": '"other"' }]) {
      bindings.calls.length = 0;
      await expectError(await gateway.fetch(path, { headers }), "not_found");
      expect(bindings.calls).toEqual(["R2 get"]);
    }
  });

  it("may be saved under a name, too", async () => {
    const response = await gateway.fetch(`${stored("webp").path}?download=1`, {
      headers: { range: "bytes=0-3" },
    });
    expect(response.status).toBe(206);
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(new TextEncoder().encode("RIFF"));
    expect(response.headers.get("content-disposition")).toMatch(/^attachment\b/);
  });

  it("of a picture under a wrong extension is not found", async () => {
    const response = await gateway.fetch(stored("png").path.replace(/png$/, "jpg"), {
      headers: { range: "bytes=0-9" },
    });
    await expectError(response, "not_found");
  });

  it("beyond the end of a picture under a wrong extension is not found either", async () => {
    const response = await gateway.fetch(stored("png").path.replace(/png$/, "jpg"), {
      headers: { range: "bytes=999999999-" },
    });
    await expectError(response, "not_found");
  });

  it("is announced with the whole picture", async () => {
    const { headers } = await gateway.fetch(stored("png").path);
    expect(headers.get("accept-ranges")).toBe("bytes");
  });
});
