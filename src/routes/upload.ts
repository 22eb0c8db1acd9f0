/**
 * An upload's body: read within its bounds into one buffer, of which the file is a part. Nothing of it is looked at
 * before its caller was let in, and nothing more of it is kept than was held.
 */
import { MultipartParseError, type MultipartPart, parseMultipart } from "@remix-run/multipart-parser";
import { createMiddleware } from "hono/factory";
import { maxUploadBytes } from "../domain/files.ts";
import { ApiError } from "../errors.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { invalidRequest, readAll } from "./validation.ts";

/** Of a body of the largest size over a line of half a megabit a second. */
const maxUploadMs = 5 * 60_000;
/** So much of a refused upload is read on, so that the reply is not lost to a connection reset. */
const drain = { maxBytes: 2 * maxUploadBytes, maxMs: 30_000 };

/** Reads what is left of a body that was refused before its end, and keeps none of it. */
export const drainRefused = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  const { body } = c.req.raw;
  if (c.res.status < 400 || !body || body.locked || c.req.raw.bodyUsed) return;
  await readAll(body, drain).catch(() => undefined);
});

/** The body's size as its head declares it; null when it does not. */
export function declaredBytes(c: AppContext): number | null {
  const text = c.req.header("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

export const fileProblem = (message: string) => invalidRequest([{ path: ["file"], message }]);

/**
 * Reads the file out of a body.
 * @param mostBytes How long the body may be, by what it declared.
 */
export async function readUpload(c: AppContext, mostBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const type = c.req.header("content-type") ?? "";
  const isForm = /^multipart\/form-data\s*(?:;|$)/i.test(type);
  if (!isForm && !/^image\/[\w.+-]+\s*(?:;|$)/i.test(type)) {
    throw new ApiError(
      "unsupported_media_type",
      "The body must be multipart/form-data with the field file, or an image with its Content-Type.",
    );
  }
  if ((declaredBytes(c) ?? 0) > maxUploadBytes) throw tooLarge();
  const body = await readBody(c, mostBytes);
  return isForm ? fileOf(body, type) : body;
}

const tooLarge = () => new ApiError("body_too_large", `The body must be at most ${maxUploadBytes} bytes.`);

async function readBody(c: AppContext, mostBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const declared = declaredBytes(c);
  // One that does not say how long it is grows as it comes.
  let buffer = new Uint8Array(declared ?? Math.min(mostBytes, 65_536));
  let size = 0;
  await readAll(c.req.raw.body, { maxBytes: drain.maxBytes, maxMs: maxUploadMs }, (chunk) => {
    const end = size + chunk.byteLength;
    if (end <= mostBytes) {
      if (end > buffer.length) buffer = grown(buffer, size, Math.min(mostBytes, 2 * end));
      buffer.set(chunk, size);
    }
    size = end;
  });
  if (size > maxUploadBytes) throw tooLarge();
  if (size > mostBytes)
    throw fileProblem(`must be at most ${mostBytes} bytes, which is what there is room for`);
  return buffer.subarray(0, size);
}

function grown(buffer: Uint8Array, used: number, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(buffer.subarray(0, used));
  return larger;
}

/** The one file in a form (RFC 7578). */
function fileOf(body: Uint8Array<ArrayBuffer>, contentType: string): Uint8Array<ArrayBuffer> {
  const parts = partsOf(body, contentType);
  const strange = parts.find(({ name }) => name !== "file");
  if (strange)
    throw invalidRequest([{ path: [strange.name ?? "file"], message: "is not a field of this form" }]);
  const [part] = parts;
  if (!part) throw fileProblem("is required");
  if (parts.length > 1) throw fileProblem("must be one file");
  if (part.filename === undefined && !/^image\//i.test(part.headers["content-type"] ?? ""))
    throw fileProblem("must be a file, not text");
  // The message came as one piece, so a part is one piece of it, which is not copied.
  const [content = new Uint8Array()] = part.content;
  return content as Uint8Array<ArrayBuffer>;
}

const maxParts = 8;

function partsOf(body: Uint8Array, contentType: string): MultipartPart[] {
  const boundary = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  const text = boundary?.[1] ?? boundary?.[2];
  if (text === undefined) throw malformed();
  try {
    const parts = [
      ...parseMultipart(body, {
        boundary: text,
        maxFileSize: maxUploadBytes,
        maxTotalSize: maxUploadBytes,
        maxParts,
      }),
    ];
    // Their heads are parsed when they are asked for.
    for (const { name, filename, headers } of parts) void [name, filename, headers];
    return parts;
  } catch (error) {
    if (error instanceof MultipartParseError || error instanceof TypeError) throw malformed();
    throw error;
  }
}

const malformed = () =>
  new ApiError("invalid_request", "The form is malformed, or broke off before its end.", { param: "file" });
