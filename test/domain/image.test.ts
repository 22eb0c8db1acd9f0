import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { maxSteps, readImage } from "../../src/domain/image.ts";
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
  const image = readImage(bytes);
  return image !== undefined && image.extent !== "cut";
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
    expect(readImage(bytes)).toEqual({ facts: { contentType, width, height }, extent: "exact" });
  });

  it("is the same inside a larger buffer", async () => {
    const bytes = await draw(format, 64, 48);
    const buffer = new Uint8Array(bytes.length + 64).fill(0xff);
    buffer.set(bytes, 31);
    const view = buffer.subarray(31, 31 + bytes.length);
    expect(readImage(view)).toEqual({ facts: { contentType, width: 64, height: 48 }, extent: "exact" });
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
      expect(readImage(padded)?.facts).toEqual({ contentType, width: 64, height: 48 });
      expect(isStorable(padded)).toBe(true);
    }
  });
});

/** A WebP of chunks, whose first one says the size; the frame's bytes are none of the reader's business. */
function webpOf(...chunks: [string, Uint8Array][]): Uint8Array {
  const data = join(
    text("WEBP"),
    ...chunks.flatMap(([name, bytes]) => [
      text(name),
      little(bytes.length),
      bytes,
      new Uint8Array(bytes.length % 2),
    ]),
  );
  return join(text("RIFF"), little(data.length), data);
}

const little = (number: number) => bytesOf(number, number >> 8, number >> 16, number >> 24);
const segment = (marker: number, data: Uint8Array) =>
  join(bytesOf(0xff, marker, (data.length + 2) >> 8, data.length + 2), data);

describe("the size", () => {
  it("of a WebP is in the first chunk, of each kind", () => {
    // 300 × 200, less one, in 14 bits each.
    const lossless = join(bytesOf(0x2f), little(299 + (199 << 14)));
    expect(readImage(webpOf(["VP8L", lossless]))).toEqual({
      facts: { contentType: "image/webp", width: 300, height: 200 },
      extent: "exact",
    });
    const extended = bytesOf(0x10, 0, 0, 0, 43, 1, 0, 199, 0, 0);
    expect(readImage(webpOf(["VP8X", extended], ["VP8L", lossless]))).toMatchObject({
      facts: { width: 300, height: 200 },
      extent: "exact",
    });
    // Its scale is in the upper two bits.
    const lossy = bytesOf(0, 0, 0, 0x9d, 0x01, 0x2a, 44, 0x41, 200, 0x80);
    expect(readImage(webpOf(["VP8 ", lossy]))?.facts).toMatchObject({ width: 300, height: 200 });
  });

  it("of a WebP is not read where its chunk is not what it says", () => {
    const size = little(299 + (199 << 14));
    expect(readImage(webpOf(["VP8L", join(bytesOf(0x2e), size)]))).toBeUndefined();
    expect(readImage(webpOf(["VP8 ", new Uint8Array(10)]))).toBeUndefined();
    expect(readImage(webpOf(["VP8X", bytesOf(0x40, 0, 0, 0, 43, 1, 0, 199, 0, 0)]))).toBeUndefined();
    expect(readImage(webpOf(["ALPH", new Uint8Array(10)]))).toBeUndefined();
  });

  it.each([0xc0, 0xc1, 0xc2])("of a JPEG is in its frame: marker %i", (marker) => {
    const frame = segment(marker, bytesOf(8, 0, 200, 1, 44, 1, 1, 0x11, 0));
    const jpeg = join(
      bytesOf(0xff, 0xd8),
      frame,
      segment(0xda, bytesOf(1, 1, 0, 0, 63, 0)),
      bytesOf(7, 0xff, 0xd9),
    );
    expect(readImage(jpeg)).toEqual({
      facts: { contentType: "image/jpeg", width: 300, height: 200 },
      extent: "exact",
    });
    expect(readImage(jpeg.with(3, 0xc4))).toBeUndefined();
  });

  it("of a PNG is in its header, also behind a chunk of Apple's", async () => {
    const png = await draw("png", 64, 48);
    const apple = join(bytesOf(0, 0, 0, 4), text("CgBI"), new Uint8Array(8));
    const image = readImage(join(png.subarray(0, 8), apple, png.subarray(8)));
    expect(image).toEqual({ facts: { contentType: "image/png", width: 64, height: 48 }, extent: "exact" });
  });
});

describe("bytes are exactly one picture", () => {
  it.each(["png", "jpeg", "webp"])("not with anything behind its end: %s", async (format) => {
    const bytes = await draw(format, 64, 48);
    for (const behind of [text("<html>"), bytesOf(0xff), bytesOf(1), text("PK")]) {
      expect(readImage(join(bytes, behind))?.extent).toBe("complete");
    }
  });

  it("with several JPEGs in a row, and zeros behind, as cameras write them", async () => {
    const [jpeg, second] = [await draw("jpeg", 64, 48), await draw("jpeg", 8, 8)];
    const both = join(jpeg, new Uint8Array(3), second, new Uint8Array(5));
    expect(readImage(both)).toMatchObject({ facts: { width: 64, height: 48 }, extent: "exact" });
    expect(readImage(join(jpeg, second.subarray(0, -2)))?.extent).toBe("cut");
  });

  it("not with bytes between a JPEG's segments, which decoders skip", async () => {
    const jpeg = await draw("jpeg", 64, 48);
    const odd = join(jpeg.subarray(0, 2), text("<html>"), jpeg.subarray(2));
    expect(readImage(odd)).toMatchObject({ facts: { width: 64, height: 48 }, extent: "complete" });
  });

  it("not without picture data", async () => {
    const png = await draw("png", 64, 48);
    expect(readImage(join(png.subarray(0, 33), png.subarray(-12)))?.extent).toBe("complete");
    const jpeg = join(
      bytesOf(0xff, 0xd8),
      segment(0xc0, bytesOf(8, 0, 200, 1, 44, 1, 1, 0x11, 0)),
      bytesOf(0xff, 0xd9),
    );
    expect(readImage(jpeg)?.extent).toBe("complete");
    const extended = bytesOf(0x10, 0, 0, 0, 43, 1, 0, 199, 0, 0);
    expect(readImage(webpOf(["VP8X", extended]))?.extent).toBe("complete");
  });

  it("not when a WebP's chunks do not fill it", async () => {
    const webp = await draw("webp", 64, 48);
    const longer = webp.with(4, (webp[4] ?? 0) + 2);
    expect(readImage(join(longer, new Uint8Array(2)))?.extent).toBe("complete");
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
    expect(readImage(whole)).toMatchObject({ facts: { width: 64, height: 48 }, extent: "exact" });
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

  it("are refused when a picture comes behind something else", async () => {
    for (const [format] of formats) {
      const bytes = await draw(format, 24, 16);
      expect(isStorable(join(bytesOf(0x0a), bytes))).toBe(false);
      expect(isStorable(join(text("<html>"), bytes))).toBe(false);
    }
  });
});

describe("a walk's steps", () => {
  const size = 20 * 1_048_576;
  /** Bytes that begin and end like a picture, and are full of one thing in between. */
  const filled = (begin: Uint8Array, pattern: Uint8Array, end = new Uint8Array()) => {
    const bytes = new Uint8Array(size);
    for (let at = begin.length; at < size; at += pattern.length)
      bytes.set(pattern.subarray(0, size - at), at);
    bytes.set(begin);
    bytes.set(end, size - end.length);
    return bytes;
  };
  const stepsOf = (bytes: Uint8Array) => {
    const steps = { left: maxSteps };
    const extent = readImage(bytes, steps)?.extent;
    return { used: maxSteps - steps.left, extent };
  };
  const frame = segment(0xc0, bytesOf(8, 0, 200, 1, 44, 1, 1, 0x11, 0));
  const jpeg = join(bytesOf(0xff, 0xd8), frame);
  const coded = join(jpeg, segment(0xda, bytesOf(1, 1, 0, 0, 63, 0)));
  const end = bytesOf(0xff, 0xd9);
  const riff = (length: number) => join(text("RIFF"), little(length), text("WEBP"));
  const extended = join(text("VP8X"), little(10), bytesOf(0x10, 0, 0, 0, 43, 1, 0, 199, 0, 0));

  it.each<[string, () => Uint8Array]>([
    ["fill bytes", () => filled(jpeg, bytesOf(0xff), end)],
    ["segments without content", () => filled(jpeg, bytesOf(0xff, 0xe0, 0, 2), end)],
    ["segments that claim no length", () => filled(jpeg, bytesOf(0xff, 0xe0, 0, 0), end)],
    ["restart marks", () => filled(coded, bytesOf(0xff, 0xd0), end)],
    ["stuffed bytes", () => filled(coded, bytesOf(0xff, 0), end)],
    ["scans", () => filled(coded, bytesOf(0xff, 0xda, 0, 2), end)],
    ["starts and ends", () => filled(join(coded, end), bytesOf(0xff, 0xd8, 0xff, 0xd9))],
    ["bytes between segments", () => filled(jpeg, bytesOf(1, 0xff, 0xe0, 0, 2), end)],
    ["chunks of a WebP", () => filled(join(riff(size - 8), extended), join(text("ANMF"), little(0)))],
  ])("have an end: of millions of %s comes no whole picture", (_what, make) => {
    const { used, extent } = stepsOf(make());
    expect(extent).toBe("cut");
    // Each loop that the steps end makes one more.
    expect(used - maxSteps).toBeGreaterThan(0);
    expect(used - maxSteps).toBeLessThan(4);
  });

  it("have an end in a PNG of millions of chunks", async () => {
    const png = await draw("png", 64, 48);
    const bytes = filled(png.subarray(0, 33), join(little(0), text("IDAT"), little(0)), png.subarray(-12));
    expect(stepsOf(bytes)).toEqual({ used: maxSteps + 1, extent: "cut" });
  });

  it("are few where the bytes are zeros, and in a picture", async () => {
    expect(stepsOf(filled(bytesOf(0xff, 0xd8), bytesOf(0))).used).toBeLessThan(10);
    expect(stepsOf(filled(join(coded, end), bytesOf(0)))).toMatchObject({ extent: "exact" });
    for (const [format] of formats) {
      const bytes = await draw(format, 2_000, 1_500);
      const { used, extent } = stepsOf(bytes);
      expect(extent).toBe("exact");
      expect(used).toBeLessThan(100 + bytes.length / 200);
    }
  });
});
