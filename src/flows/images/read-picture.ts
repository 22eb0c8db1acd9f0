/**
 * A stored picture, or the part of it that is wanted: from the copy at the edge where there is one, else in one read of
 * R2, which also decides conditions and ranges. Only the bytes that the reply sends are read, and they stream through.
 */

import { type ImageContentType, imageKey } from "../../domain/task.ts";
import { callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Copy, copyAddress, findCopy, keepCopy, partOfCopy } from "./edge-copy.ts";

export interface PictureWanted {
  id: string;
  contentType: ImageContentType;
  /** Scheme and host that it is asked for through. */
  origin: string;
  /** The reply has no body. */
  headOnly: boolean;
  range: R2Range | undefined;
  /** The entity tag of the only picture whose part is wanted; of another one all is. */
  ifRange: string | undefined;
  /** The entity tags of `If-None-Match`, well formed. */
  etags: string | undefined;
  /** Whether `etags` has this one. */
  isKnown(etag: string): boolean;
  /** Whether R2 may be asked a second time, for a range beyond the end. */
  mayReadAgain(): Promise<boolean>;
}

export interface Part {
  offset: number;
  /** 0: the picture is shorter than that. */
  length: number;
}

export interface Picture {
  kind: "picture";
  etag: string;
  /** Of all of it. */
  size: number;
  part: Part | undefined;
  /** Null where no bytes are wanted. */
  body: ReadableStream<Uint8Array> | null;
}

export type PictureRead = Picture | { kind: "none" } | { kind: "deleted" } | { kind: "too_many" };

/** @throws BindingUnavailable when R2 does not answer. A cache that fails costs a read of R2. */
export async function readPicture(invocation: Invocation, wanted: PictureWanted): Promise<PictureRead> {
  const address = copyAddress(invocation, wanted.origin, wanted.id, wanted.contentType);
  const copy = await findCopy(invocation, address);
  if (typeof copy === "object") {
    const picture = await fromCopy(invocation, address, wanted, copy);
    if (picture) return picture;
  }
  const read = await callBinding("storage", () => readObject(invocation.bucket, wanted));
  if (read === "too_many") return { kind: "too_many" };
  // The wrong extension is as good as none.
  if (read?.object.httpMetadata?.contentType !== wanted.contentType) return { kind: "none" };
  const { object, range, isCut } = read;
  // A picture is never empty: this is the tombstone of a deleted one.
  if (object.size === 0) return { kind: "deleted" };
  const { httpEtag: etag, size } = object;
  const part = range && servedPart(range, size);
  const all = "body" in object ? object.body : null;
  const body = all && part && isCut ? await cut(all, part) : all;
  const keeps = body && !part && copy === "none";
  const isErased = async () => !(await invocation.bucket.head(imageKey(wanted.id)))?.size;
  const bytes = keeps
    ? keepCopy(invocation, address, wanted.contentType, { etag, size, body }, isErased)
    : body;
  return { kind: "picture", etag, size, part, body: bytes };
}

/** @returns undefined when the cache does not give the part that is wanted. */
async function fromCopy(
  invocation: Invocation,
  address: string,
  wanted: PictureWanted,
  { etag, size, body }: Copy,
): Promise<Picture | undefined> {
  const picture = { kind: "picture" as const, etag, size, part: undefined, body: null };
  const wantsBytes = !wanted.headOnly && !wanted.isKnown(etag);
  const range = wanted.ifRange === undefined || wanted.ifRange === etag ? wanted.range : undefined;
  if (wantsBytes && !range) return { ...picture, body };
  await body.cancel();
  if (!wantsBytes || !range) return picture;
  const part = servedPart(range, size);
  if (part.length === 0) return { ...picture, part };
  const bytes = await partOfCopy(invocation, address, part);
  return bytes && { ...picture, part, body: bytes };
}

interface ReadObject {
  object: R2Object | R2ObjectBody;
  /** The range that counts; it may lie past the end of the object. */
  range?: R2Range | undefined;
  /** All has been read, and the part is to be cut out of it. */
  isCut?: boolean;
}

/**
 * One call, but for a range that is beyond the end. Under `If-Range` (RFC 9110, 13.1.5) all is read: only then is it known
 * whether the part is of the picture that it is meant for, and naming another one makes no second read of R2.
 */
async function readObject(
  bucket: R2Bucket,
  wanted: PictureWanted,
): Promise<ReadObject | "too_many" | undefined> {
  const key = imageKey(wanted.id);
  const head = async (range?: R2Range) => {
    const object = await bucket.head(key);
    return object ? { object, range } : undefined;
  };
  if (wanted.headOnly) return head();
  const { ifRange, etags } = wanted;
  const isCut = ifRange !== undefined;
  const range = isCut ? undefined : wanted.range;
  const options: R2GetOptions = {};
  if (range) options.range = range;
  if (etags !== undefined) options.onlyIf = new Headers({ "if-none-match": etags });
  try {
    const object: R2Object | R2ObjectBody | null = await bucket.get(key, options);
    // What is no strong entity tag, as a date, is of no picture.
    return object ? { object, range: ifRange === object.httpEtag ? wanted.range : range, isCut } : undefined;
  } catch (error) {
    if (!range) throw error;
    if (!(await wanted.mayReadAgain())) return "too_many";
    const object = await head(range);
    // R2 throws for a range beyond the end; anything else is a failure of its own.
    if (object && servedPart(range, object.object.size).length > 0) throw error;
    return object;
  }
}

/** A part of a stream of all bytes. An empty one reads none of them. */
async function cut(
  all: ReadableStream<Uint8Array>,
  { offset, length }: Part,
): Promise<ReadableStream<Uint8Array> | null> {
  if (length === 0) {
    await all.cancel();
    return null;
  }
  let skipped = 0;
  let left = length;
  const part = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      const from = Math.min(chunk.byteLength, offset - skipped);
      skipped += from;
      const bytes = chunk.subarray(from, from + left);
      left -= bytes.byteLength;
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      if (left === 0) controller.terminate();
    },
  });
  return all.pipeThrough(part).pipeThrough(new FixedLengthStream(length));
}

/** Which bytes of a picture of `size` bytes a range means. */
function servedPart(range: R2Range, size: number): Part {
  if ("suffix" in range) {
    const length = Math.min(range.suffix, size);
    return { offset: size - length, length };
  }
  const offset = range.offset ?? 0;
  return { offset, length: Math.max(0, Math.min(range.length ?? size, size - offset)) };
}
