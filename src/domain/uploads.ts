/** Uploaded reference images: where they are, how long they live, and what is taken for one. */
import { hostOf, localHostOf } from "./address.ts";
import { fileIdPattern } from "./ids.ts";
import { readImage } from "./image.ts";
import { type ImageContentType, imageExtensions } from "./task.ts";

/** The whole body, whatever surrounds the file. */
export const maxUploadBytes = 20 * 1_048_576;
export const fileLifeMs = 72 * 3_600_000;
/** So many references an image takes at the most: a token's uploads for each image that it may make. */
export const filesPerTokenImage = 4;
/** What the models take as a reference. */
const minSide = 240;
const maxSide = 8_000;

/** A file as D1 holds it. */
export interface StoredFile {
  id: string;
  tenantId: string;
  keyId: string;
  /** Of the client token that uploaded it. */
  tokenId: string | null;
  endUser: string | null;
  contentType: ImageContentType;
  bytes: number;
  width: number;
  height: number;
  createdMs: number;
  expiresMs: number;
}

/** Where a file's bytes are in R2. */
export function fileKey(id: string): string {
  return `files/${id}`;
}

export function fileUrl(base: string, { id, contentType }: Pick<StoredFile, "id" | "contentType">): string {
  return `${base}/files/${id}.${imageExtensions[contentType]}`;
}

/** The id and extension in a file's name; undefined for what names no file. */
export function readFileName(name: string): { id: string; extension: string } | undefined {
  const dot = name.lastIndexOf(".");
  const [id, extension] = [name.slice(0, dot), name.slice(dot + 1)];
  return dot > 0 && fileIdPattern.test(id) ? { id, extension } : undefined;
}

const filesPath = "/files/";

/** Whether an address has the path of a file, wherever it leads. */
export function hasFilePath(url: URL): boolean {
  return (
    readFileName(url.pathname.slice(filesPath.length)) !== undefined && url.pathname.startsWith(filesPath)
  );
}

/**
 * The name of the file that an address on one of these bases means, which may be of no file; undefined for any other
 * address.
 */
export function ownFileName(text: string, bases: readonly string[], byPort: boolean): string | undefined {
  const url = URL.parse(text);
  if (!url?.pathname.startsWith(filesPath) || !bases.some((base) => sameHost(url, new URL(base), byPort)))
    return undefined;
  return url.pathname.slice(filesPath.length);
}

/** By the host, whatever the port; on one machine, where all share a host, by both. */
export function sameHost(a: URL, b: URL, byPort: boolean): boolean {
  return byPort ? localHostOf(a) === localHostOf(b) && a.port === b.port : hostOf(a) === hostOf(b);
}

export type Picture = Pick<StoredFile, "contentType" | "width" | "height">;

/** What bytes are, by themselves; or what is wrong with them, as the end of a sentence that starts with the field's name. */
export function readPicture(bytes: Uint8Array): Picture | { problem: string } {
  if (bytes.length === 0) return { problem: "must not be empty" };
  const image = readImage(bytes);
  if (!image) return { problem: "must be a PNG, JPEG or WebP image" };
  const { facts, extent } = image;
  if (extent !== "exact") {
    return { problem: "must be one whole image, with nothing missing and nothing behind its end" };
  }
  if (Math.min(facts.width, facts.height) < minSide || Math.max(facts.width, facts.height) > maxSide) {
    return {
      problem: `must have sides of ${minSide} to ${maxSide} pixels, not ${facts.width} × ${facts.height}`,
    };
  }
  return facts;
}
