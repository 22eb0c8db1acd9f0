/**
 * Whether bytes are pictures from the first to the last: what is glued to an end could be a page, an archive or a script
 * to whoever reads it as one. Stricter than what is asked of the upstream's own pictures.
 */
import type { ImageContentType } from "./task.ts";

export function isWholePicture(bytes: Uint8Array, contentType: ImageContentType): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (contentType) {
    case "image/png":
      return isPng(view);
    case "image/jpeg":
      return isJpegs(bytes, view);
    case "image/webp":
      return isWebp(view);
  }
}

/** Walks the chunks (PNG, third edition, 5.3): length, type, data, checksum; IEND is the last, behind IDAT. */
function isPng(view: DataView): boolean {
  const [idat, iend] = [0x49444154, 0x49454e44];
  let hasData = false;
  let at = 8;
  while (at + 12 <= view.byteLength) {
    const type = view.getUint32(at + 4);
    const next = at + 12 + view.getUint32(at);
    if (type === iend) return hasData && next === view.byteLength;
    hasData ||= type === idat;
    at = next;
  }
  return false;
}

/** Walks the chunks (RFC 9649, 2.3): name, length, data, padded to even; together they fill the file. */
function isWebp(view: DataView): boolean {
  const frames = ["VP8 ", "VP8L", "ANMF"].map((name) =>
    new DataView(new TextEncoder().encode(name).buffer).getUint32(0),
  );
  if (view.byteLength < 12 || padded(view.getUint32(4, true)) + 8 !== view.byteLength) return false;
  let hasFrame = false;
  let at = 12;
  while (at + 8 <= view.byteLength) {
    hasFrame ||= frames.includes(view.getUint32(at));
    at += 8 + padded(view.getUint32(at + 4, true));
  }
  return hasFrame && at === view.byteLength;
}

const padded = (length: number) => length + (length % 2);

/** One JPEG, or several in a row, as cameras write them (CIPA DC-007), and padding. */
function isJpegs(bytes: Uint8Array, view: DataView): boolean {
  let at: number | undefined = jpegEnd(bytes, view, 0);
  while (at !== undefined) {
    while (bytes[at] === 0) at++;
    if (at >= bytes.length) return true;
    at = jpegEnd(bytes, view, at);
  }
  return false;
}

const soi = 0xffd8;
const eoi = 0xd9;
const sos = 0xda;

/** Walks the segments from a start of image (ITU-T T.81, B.1.1). @returns what is behind its end; undefined without one. */
function jpegEnd(bytes: Uint8Array, view: DataView, start: number): number | undefined {
  if (start + 4 > bytes.length || view.getUint16(start) !== soi) return undefined;
  let hasScan = false;
  let at = start + 2;
  while (bytes[at] === 0xff) {
    while (bytes[at + 1] === 0xff) at++;
    const marker = bytes[at + 1];
    at += 2;
    if (marker === eoi) return hasScan ? at : undefined;
    if (at + 2 > bytes.length) return undefined;
    at += view.getUint16(at);
    if (marker !== sos) continue;
    hasScan = true;
    at = scanEnd(bytes, at);
  }
  return undefined;
}

/** Inside coded data 0xff is followed by 0 or by a restart marker; any other pair is the next marker. */
function scanEnd(bytes: Uint8Array, start: number): number {
  let at = bytes.indexOf(0xff, start);
  while (at >= 0) {
    const next = bytes[at + 1];
    const inside = next === 0 || (next !== undefined && next >= 0xd0 && next <= 0xd7);
    if (!inside) return at;
    at = bytes.indexOf(0xff, at + 2);
  }
  return bytes.length;
}
