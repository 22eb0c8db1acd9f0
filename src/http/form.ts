/** Forms (RFC 7578): read within their bounds into one buffer, of which the parts are parts. */
import { MultipartParseError, type MultipartPart, parseMultipart } from "@remix-run/multipart-parser";
import { ApiError } from "../errors.ts";
import type { AppContext } from "./context.ts";
import { readAll } from "./validation.ts";

/** Of a body of the largest size over a line of half a megabit a second. */
const maxUploadMs = 5 * 60_000;

/** The body's size as its head declares it; null when it does not. */
export function declaredBytes(c: AppContext): number | null {
  const text = c.req.header("content-length") ?? "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}

export function isForm(c: AppContext): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(c.req.header("content-type") ?? "");
}

/** How long a body may be. */
export interface BodyBounds {
  /** What is kept of it at the most. */
  keptBytes: number;
  /** So much is read on, so that the reply is not lost to a connection reset. */
  readBytes: number;
}

/** Reads a body. @returns what is kept of it, and how long it was. */
export async function readBody(
  c: AppContext,
  { keptBytes, readBytes }: BodyBounds,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; size: number }> {
  const declared = declaredBytes(c);
  // One that does not say how long it is grows as it comes.
  let buffer = new Uint8Array(Math.min(declared ?? 65_536, keptBytes));
  let size = 0;
  await readAll(c.req.raw.body, { maxBytes: readBytes, maxMs: maxUploadMs }, (chunk) => {
    const end = size + chunk.byteLength;
    if (end <= keptBytes) {
      if (end > buffer.length) buffer = grown(buffer, size, Math.min(keptBytes, 2 * end));
      buffer.set(chunk, size);
    }
    size = end;
  });
  return { bytes: buffer.subarray(0, Math.min(size, keptBytes)), size };
}

function grown(buffer: Uint8Array, used: number, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(buffer.subarray(0, used));
  return larger;
}

/** The parts of a form. The message is one workItem, so each part is one workItem of it, which is not copied. */
export function partsOf(c: AppContext, body: Uint8Array, maxParts: number, field: string): MultipartPart[] {
  const malformed = () =>
    new ApiError("invalid_request", "The form is malformed, or broke off before its end.", { param: field });
  const boundary = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(
    c.req.header("content-type") ?? "",
  );
  const text = boundary?.[1] ?? boundary?.[2];
  if (text === undefined) throw malformed();
  try {
    const bounds = { maxFileSize: body.length, maxTotalSize: body.length, maxParts };
    const parts = [...parseMultipart(body, { boundary: text, ...bounds })];
    // Their heads are parsed when they are asked for.
    for (const { name, filename, headers } of parts) void [name, filename, headers];
    return parts;
  } catch (error) {
    if (error instanceof MultipartParseError || error instanceof TypeError) throw malformed();
    throw error;
  }
}

/** Whether a part is a file, not text. */
export function isFile(part: MultipartPart): boolean {
  return part.filename !== undefined || /^image\//i.test(part.headers["content-type"] ?? "");
}

export function bytesOf(part: MultipartPart): Uint8Array<ArrayBuffer> {
  const [content = new Uint8Array()] = part.content;
  return content as Uint8Array<ArrayBuffer>;
}
