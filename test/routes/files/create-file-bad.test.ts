/**
 * What is no upload, or no picture: a clear refusal that names the file, nothing stored, and nothing counted but the
 * request. A polyglot is a picture to one reader and a page or an archive to another.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Bytes, countFiles, draw, left, storedFiles, upload, uploadForm } from "../../helpers/files.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import { type Code, expectError, policy } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  tenant = await gateway.makeTenant();
});

const text = (words: string): Bytes => new Uint8Array(new TextEncoder().encode(words));
const joined = (...parts: Bytes[]): Bytes => new Uint8Array(parts.flatMap((part) => [...part]));

const html = text("<!doctype html><script>alert(1)</script>");
const svg = text('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300"><script/></svg>');
const gif = joined(text("GIF89a"), new Uint8Array([0x2c, 1, 0x2c, 1, 0, 0, 0, 0x3b]));
/** An archive's head and its end, which is where readers of archives start. */
const zip = joined(text("PK\x03\x04stuff"), text("PK\x05\x06"), new Uint8Array(18));

let [png, jpeg, webp] = [new Uint8Array(), new Uint8Array(), new Uint8Array()] as [Bytes, Bytes, Bytes];
const drawn = { narrow: png, low: png, long: png };
beforeAll(async () => {
  [png, jpeg, webp] = [await draw("png"), await draw("jpeg"), await draw("webp")];
  drawn.narrow = await draw("png", 239, 400);
  drawn.low = await draw("png", 400, 239);
  drawn.long = await draw("png", 8_001, 240);
});

/** The same bytes with the width of a PNG's head replaced: what it claims is believed before anything is unpacked. */
function claiming(width: number): Bytes {
  const bytes = png.slice();
  new DataView(bytes.buffer).setUint32(16, width);
  return bytes;
}

const noPictures: [string, () => Bytes][] = [
  ["nothing", () => new Uint8Array()],
  ["a single byte", () => new Uint8Array(1)],
  ["zeros", () => new Uint8Array(5_000)],
  ["a page", () => html],
  ["an SVG", () => svg],
  ["a GIF", () => gif],
  ["an archive", () => zip],
  ["a PDF", () => text("%PDF-1.7\n%%EOF")],
  ["a PNG's signature alone", () => png.slice(0, 8)],
  ["a PNG's head alone", () => png.slice(0, 33)],
  ["a PNG without its last byte", () => png.slice(0, -1)],
  ["half a PNG", () => png.slice(0, png.length / 2)],
  ["a PNG without data", () => joined(png.slice(0, 33), png.slice(-12))],
  ["a JPEG without its last byte", () => jpeg.slice(0, -1)],
  ["half a JPEG", () => jpeg.slice(0, jpeg.length / 2)],
  ["a WebP without its last byte", () => webp.slice(0, -1)],
  ["half a WebP", () => webp.slice(0, webp.length / 2)],
  ...[html, svg, gif, zip, new Uint8Array(1)].flatMap((other): [string, () => Bytes][] => [
    [`a PNG with ${other.length} strange bytes behind it`, () => joined(png, other)],
    [`a WebP with ${other.length} strange bytes behind it`, () => joined(webp, other)],
    [`a PNG with ${other.length} strange bytes before it`, () => joined(other, png)],
  ]),
  ...[html, svg, gif, zip].flatMap((other): [string, () => Bytes][] => [
    [`a JPEG with ${other.length} strange bytes behind it`, () => joined(jpeg, other)],
    [`a JPEG with ${other.length} strange bytes before it`, () => joined(other, jpeg)],
  ]),
  ["a PNG behind a JPEG", () => joined(jpeg, png)],
  ["a picture that is too narrow", () => drawn.narrow],
  ["a picture that is too low", () => drawn.low],
  ["a picture that is too long", () => drawn.long],
  ["a PNG that claims no width", () => claiming(0)],
  ["a PNG that claims to be immense", () => claiming(2_000_000_000)],
];

/** Expects a refusal that consumes a request and nothing else. */
async function expectNothingOf(send: () => Promise<Response>, code: Code, param: string | null) {
  const before = { files: await countFiles(), objects: (await storedFiles()).length };
  const at = await left(gateway, tenant.id);
  const response = await send();
  expect(policy(response.headers, "RateLimit", "requests")).toMatchObject({ r: (at.requests ?? 0) - 1 });
  const message = await expectError(response, code, param);
  expect(await left(gateway, tenant.id)).toEqual({ ...at, requests: (at.requests ?? 0) - 1 });
  expect({ files: await countFiles(), objects: (await storedFiles()).length }).toEqual(before);
  return message;
}

describe("no picture", () => {
  it.each(noPictures)("is refused as a body: %s", async (_what, bytes) => {
    await expectNothingOf(() => upload(gateway, tenant.key, bytes()), "invalid_request", "file");
  });

  it.each(noPictures)("is refused under a picture's name in a form: %s", async (_what, bytes) => {
    const file = new Blob([bytes()], { type: "image/png" });
    await expectNothingOf(
      () => uploadForm(gateway, tenant.key, [["file", file, "cat.png"]]),
      "invalid_request",
      "file",
    );
  });

  it("gets its fault named, in pixels", async () => {
    const message = await expectNothingOf(
      () => upload(gateway, tenant.key, drawn.narrow),
      "invalid_request",
      "file",
    );
    expect(message).toBe("file: must have sides of 240 to 8000 pixels, not 239 × 400");
  });

  it("is not a picture of the longest side, two in a row, or one that is padded as cameras do", async () => {
    for (const good of [
      await draw("jpeg", 8_000, 240),
      joined(jpeg, jpeg),
      joined(jpeg, new Uint8Array(64)),
    ]) {
      expect((await upload(gateway, tenant.key, good)).status).toBe(201);
    }
  });
});

const boundary = "----boundary7";
const formType = { "content-type": `multipart/form-data; boundary=${boundary}` };
const head = (fields = 'name="file"; filename="a.png"', type = "image/png") =>
  text(`--${boundary}\r\nContent-Disposition: form-data; ${fields}\r\nContent-Type: ${type}\r\n\r\n`);
const tail = text(`\r\n--${boundary}--\r\n`);

describe("a form", () => {
  const whole = () => joined(head(), png, tail);

  it("of one's own making is taken", async () => {
    expect((await upload(gateway, tenant.key, whole(), formType)).status).toBe(201);
    const quoted = { "content-type": `multipart/form-data; charset=utf-8; boundary="${boundary}"` };
    expect((await upload(gateway, tenant.key, whole(), quoted)).status).toBe(201);
  });

  const malformed: [string, () => Bytes, Record<string, string>][] = [
    ["that is empty", () => new Uint8Array(), formType],
    ["that is no form", () => png, formType],
    ["that broke off in its head", () => whole().slice(0, 40), formType],
    ["that broke off in the file", () => whole().slice(0, 500), formType],
    ["that broke off before its end", () => joined(head(), png), formType],
    ["without a boundary", whole, { "content-type": "multipart/form-data" }],
    ["with another boundary", whole, { "content-type": "multipart/form-data; boundary=other" }],
    ["with no part", () => text(`--${boundary}--\r\n`), formType],
    ["whose file has no bytes", () => joined(head(), tail), formType],
    [
      "whose file is text",
      () => joined(text(`--${boundary}\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello`), tail),
      formType,
    ],
    ["with two files", () => joined(head(), png, text("\r\n"), head(), png, tail), formType],
    [
      "with a thousand parts",
      () => joined(...Array.from({ length: 1_000 }, () => joined(head(), text("\r\n"))), tail),
      formType,
    ],
    [
      "whose head is endless",
      () => joined(head(`name="file"; filename="${"a".repeat(20_000)}"`), png, tail),
      formType,
    ],
    [
      "whose head is no UTF-8",
      () =>
        joined(
          text(`--${boundary}\r\n`),
          new Uint8Array([0xff, 0xfe]),
          head().slice(text(`--${boundary}\r\n`).length),
          png,
          tail,
        ),
      formType,
    ],
  ];
  it.each(malformed)("%s is refused", async (_what, body, headers) => {
    await expectNothingOf(() => upload(gateway, tenant.key, body(), headers), "invalid_request", "file");
  });

  it.each(["image", "File", "file[]", "data"])(
    "with the field %s gets that name in the refusal",
    async (name) => {
      await expectNothingOf(
        () => uploadForm(gateway, tenant.key, [[name, new Blob([png])]]),
        "invalid_request",
        name,
      );
    },
  );

  it("with a field beside the file gets that one named", async () => {
    const fields: [string, Blob | string][] = [
      ["file", new Blob([png])],
      ["purpose", "vision"],
    ];
    await expectNothingOf(() => uploadForm(gateway, tenant.key, fields), "invalid_request", "purpose");
  });
});

describe("a type that is neither a form nor an image", () => {
  it.each([
    "application/json",
    "text/html",
    "application/octet-stream",
    "multipart/mixed; boundary=x",
    "application/x-www-form-urlencoded",
    "imagery/png",
    "image",
    "",
  ])("is refused, whatever the bytes are: %j", async (type) => {
    const headers = { "content-type": type };
    await expectNothingOf(() => upload(gateway, tenant.key, png, headers), "unsupported_media_type", null);
  });
});

const maxBytes = 20 * 1_048_576;

/** A body that comes in chunks, and counts those that were taken. */
function chunks(total: number, first: Bytes = new Uint8Array()) {
  const counted = { bytes: 0 };
  const stream = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = counted.bytes === 0 && first.length > 0 ? first : new Uint8Array(65_536);
        if (counted.bytes >= total) return controller.close();
        counted.bytes += chunk.length;
        controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
  return { counted, stream };
}

describe("a body that is too large", () => {
  const send = (stream: ReadableStream, headers: Record<string, string> = {}) =>
    gateway.fetch("/v1/files", {
      method: "POST",
      headers: { ...bearer(tenant.key), "content-type": "image/png", ...headers },
      body: stream,
    });

  it("is refused by its head, and read on so that the reply is not lost", async () => {
    const { stream, counted } = chunks(30 * 1_048_576);
    const headers = { "content-length": String(30 * 1_048_576) };
    await expectNothingOf(() => send(stream, headers), "body_too_large", null);
    expect(counted.bytes).toBe(30 * 1_048_576);
  });

  it("is refused when it does not say so, too", async () => {
    const { stream } = chunks(maxBytes + 65_536, png);
    await expectNothingOf(() => send(stream), "body_too_large", null);
  });

  it("is read to twice the limit and not beyond", async () => {
    const { stream, counted } = chunks(100 * 1_048_576);
    await expectNothingOf(() => send(stream), "body_too_large", null);
    expect(counted.bytes).toBeLessThanOrEqual(2 * maxBytes + 2 * 65_536);
  });

  it("is not read before the key is checked", async () => {
    const { stream } = chunks(maxBytes, png);
    const refused = await gateway.fetch("/v1/files", {
      method: "POST",
      headers: { "content-type": "image/png" },
      body: stream,
    });
    await expectError(refused, "missing_key");
  });

  it("that is longer than it says is not taken", async () => {
    const short = { "content-length": String(png.length - 1) };
    await expectNothingOf(() => upload(gateway, tenant.key, png, short), "invalid_request", "file");
  });
});
