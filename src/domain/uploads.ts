/** Uploaded reference images: where they are, how long they live, and what is taken for one. */
import { readImage } from "./image.ts";
import { widestBounds } from "./model-catalog.ts";
import { type ImageContentType, imageExtensions } from "./task.ts";

/** The whole body, whatever surrounds the file. */
export const maxUploadBytes = 20 * 1_048_576;
/** From the upload on; docs/data.md and docs/cookbook/curl.md say it too. */
export const fileLifeHours = 72;
export const fileLifeMs = fileLifeHours * 3_600_000;
/** A token's uploads for each image that it may make: as many as an image takes references. */
export const filesPerTokenImage = widestBounds().references;
/** The sides of what the models take as a reference, in pixels. */
export const referenceSides = { least: 240, most: 8_000 };

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
  const { least, most } = referenceSides;
  if (Math.min(facts.width, facts.height) < least || Math.max(facts.width, facts.height) > most) {
    return { problem: `must have sides of ${least} to ${most} pixels, not ${facts.width} × ${facts.height}` };
  }
  return facts;
}
