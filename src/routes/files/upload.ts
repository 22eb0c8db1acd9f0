/**
 * An upload's body. It is read into one buffer after its caller is let in, and no more of it is kept than was held.
 */
import { createMiddleware } from "hono/factory";
import { maxUploadBytes } from "../../domain/uploads.ts";
import { ApiError } from "../../errors.ts";
import { drain, readBody } from "../../http/body.ts";
import type { AppContext, AppEnv } from "../../http/context.ts";
import { bytesOf, isFile, isForm, partsOf } from "../../http/form.ts";
import { invalidRequest } from "../../http/validation.ts";

/** So much of a refused upload is read on, so that its client gets the reply instead of a connection reset. */
const readBytes = 2 * maxUploadBytes;

/** Reads the rest of a body that was refused before its end, and keeps none of it. */
export const drainRefused = createMiddleware<AppEnv>(async (c, next) => {
  await next();
  const { body } = c.req.raw;
  if (c.res.status < 400 || !body || body.locked) return;
  await drain(c, readBytes);
});

/** The refusal of what an upload's one field holds. */
export const fileProblem = (message: string) => invalidRequest([{ path: ["file"], message }]);

/**
 * Reads the file out of a body, and keeps it.
 * @param mostBytes The length that was admitted, and that the body may have.
 * @throws ApiError for a body that is too long, is cut off, or is not one file.
 */
export async function readUpload<T>(
  c: AppContext,
  mostBytes: number,
  keep: (bytes: Uint8Array<ArrayBuffer>) => Promise<T>,
): Promise<T> {
  if (!isForm(c) && !/^image\/[\w.+-]+\s*(?:;|$)/i.test(c.req.header("content-type") ?? "")) {
    throw new ApiError(
      "unsupported_media_type",
      "The body must be multipart/form-data with the field file, or an image with its Content-Type.",
    );
  }
  return readBody(c, { mostBytes: maxUploadBytes, keptBytes: mostBytes, readBytes }, ({ bytes, size }) => {
    if (size > mostBytes)
      throw fileProblem(`must be at most ${mostBytes} bytes, which is what there is room for`);
    return keep(isForm(c) ? fileOf(c, bytes) : bytes);
  });
}

/** The one file in a form (RFC 7578). */
function fileOf(c: AppContext, body: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const parts = partsOf(c, body, maxParts, "file");
  const strange = parts.find(({ name }) => name !== "file");
  if (strange)
    throw invalidRequest([{ path: [strange.name ?? "file"], message: "is not a field of this form" }]);
  const [part] = parts;
  if (!part) throw fileProblem("is required");
  if (parts.length > 1) throw fileProblem("must be one file");
  if (!isFile(part)) throw fileProblem("must be a file, not text");
  return bytesOf(part);
}

const maxParts = 8;
