import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { isComplete, readImage } from "../../src/domain/image.ts";
import type { ImageContentType } from "../../src/domain/task.ts";

const formats = [
  ["png", "image/png"],
  ["jpeg", "image/jpeg"],
  ["webp", "image/webp"],
] as const satisfies [string, ImageContentType][];

/** A real picture, as the library of the test runner draws it. */
async function draw(format: string, width: number, height: number): Promise<Uint8Array<ArrayBuffer>> {
  const query = new URLSearchParams({ format, width: `${width}`, height: `${height}`, seed: "7" });
  const response = await env.PICTURES.fetch(`http://pictures/?${query}`);
  return new Uint8Array(await response.arrayBuffer());
}

const text = (characters: string) => new TextEncoder().encode(characters);
const bytesOf = (...bytes: number[]) => Uint8Array.from(bytes);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

/** Whether bytes would be stored as a picture. */
function isStorable(bytes: Uint8Array): boolean {
  const facts = readImage(bytes);
  return facts !== undefined && isComplete(bytes, facts.contentType);
}

describe.each(formats)("a real %s", (format, contentType) => {
  it.each([
    [64, 48],
    [48, 64],
    [1, 1],
    [1024, 600],
    [513, 257],
  ])("of %i × %i is known by its bytes alone", async (width, height) => {
    const bytes = await draw(format, width, height);
    expect(readImage(bytes)).toEqual({ contentType, width, height });
    expect(isComplete(bytes, contentType)).toBe(true);
  });

  it("is the same inside a larger buffer", async () => {
    const bytes = await draw(format, 64, 48);
    const buffer = new Uint8Array(bytes.length + 64).fill(0xff);
    buffer.set(bytes, 31);
    const view = buffer.subarray(31, 31 + bytes.length);
    expect(readImage(view)).toEqual({ contentType, width: 64, height: 48 });
    expect(isComplete(view, contentType)).toBe(true);
    // One byte less in view, though the buffer goes on.
    expect(isStorable(buffer.subarray(31, 30 + bytes.length))).toBe(false);
  });

  it("is not storable when cut at any byte", async () => {
    const bytes = await draw(format, 24, 16);
    expect(bytes.length).toBeGreaterThan(60);
    const storable = Array.from(bytes.keys()).filter((length) => isStorable(bytes.subarray(0, length)));
    expect(storable).toEqual([]);
  });

  it("of many kilobytes is not storable when cut at any of many places", async () => {
    const bytes = await draw(format, 640, 480);
    const last = Array.from({ length: 300 }, (_, index) => bytes.length - 1 - index);
    const spread = Array.from({ length: 500 }, (_, index) => Math.floor((bytes.length * index) / 500));
    const storable = [...last, ...spread].filter((length) => isStorable(bytes.subarray(0, length)));
    expect(storable).toEqual([]);
  });

  it("keeps its facts, and is complete, with padding behind its end", async () => {
    const bytes = await draw(format, 64, 48);
    for (const padding of [
      new Uint8Array(1),
      new Uint8Array(4_096),
      new Uint8Array(8).fill(0xff),
      text("\r\n"),
    ]) {
      const padded = join(bytes, padding);
      expect(readImage(padded)).toEqual({ contentType, width: 64, height: 48 });
      expect(isComplete(padded, contentType)).toBe(true);
    }
  });
});

describe("a picture that begins well", () => {
  // A WebP's head says how long it is, and nothing marks its end: only its length can be checked.
  it.each(["png", "jpeg"])(
    "and is filled up with zeros instead of its end is not storable: %s",
    async (format) => {
      const bytes = await draw(format, 64, 48);
      const head = bytes.slice(0, Math.floor(bytes.length / 2));
      expect(isStorable(join(head, new Uint8Array(bytes.length)))).toBe(false);
    },
  );

  it("is not complete by the end of another format", async () => {
    const [png, jpeg] = [await draw("png", 64, 48), await draw("jpeg", 64, 48)];
    expect(isStorable(join(png.subarray(0, 80), bytesOf(0xff, 0xd9)))).toBe(false);
    expect(isStorable(join(jpeg.subarray(0, -2), png.subarray(-12)))).toBe(false);
  });

  it("is not complete because it mentions its end inside its data", async () => {
    const png = await draw("png", 64, 48);
    // A text chunk of 12 bytes that holds a whole IEND chunk, and then nothing more.
    const chunk = join(bytesOf(0, 0, 0, 12), text("tEXt"), png.subarray(-12), new Uint8Array(4));
    expect(isStorable(join(png.subarray(0, 33), chunk))).toBe(false);
  });

  it("is not complete because a preview inside it is", async () => {
    const [jpeg, preview] = [await draw("jpeg", 64, 48), await draw("jpeg", 8, 8)];
    const length = preview.length + 2;
    // An application segment with a whole JPEG in it, in front of the picture's own tables.
    const segment = join(bytesOf(0xff, 0xe5, length >> 8, length & 255), preview);
    const whole = join(jpeg.subarray(0, 2), segment, jpeg.subarray(2));
    expect(readImage(whole)).toMatchObject({ width: 64, height: 48 });
    expect(isStorable(whole)).toBe(true);
    const storable = Array.from(whole.keys()).filter((cut) => isStorable(whole.subarray(0, cut)));
    expect(storable).toEqual([]);
  });

  it("is refused when it says to have no pixels", async () => {
    const png = await draw("png", 64, 48);
    for (const at of [16, 20]) expect(readImage(png.with(at + 3, 0).with(at + 2, 0))).toBeUndefined();
  });
});

describe("bytes that are no picture", () => {
  const gif = join(text("GIF89a"), bytesOf(16, 0, 16, 0, 0, 0, 0, 0x2c, 0, 0, 0, 0, 16, 0, 16, 0, 0, 0x3b));
  const bmp = join(text("BM"), new Uint8Array(16), bytesOf(16, 0, 0, 0, 16, 0, 0, 0), new Uint8Array(64));
  const tga = join(bytesOf(0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 16, 0, 24, 0), new Uint8Array(64));
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="64" height="48"><script>alert(1)</script></svg>';

  it.each<[string, Uint8Array]>([
    ["nothing at all", new Uint8Array()],
    ["one byte", bytesOf(0xff)],
    ["zeros", new Uint8Array(4_096)],
    ["ones", new Uint8Array(4_096).fill(0xff)],
    ["an error page", text("<!doctype html><html><body><h1>403 Forbidden</h1></body></html>")],
    ["an error page of many kilobytes", text(`<html>${"<p>Not found</p>".repeat(5_000)}</html>`)],
    ["an error in JSON", text('{"error":{"code":"not_found"}}')],
    ["plain text", text("image/png")],
    ["a GIF", gif],
    ["a GIF's head", gif.subarray(0, 10)],
    ["an SVG", text(svg)],
    ["an SVG behind an XML head", text(`<?xml version="1.0"?>${svg}`)],
    ["a page with an SVG in it", text(`<html><body>${svg}</body></html>`)],
    ["a BMP", bmp],
    ["a TGA", tga],
    ["a PDF", text("%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n")],
    ["a ZIP", join(text("PK"), bytesOf(3, 4), new Uint8Array(64))],
    ["an AVIF's head", join(bytesOf(0, 0, 0, 24), text("ftypavif"), new Uint8Array(64))],
    ["the signature of a PNG alone", bytesOf(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
    ["the start of a JPEG alone", bytesOf(0xff, 0xd8, 0xff)],
    ["the start and the end of a JPEG", bytesOf(0xff, 0xd8, 0xff, 0xd9)],
    ["the start of a WebP alone", join(text("RIFF"), bytesOf(4, 0, 0, 0), text("WEBP"))],
    ["another RIFF", join(text("RIFF"), bytesOf(36, 0, 0, 0), text("WAVEfmt "), new Uint8Array(64))],
  ])("are refused: %s", (_what, bytes) => {
    expect(readImage(bytes)).toBeUndefined();
  });

  it("are refused for noise behind every known first byte", () => {
    // The same noise each time: a linear congruential generator.
    let state = 1;
    const noise = Uint8Array.from({ length: 2_000 }, () => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state >> 16;
    });
    const storable = Array.from({ length: 256 }, (_, first) => first).filter((first) =>
      isStorable(noise.with(0, first)),
    );
    expect(storable).toEqual([]);
  });

  it("are refused when a picture follows behind something else", async () => {
    for (const [format] of formats) {
      const bytes = await draw(format, 24, 16);
      expect(isStorable(join(bytesOf(0x0a), bytes))).toBe(false);
      expect(isStorable(join(text("<html>"), bytes))).toBe(false);
    }
  });
});
