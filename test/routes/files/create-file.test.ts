/** `POST /v1/files`: a picture goes in as it is, and comes out of its URL byte for byte, to be saved and not shown. */
import { beforeAll, describe, expect, it } from "vitest";
import { fileLifeMs } from "../../../src/domain/uploads.ts";
import {
  type Bytes,
  draw,
  fileOf,
  left,
  pathOf,
  storedFiles,
  upload,
  uploadForm,
} from "../../helpers/files.ts";
import { startGateway } from "../../helpers/gateway.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { expectError, type Format, makeKey, policy } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
beforeAll(async () => {
  tenant = await gateway.makeTenant();
});

const extensions = { png: "png", jpeg: "jpg", webp: "webp" };
const sizes = [
  [240, 240],
  [640, 360],
  [241, 1_999],
] as const;
const pictures = (["png", "jpeg", "webp"] as const).flatMap((format) =>
  sizes.map(([width, height]) => ({ format, width, height })),
);
const ways: [string, (bytes: Bytes, format: Format) => Promise<Response>][] = [
  [
    "as the body",
    (bytes, format) => upload(gateway, tenant.key, bytes, { "content-type": `image/${format}` }),
  ],
  ["in a form", (bytes) => uploadForm(gateway, tenant.key, [["file", new Blob([bytes])]])],
  [
    "in a form of a type and name that do not fit",
    (bytes) =>
      uploadForm(gateway, tenant.key, [["file", new Blob([bytes], { type: "text/html" }), '../ü ".exe']]),
  ],
  [
    "in chunks, without a length",
    (bytes, format) =>
      gateway.fetch("/v1/files", {
        method: "POST",
        headers: { authorization: `Bearer ${tenant.key}`, "content-type": `image/${format}` },
        body: new Blob([bytes]).stream(),
      }),
  ],
];

describe.each(ways)("an upload %s", (_way, send) => {
  it.each(pictures)("of a $format of $width × $height", async ({ format, width, height }) => {
    const bytes = await draw(format, width, height);
    const file = await fileOf(await send(bytes, format));
    expect(file).toEqual({
      id: expect.stringMatching(/^file-[0-9a-z]{26}$/),
      object: "file",
      url: `https://gateway.example/files/${file.id}.${extensions[format]}`,
      bytes: bytes.length,
      content_type: `image/${format}`,
      width,
      height,
      expires_at: Math.floor(gateway.now() / 1000) + fileLifeMs / 1000,
    });
    const served = await gateway.fetch(pathOf(file));
    expect(served.status).toBe(200);
    expect(new Uint8Array(await served.arrayBuffer())).toEqual(bytes);
    const head = await gateway.fetch(pathOf(file), { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
    for (const { headers } of [served, head]) {
      expect(Object.fromEntries(headers)).toMatchObject({
        "content-type": `image/${format}`,
        "content-length": String(bytes.length),
        "content-disposition": `attachment; filename="${file.id}.${extensions[format]}"`,
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
      });
    }
  });
});

describe("an upload", () => {
  it("shows the limits, and counts as one request, one file and its bytes", async () => {
    const { id, key } = await gateway.makeTenant();
    const bytes = await draw("jpeg");
    const response = await upload(gateway, key, bytes);
    expect(policy(response.headers, "RateLimit", "requests")).toMatchObject({ r: 599 });
    expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("599");
    expect(response.headers.get("cache-control")).toBe("no-store");
    await fileOf(response);
    expect(await left(gateway, id)).toEqual({
      files: 199,
      bytes: 1_073_741_824 - bytes.length,
      requests: 599,
    });
  });

  it("is stored under its hash, with its end", async () => {
    const file = await fileOf(await upload(gateway, tenant.key, await draw("webp")));
    const object = (await storedFiles()).find(({ key }) => key === `files/${file.id}`);
    expect(object?.checksums.sha256?.byteLength).toBe(32);
    expect(object?.customMetadata).toEqual({ expires_ms: String(gateway.now() + fileLifeMs) });
  });

  it("has the address of the gateway that callers use", async () => {
    const behind = startGateway({ vars: { PUBLIC_BASE_URL: "https://images.shop.example" } });
    const { key } = await behind.makeTenant();
    const file = await fileOf(await upload(behind, key, await draw("png")));
    expect(file.url).toBe(`https://images.shop.example/files/${file.id}.png`);
  });

  it("by a client token is its own to delete, and no other token's", async () => {
    const [token, other] = [await mintToken(gateway, tenant.key), await mintToken(gateway, tenant.key)];
    const file = await fileOf(await upload(gateway, token, await draw("png"), page));
    const remove = (key: string) =>
      gateway.fetch(`/v1/files/${file.id}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${key}`, ...page },
      });
    await expectError(await remove(other), "not_found");
    expect((await gateway.fetch(pathOf(file))).status).toBe(200);
    expect((await remove(token)).status).toBe(204);
    await expectError(await remove(token), "not_found");
    await expectError(await gateway.fetch(pathOf(file)), "not_found");
  });

  it("by a client token is one of four for each of its images", async () => {
    const token = await mintToken(gateway, tenant.key, { max_images: 1 });
    const bytes = await draw("png");
    for (let i = 0; i < 4; i++) await fileOf(await upload(gateway, token, bytes, page));
    await expectError(await upload(gateway, token, bytes, page), "token_spent");
  });

  it("is not for a key of scope manage alone", async () => {
    const { key } = await makeKey(gateway, tenant.id, { scopes: ["manage"] });
    await expectError(await upload(gateway, key, await draw("png")), "scope_denied");
  });

  it("from a foreign page is refused, with a secret key or a token", async () => {
    const bytes = await draw("png");
    await expectError(await upload(gateway, tenant.key, bytes, page), "secret_key_in_browser");
    const token = await mintToken(gateway, tenant.key);
    await expectError(
      await upload(gateway, token, bytes, { origin: "https://evil.example" }),
      "origin_not_allowed",
    );
  });
});

describe("a file's address", () => {
  it.each([
    (name: string) => name.replace(".png", ".jpg"),
    (name: string) => name.replace(".png", ""),
    (name: string) => name.replace(".png", ".png.png"),
    (name: string) => name.replace(/.\.png/, "~.png"),
    (name: string) => name.replace("/files/", "/images/"),
    (name: string) => name.toUpperCase(),
    () => "/files/file-0123456789abcdefghjkmnpqrs.png",
    () => "/files/x.png",
    () => "/files/.png",
  ])("is exact: %s", async (change) => {
    const file = await fileOf(await upload(gateway, tenant.key, await draw("png")));
    for (const method of ["GET", "HEAD"]) {
      const response = await gateway.fetch(change(pathOf(file)), { method });
      expect(response.status).toBe(404);
    }
  });

  it("answers until the millisecond of its end, and 404 from then on, without any tick", async () => {
    const late = startGateway();
    const { key } = await late.makeTenant();
    const file = await fileOf(await upload(late, key, await draw("png")));
    late.advance(fileLifeMs - 1);
    expect((await late.fetch(pathOf(file))).status).toBe(200);
    late.advance(1);
    await expectError(await late.fetch(pathOf(file)), "not_found");
  });
});
