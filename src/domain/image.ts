/**
 * What picture bytes are: type and size by `image-size`, from the bytes alone, and whether they are all there.
 * A name, a header or an extension is never believed.
 */
import { JPG } from "image-size/types/jpg";
import { PNG } from "image-size/types/png";
import { WEBP } from "image-size/types/webp";
import type { ImageContentType } from "./task.ts";

export interface ImageFacts {
  contentType: ImageContentType;
  width: number;
  height: number;
}

/** The library knows many more formats; only what is stored here comes into the bundle. */
const formats: [ImageContentType, typeof PNG][] = [
  ["image/png", PNG],
  ["image/jpeg", JPG],
  ["image/webp", WEBP],
];

/** Four times what the models draw; a picture that claims more is a trap for whoever opens it. */
const maxSide = 16_384;

/** Reads type and size; undefined for whatever is not a PNG, JPEG or WebP of a size that a picture has. */
export function readImage(bytes: Uint8Array): ImageFacts | undefined {
  try {
    const [contentType, format] = formats.find(([, { validate }]) => validate(bytes)) ?? [];
    if (!contentType || !format) return undefined;
    const { width, height } = format.calculate(bytes);
    if (Math.min(width, height) < 1 || Math.max(width, height) > maxSide) return undefined;
    return { contentType, width, height };
  } catch {
    // `image-size` throws for heads that end too early.
    return undefined;
  }
}

/** Whether the bytes reach the format's own end: a transfer that broke off does not. */
export function isComplete(bytes: Uint8Array, contentType: ImageContentType): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (contentType) {
    case "image/png":
      return endsAtPngEnd(bytes, view);
    case "image/jpeg":
      return endsAtJpegEnd(bytes);
    case "image/webp":
      // RIFF: the length after the first eight bytes, little endian, padded to even.
      return bytes.length >= 12 && view.getUint32(4, true) + 8 <= bytes.length;
  }
}

/** Walks the chunks (PNG, third edition, 5.3): length, type, data, checksum; IEND is the last. */
function endsAtPngEnd(bytes: Uint8Array, view: DataView): boolean {
  const iend = 0x49454e44;
  let at = 8;
  while (at + 12 <= bytes.length) {
    if (view.getUint32(at + 4) === iend) return true;
    at += 12 + view.getUint32(at);
  }
  return false;
}

/** The last marker has to be end-of-image (ITU-T T.81, B.1.1.3); padding behind it does no harm. */
function endsAtJpegEnd(bytes: Uint8Array): boolean {
  for (let at = bytes.length - 2; at >= 2; at--) {
    // Inside coded data 0xff is followed by 0 or by a restart marker; any other pair is a marker.
    const next = bytes[at + 1] ?? 0;
    if (bytes[at] === 0xff && next !== 0 && next !== 0xff && (next < 0xd0 || next > 0xd7))
      return next === 0xd9;
  }
  return false;
}
