/**
 * A stored picture, or the part of it that is wanted: from the copy at the edge where there is one, else in one read of
 * R2, which also decides conditions and ranges. Only the bytes that the reply sends are read, and they stream through.
 */

import { type ImageContentType, imageKey } from "../../domain/task.ts";
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
  /** Whether R2 may be asked a second time, for a range beyond the end or of another picture. */
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
  const read = await readObject(invocation.bucket, wanted);
  if (read === "too_many") return { kind: "too_many" };
  // The wrong extension is as good as none.
  if (read?.object.httpMetadata?.contentType !== wanted.contentType) {
    if (read && "body" in read.object) await read.object.body.cancel();
    return { kind: "none" };
  }
  const { object, range } = read;
  // A picture is never empty: this is the tombstone of a deleted one.
  if (object.size === 0) return { kind: "deleted" };
  const { httpEtag: etag, size } = object;
  const part = range && servedPart(range, size);
  const body = "body" in object ? object.body : null;
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
}

/**
 * One call, but for a range that is beyond the end, or under `If-Range` (RFC 9110, 13.1.5) of another picture: there is a
 * second one then, if the caller may have it. Read at once and cut, one byte of a large picture would cost as much as all.
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
  // What is no strong entity tag, as a date, is of no picture.
  const range = ifRange === undefined || ifRange.startsWith('"') ? wanted.range : undefined;
  const isOther = (object: R2Object) => range && ifRange !== undefined && object.httpEtag !== ifRange;
  const whole = () => readObject(bucket, { ...wanted, range: undefined });
  const options: R2GetOptions = {};
  if (range) options.range = range;
  if (etags !== undefined) options.onlyIf = new Headers({ "if-none-match": etags });
  try {
    const object: R2Object | R2ObjectBody | null = await bucket.get(key, options);
    if (!object) return undefined;
    if (!isOther(object)) return { object, range };
    if ("body" in object) await object.body.cancel();
  } catch (error) {
    if (!range) throw error;
    if (!(await wanted.mayReadAgain())) return "too_many";
    const found = await head(range);
    // R2 throws for a range beyond the end; anything else is a failure of its own.
    if (found && servedPart(range, found.object.size).length > 0) throw error;
    return found && isOther(found.object) ? whole() : found;
  }
  return (await wanted.mayReadAgain()) ? whole() : "too_many";
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
