/** What the tests of uploads share: pictures as the library draws them, and ways to upload them. */
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { bearer, origin, type TestGateway } from "./gateway.ts";
import type { Format } from "./routes.ts";

export interface ShownFile {
  id: string;
  object: string;
  url: string;
  bytes: number;
  content_type: string;
  width: number;
  height: number;
  expires_at: number;
}

export type Bytes = Uint8Array<ArrayBuffer>;

export async function draw(format: Format, width = 320, height = 240, seed = 1): Promise<Bytes> {
  const query = `format=${format}&width=${width}&height=${height}&seed=${seed}`;
  const response = await env.PICTURES.fetch(`http://pictures/?${query}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** A PNG with a chunk of so many bytes before its last one, which readers skip. */
export function padded(png: Bytes, bytes: number): Bytes {
  const longer = new Uint8Array(png.length + 12 + bytes);
  longer.set(png.subarray(0, -12));
  longer.set(new TextEncoder().encode("prVt"), png.length - 8);
  new DataView(longer.buffer).setUint32(png.length - 12, bytes);
  longer.set(png.subarray(-12), longer.length - 12);
  return longer;
}

/** The bytes themselves as the body, with their length. */
export const upload = (
  gateway: TestGateway,
  key: string,
  bytes: Bytes,
  headers: Record<string, string> = {},
) =>
  gateway.fetch("/v1/files", {
    method: "POST",
    headers: {
      ...bearer(key),
      "content-type": "image/png",
      "content-length": String(bytes.length),
      ...headers,
    },
    body: bytes,
  });

/** A form, as browsers and `fetch` write it. */
export async function uploadForm(
  gateway: TestGateway,
  key: string,
  fields: [string, Blob | string, string?][],
  headers: Record<string, string> = {},
): Promise<Response> {
  const form = new FormData();
  for (const [name, value, fileName] of fields) {
    if (typeof value === "string") form.append(name, value);
    else form.append(name, value, fileName ?? "cat.png");
  }
  const request = new Request(`${origin}/v1/files`, { method: "POST", body: form });
  const body = await request.arrayBuffer();
  const type = request.headers.get("content-type") ?? "";
  return gateway.fetch("/v1/files", {
    method: "POST",
    headers: { ...bearer(key), "content-type": type, "content-length": String(body.byteLength), ...headers },
    body,
  });
}

export async function fileOf(response: Response): Promise<ShownFile> {
  const text = await response.text();
  expect({ status: response.status, text }).toMatchObject({ status: 201 });
  return JSON.parse(text) as ShownFile;
}

export const pathOf = (file: ShownFile) => new URL(file.url).pathname;

export async function countFiles(): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS count FROM files").first<{ count: number }>();
  return row?.count ?? Number.NaN;
}

export async function storedFiles(): Promise<R2Object[]> {
  const found: R2Object[] = [];
  let cursor: string | undefined;
  do {
    const page = await env.IMAGES.list({
      prefix: "files/",
      include: ["customMetadata"],
      ...(cursor !== undefined && { cursor }),
    });
    found.push(...page.objects);
    cursor = page.truncated ? page.cursor : undefined;
  } while (cursor !== undefined);
  return found;
}

/** What is left to upload. */
export async function left(gateway: TestGateway, tenantId: string) {
  const summary = await gateway.invocation().tenant(tenantId).summary(tenantId, gateway.now());
  const { files_per_day: files, file_bytes: bytes, requests_per_minute: requests } = summary?.remaining ?? {};
  return { files, bytes, requests };
}
