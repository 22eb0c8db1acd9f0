/** Reading an uploaded file: its URL needs no key. */
import { readFileName } from "../../domain/file-addresses.ts";
import { type ImageContentType, imageExtensions } from "../../domain/task.ts";
import { fileKey, type Picture } from "../../domain/uploads.ts";
import { callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";

export interface FileObject extends Pick<Picture, "contentType"> {
  bytes: number;
  /** Null when the caller asked for the head only. */
  body: ReadableStream | null;
}

/** Reads a file's bytes for a reader that has its name; one read of R2. */
export async function readFile(
  invocation: Invocation,
  name: string,
  headOnly: boolean,
): Promise<FileObject | undefined> {
  const named = readFileName(name);
  if (!named) return undefined;
  const key = fileKey(named.id);
  const object = await callBinding(
    "storage",
    async (): Promise<R2Object | R2ObjectBody | null> =>
      headOnly ? invocation.bucket.head(key) : invocation.bucket.get(key),
  );
  if (!object) return undefined;
  const body = "body" in object ? object.body : null;
  const contentType = object.httpMetadata?.contentType as ImageContentType | undefined;
  const alive = object.size > 0 && Number(object.customMetadata?.expires_ms) > invocation.now();
  if (!alive || !contentType || imageExtensions[contentType] !== named.extension) {
    await body?.cancel();
    return undefined;
  }
  return { contentType, bytes: object.size, body };
}
