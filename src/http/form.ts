/** Forms (RFC 7578). The parts of a form are views of the body's one buffer. */
import { MultipartParseError, type MultipartPart, parseMultipart } from "@remix-run/multipart-parser";
import { ApiError } from "../errors.ts";
import type { AppContext } from "./context.ts";

/** Whether the request says that its body is a form. */
export function isForm(c: AppContext): boolean {
  return /^multipart\/form-data\s*(?:;|$)/i.test(c.req.header("content-type") ?? "");
}

/**
 * The parts of a form, none of which is copied.
 * @param field The field that a malformed form is reported under.
 * @throws ApiError `invalid_request` for a form that is malformed, cut off, or of more than `maxParts`.
 */
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
    // The parser parses a part's head on first use, where its errors would escape this function.
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

/** A part's content, as a view of the body's buffer. */
export function bytesOf(part: MultipartPart): Uint8Array<ArrayBuffer> {
  const [content = new Uint8Array()] = part.content;
  return content as Uint8Array<ArrayBuffer>;
}
