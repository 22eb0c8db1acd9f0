/**
 * What is no edit: a clear refusal that names the field, before anything is kept. A form with one bad image keeps none of
 * its good ones, and nothing of what it would have used up is used.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Bytes, draw } from "../../helpers/files.ts";
import { bearer, startGateway } from "../../helpers/gateway.ts";
import {
  askEdit,
  editTexts,
  expectNoEdit,
  type Field,
  openAiEdits,
  sendEdit,
  writeForm,
} from "../../helpers/openai-edits.ts";
import { makeBrowserKey, mintToken, page } from "../../helpers/page-visitor.ts";
import { makeKey, naming } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
let [png, small] = [new Uint8Array(), new Uint8Array()] as [Bytes, Bytes];
beforeAll(async () => {
  [png, small] = [await draw("png"), await draw("png", 239, 300)];
});
beforeEach(async () => {
  tenant = await gateway.makeTenant();
});

const mebibyte = 1_048_576;
const maxEditBytes = 40 * mebibyte;
const text = (words: string): Bytes => new Uint8Array(new TextEncoder().encode(words));

async function expectBadForm(fields: Field[], param: string): Promise<string> {
  const form = await writeForm(fields);
  const send = () => sendEdit(gateway, tenant.key, form);
  const message = await expectNoEdit(gateway, tenant.id, send, "invalid_request", param);
  expect(message).toMatch(naming(param));
  return message;
}

describe("an image that is none", () => {
  it.each<[string, () => Bytes]>([
    ["zero bytes", () => new Uint8Array()],
    ["an SVG", () => text('<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300"/>')],
    ["a page", () => text("<!doctype html><script>alert(1)</script>")],
    ["a GIF", () => text("GIF89a,")],
    ["half a PNG", () => png.slice(0, png.length / 2)],
    ["a PNG with a page behind it", () => new Uint8Array([...png, ...text("<html>")])],
    ["too small", () => small],
    ["longer than an upload may be", () => new Uint8Array(20 * mebibyte + 1)],
  ])("is refused, alone and behind a good one: %s", async (_what, bytes) => {
    expect(await expectBadForm([["image", bytes()], ...editTexts], "image")).toMatch(/^image\.0: must /);
    const two: Field[] = [
      ["image[]", png],
      ["image[]", bytes()],
    ];
    expect(await expectBadForm([...two, ...editTexts], "image")).toMatch(/^image\.1: must /);
  });

  it("is refused with its size in pixels", async () => {
    const message = await expectBadForm([["image", small], ...editTexts], "image");
    expect(message).toBe("image.0: must have sides of 240 to 8000 pixels, not 239 × 300");
  });
});

describe("a form", () => {
  it("without an image, with five, or with a text in its place, is refused", async () => {
    const five = Array.from({ length: 5 }, (): Field => ["image[]", png]);
    expect(await expectBadForm(editTexts, "image")).toBe("image: is required");
    expect(await expectBadForm([...five, ...editTexts], "image")).toBe("image: must be at most 4 files");
    const url: Field = ["image", "https://pictures.example/a.png"];
    expect(await expectBadForm([url, ...editTexts], "image")).toBe("image: must be a file, not text");
    expect(await expectBadForm([["image", png], url, ...editTexts], "image")).toMatch(/not text/);
  });

  it("that gives a field twice is refused: it is unknown which was meant", async () => {
    const fields: Field[] = [
      ["image", png],
      ["prompt", "a harbour"],
      ["prompt", "a lighthouse"],
    ];
    expect(await expectBadForm(fields, "prompt")).toBe("prompt: must be given once");
  });

  it.each<[string, string | (() => Bytes)]>([
    ["mask", () => png],
    ["mask", "data:image/png;base64,AA=="],
    ["colour", "red"],
    ["colour", () => png],
    ["prompt", () => png],
    ["prompt", ""],
    ["prompt", "x".repeat(2_001)],
    ["n", "5"],
    ["n", "0"],
    ["n", "1.5"],
    ["n", "two"],
    ["n", ""],
    ["seed", "-1"],
    ["stream", "yes"],
    ["stream", "1"],
    ["background", "transparent"],
    ["output_format", "webp"],
    ["response_format", "webp"],
    ["size", "63x512"],
    ["model", "gpt-image-2"],
    ["metadata", "{"],
    ["metadata", '{"a":1}'],
    ["metadata", '{"a":"\\ud800"}'],
    ["metadata", '{"__proto__":"x"}'],
    ["metadata", () => png],
    ["n", () => png],
    ["user", () => png],
    ["image_urls", "https://pictures.example/a.png"],
    ["callback_url", "http://hooks.example"],
    ["image_mask", () => png],
    ["__proto__", "x"],
    ["constructor", "x"],
  ])("is refused by the name of its field %s with %j", async (name, value) => {
    const field: Field = [name, typeof value === "string" ? value : value()];
    await expectBadForm([["image", png], ...editTexts, field], name);
  });

  it("that has no prompt is refused", async () => {
    expect(await expectBadForm([["image", png]], "prompt")).toBe("prompt: is required");
  });

  it.each<[string, (whole: Bytes) => Bytes]>([
    ["in its head", (whole) => whole.slice(0, 40)],
    ["in an image", (whole) => whole.slice(0, 500)],
    ["in its last line", (whole) => whole.slice(0, -8)],
    ["before its first byte", () => new Uint8Array()],
  ])("that broke off %s is refused", async (_where, cut) => {
    const { body, type } = await writeForm([...editTexts, ["image", png]]);
    const send = () => sendEdit(gateway, tenant.key, { body: cut(body), type });
    await expectNoEdit(gateway, tenant.id, send, "invalid_request", "image");
  });

  it("with a hundred parts is refused", async () => {
    const parts = Array.from({ length: 100 }, (_, i): Field => [`quality${i}`, "x"]);
    const form = await writeForm([["image", png], ...editTexts, ...parts]);
    await expectNoEdit(
      gateway,
      tenant.id,
      () => sendEdit(gateway, tenant.key, form),
      "invalid_request",
      "image",
    );
  });
});

describe("a body", () => {
  it.each([
    "application/json",
    "image/png",
    "application/x-www-form-urlencoded",
    "multipart/mixed; boundary=x",
    "",
  ])("of the type %j is refused", async (type) => {
    const { body } = await writeForm([["image", png], ...editTexts]);
    const send = () => sendEdit(gateway, tenant.key, { body, type });
    await expectNoEdit(gateway, tenant.id, send, "unsupported_media_type");
  });

  /** Comes in chunks, and counts those that were taken. */
  function chunks(total: number) {
    const taken = { bytes: 0 };
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (taken.bytes >= total) return controller.close();
          taken.bytes += mebibyte;
          controller.enqueue(new Uint8Array(mebibyte));
        },
      },
      { highWaterMark: 0 },
    );
    return { taken, stream };
  }
  const send = (stream: ReadableStream, key: string, headers: Record<string, string> = {}) =>
    gateway.fetch(openAiEdits, {
      method: "POST",
      headers: { ...bearer(key), "content-type": "multipart/form-data; boundary=x", ...headers },
      body: stream,
    });

  it("that says it is too large is refused, and read on so that the reply is not lost", async () => {
    const { stream, taken } = chunks(maxEditBytes + mebibyte);
    const length = { "content-length": String(maxEditBytes + mebibyte) };
    await expectNoEdit(gateway, tenant.id, () => send(stream, tenant.key, length), "body_too_large");
    expect(taken.bytes).toBe(maxEditBytes + mebibyte);
  });

  it("of a text that is longer than any may be is refused by its field", async () => {
    const send = () => askEdit(gateway, tenant.key, [png], { texts: [["quality", "x".repeat(65_537)]] });
    expect(await expectNoEdit(gateway, tenant.id, send, "invalid_request", "quality")).toMatch(/65536 bytes/);
  });

  it("that turns out to be too large is refused, and not read for ever", async () => {
    const { stream, taken } = chunks(10 * maxEditBytes);
    await expectNoEdit(gateway, tenant.id, () => send(stream, tenant.key), "body_too_large");
    expect(taken.bytes).toBeLessThanOrEqual(maxEditBytes + 10 * mebibyte);
  });

  const strangers: [string, "invalid_key" | "scope_denied" | "tenant_suspended", () => Promise<string>][] = [
    [
      "of a revoked key",
      "invalid_key",
      async () => {
        const { id, key } = await makeKey(gateway, tenant.id, {});
        await gateway.admin("DELETE", `/tenants/${tenant.id}/keys/${id}`);
        return key;
      },
    ],
    [
      "of a suspended tenant",
      "tenant_suspended",
      async () => {
        await gateway.admin("PATCH", `/tenants/${tenant.id}`, { status: "suspended" });
        return tenant.key;
      },
    ],
    [
      "of a key of scope manage",
      "scope_denied",
      async () => (await makeKey(gateway, tenant.id, { scopes: ["manage"] })).key,
    ],
  ];
  it.each(strangers)("%s is refused as %s before it is read", async (_whose, code, make) => {
    const key = await make();
    // A form of this type would be refused for its boundary, or its length, were it read first.
    const { stream } = chunks(maxEditBytes + mebibyte);
    await expectNoEdit(gateway, tenant.id, () => send(stream, key), code, null, 0);
  });
});

describe("a page", () => {
  it("with a browser key may not edit, since it may not upload", async () => {
    const { key } = await makeBrowserKey(gateway, tenant.id);
    const send = () => askEdit(gateway, key, [png], { headers: page });
    await expectNoEdit(gateway, tenant.id, send, "scope_denied", null, 0);
  });

  it("with a client token asks for no more than a page may", async () => {
    const token = await mintToken(gateway, tenant.key);
    const texts: Field[] = [["callback_url", "https://hooks.example"]];
    const send = () => askEdit(gateway, token, [png], { headers: page, texts });
    await expectNoEdit(gateway, tenant.id, send, "scope_denied", "callback_url");
  });
});
