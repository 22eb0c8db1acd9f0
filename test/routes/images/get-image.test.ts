/** A stored picture under its permanent URL: whole, to all, with headers that make it safe to embed. */
import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
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
beforeEach(() => {
  bindings.calls.length = 0;
});

function stored(format: Format): StoredPicture {
  const picture = pictures.get(format);
  if (!picture) throw new Error(`no ${format} is stored`);
  return picture;
}

/** Those of every reply that stands for a picture, whatever part of it is sent. */
function expectPictureHeaders({ headers }: Response): void {
  expect(Object.fromEntries(headers)).toMatchObject({
    etag: expect.stringMatching(/^"[^"]+"$/),
    "cache-control": "public, max-age=31536000, immutable",
    "access-control-allow-origin": "*",
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox",
    "x-request-id": expect.stringMatching(/^\S{16,}$/),
  });
  expect(headers.get("access-control-allow-credentials")).toBeNull();
}

describe.each(formats)("a stored %s", (format) => {
  it("is served as the upstream drew it, byte for byte, in one read", async () => {
    const { path, bytes, type } = stored(format);
    const response = await gateway.fetch(path);
    expect(response.status).toBe(200);
    expectPictureHeaders(response);
    expect(response.headers.get("content-type")).toBe(type);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(response.headers.get("content-disposition")).toBeNull();
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
    expect(bindings.calls).toEqual(["R2 get"]);
  });

  it("answers HEAD with the same headers and no body", async () => {
    const { path, bytes, type } = stored(format);
    const response = await gateway.fetch(path, { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expectPictureHeaders(response);
    expect(response.headers.get("content-type")).toBe(type);
    expect(response.headers.get("content-length")).toBe(String(bytes.length));
    expect(response.headers.get("etag")).toBe((await gateway.fetch(path)).headers.get("etag"));
    expect(bindings.calls).toEqual(["R2 head", "R2 get"]);
  });

  it("is saved under its name with ?download=1", async () => {
    const { path, bytes, type } = stored(format);
    const response = await gateway.fetch(`${path}?download=1`);
    expect(response.status).toBe(200);
    expectPictureHeaders(response);
    expect(response.headers.get("content-type")).toBe(type);
    const disposition = response.headers.get("content-disposition") ?? "";
    expect(disposition).toMatch(/^attachment\b/);
    expect(disposition).toContain(path.split("/").at(-1));
    expect(new Uint8Array(await response.arrayBuffer())).toEqual(bytes);
  });

  it("is not sent again to who has it", async () => {
    const { path } = stored(format);
    const etag = (await gateway.fetch(path)).headers.get("etag") ?? "";
    for (const method of ["GET", "HEAD"]) {
      for (const condition of [etag, `W/${etag}`, `"other", ${etag}`, `W/"other" ,W/${etag}`, "*"]) {
        const response = await gateway.fetch(path, { method, headers: { "if-none-match": condition } });
        expect([condition, response.status, await response.text()]).toEqual([condition, 304, ""]);
        expectPictureHeaders(response);
        expect(response.headers.get("etag")).toBe(etag);
      }
    }
  });

  it("is sent to who has another one", async () => {
    const { path, bytes } = stored(format);
    for (const method of ["GET", "HEAD"]) {
      for (const condition of ['"other"', 'W/"other"', '"a", W/"b"', '""']) {
        const response = await gateway.fetch(path, { method, headers: { "if-none-match": condition } });
        expect([condition, response.status]).toEqual([condition, 200]);
        expect((await response.arrayBuffer()).byteLength).toBe(method === "GET" ? bytes.length : 0);
      }
    }
  });

  it("is at no other extension", async () => {
    const { path } = stored(format);
    const name = path.slice(0, path.lastIndexOf("."));
    const own = path.slice(name.length + 1);
    for (const extension of [
      "png",
      "jpg",
      "webp",
      "jpeg",
      "gif",
      "svg",
      "html",
      own.toUpperCase(),
      `${own}.${own}`,
      "",
    ]) {
      if (extension === own) continue;
      await expectError(await gateway.fetch(`${name}.${extension}`), "not_found");
    }
    await expectError(await gateway.fetch(name), "not_found");
  });
});

describe("a picture", () => {
  it("needs no key, and heeds none, nor where it is asked from", async () => {
    const { path } = stored("png");
    const headers = { authorization: "Bearer nonsense", origin: "https://shop.example" };
    const response = await gateway.fetch(path, { headers });
    expect(response.status).toBe(200);
    expectPictureHeaders(response);
  });

  it.each(["nonsense", '"half', ",", "*, *"])(
    "is sent in spite of a condition that makes no sense: %s",
    async (condition) => {
      for (const method of ["GET", "HEAD"]) {
        const response = await gateway.fetch(stored("png").path, {
          method,
          headers: { "if-none-match": condition },
        });
        expect([method, response.status]).toEqual([method, 200]);
      }
    },
  );

  it("has an id of at least 128 random bits", async () => {
    const [, id = ""] = /^\/images\/img-([0-9a-z]+)\.png$/.exec(stored("png").path) ?? [];
    // Five bits a character.
    expect(id.length * 5).toBeGreaterThanOrEqual(128);
  });

  it.each(["img-00000000000000000000000000.png", "img-zzzzzzzzzzzzzzzzzzzzzzzzzz.webp"])(
    "that is not there is not found: %s",
    async (file) => {
      await expectError(await gateway.fetch(`/images/${file}`), "not_found");
      const partly = await gateway.fetch(`/images/${file}`, { headers: { range: "bytes=0-9" } });
      await expectError(partly, "not_found");
      const head = await gateway.fetch(`/images/${file}`, { method: "HEAD" });
      expect([head.status, await head.text()]).toEqual([404, ""]);
    },
  );

  it.each([
    "",
    "x",
    ".png",
    "one.png",
    "img-.png",
    "img-short.png",
    `img-${"0".repeat(25)}.png`,
    `img-${"0".repeat(27)}.png`,
    `img-${"0".repeat(500)}.png`,
    `IMG-${"0".repeat(26)}.png`,
    `img-${"0".repeat(25)}A.png`,
    `img-${"0".repeat(25)}%0A.png`,
    `img-${"0".repeat(26)}%2Fx.png`,
    "..%2Fimages%2Fx.png",
    "%E0%A4%A.png",
    `img-${"0".repeat(26)}/x.png`,
  ])("whose id cannot be one costs no read: %s", async (file) => {
    await expectError(await gateway.fetch(`/images/${file}`), "not_found");
    expect(bindings.calls).toEqual([]);
  });

  it("cannot be had under the name that it has in the bucket, nor can anything beside it", async () => {
    await env.IMAGES.put("secret.txt", "not a picture");
    await env.IMAGES.put(`images/img-${"1".repeat(26)}`, "<script>", {
      httpMetadata: { contentType: "text/html" },
    });
    for (const path of [
      "/secret.txt",
      "/images/secret.txt",
      "/images/..%2Fsecret.txt",
      "/images/images/secret.txt",
    ]) {
      await expectError(await gateway.fetch(path), "not_found");
    }
    for (const extension of ["html", "png", "txt", "undefined", ""]) {
      await expectError(await gateway.fetch(`/images/img-${"1".repeat(26)}.${extension}`), "not_found");
    }
  });

  it("is not changed by an unknown download parameter", async () => {
    const response = await gateway.fetch(`${stored("png").path}?download=yes`);
    await expectError(response, "invalid_request", "download");
  });
});
