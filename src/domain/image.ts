/**
 * What picture bytes are: their type, their size, and how far they are one picture. The bytes alone say so; a name, a
 * header or an extension is never believed. Each format is walked once from the start, and each step moves forward. Bytes
 * of which that takes more steps than of any picture are given up: their walk would hold up all that an isolate does.
 */
import type { ImageContentType } from "./task.ts";

export interface ImageFacts {
  contentType: ImageContentType;
  width: number;
  height: number;
}

/**
 * `cut`: the bytes end before the format's own end, as a transfer that broke off does. `complete`: they have it.
 * `exact`: moreover they are pictures from the first byte to the last. Bytes behind the end could be a page, an archive or a
 * script to a program that reads the file as one.
 */
export type Extent = "cut" | "complete" | "exact";

interface Size {
  width: number;
  height: number;
}
interface Walked extends Size {
  extent: Extent;
}

/** Four times what the models draw; a picture that claims more is a trap for the program that opens it. */
const maxSide = 16_384;

/** What is left of the steps of a walk: below zero where they did not suffice. */
interface Steps {
  left: number;
}
/** Chunks, segments and marks in coded data. A step for each 64 bytes of 32 MiB; pictures have one for some hundred. */
export const maxSteps = 524_288;
const isLeft = (steps: Steps) => steps.left-- > 0;

/** Reads a picture. @returns undefined for bytes that are no PNG, JPEG or WebP of a size that a picture has. */
export function readImage(
  bytes: Uint8Array,
  steps: Steps = { left: maxSteps },
): { facts: ImageFacts; extent: Extent } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const walks = { "image/png": walkPng, "image/jpeg": walkJpeg, "image/webp": walkWebp } as const;
  for (const [contentType, walk] of Object.entries(walks) as [ImageContentType, typeof walkPng][]) {
    const walked = walk(view, steps);
    if (!walked) continue;
    const { width, height, extent } = walked;
    if (Math.min(width, height) < 1 || Math.max(width, height) > maxSide) return undefined;
    return { facts: { contentType, width, height }, extent };
  }
  return undefined;
}

/** The four characters of a chunk's name, as they are read from its bytes. */
const chunkName = (text: string) =>
  [...text].reduce((number, character) => number * 256 + character.charCodeAt(0), 0);

const png = {
  signature: [0x89504e47, 0x0d0a1a0a],
  apple: chunkName("CgBI"),
  header: chunkName("IHDR"),
  data: chunkName("IDAT"),
  end: chunkName("IEND"),
} as const;

/** Walks the chunks (PNG, third edition, 5.3): length, type, data, checksum; IEND is the last, behind IDAT. */
function walkPng(view: DataView, steps: Steps): Walked | undefined {
  if (view.byteLength < 24 || png.signature.some((word, index) => view.getUint32(index * 4) !== word))
    return undefined;
  // Apple's tools put a chunk of their own, of four bytes, before the header.
  const header = view.getUint32(12) === png.apple ? 24 : 8;
  if (view.byteLength < header + 16 || view.getUint32(header + 4) !== png.header) return undefined;
  const size = { width: view.getUint32(header + 8), height: view.getUint32(header + 12) };
  let hasData = false;
  for (let at = 8; at + 12 <= view.byteLength && isLeft(steps); ) {
    const type = view.getUint32(at + 4);
    const next = at + 12 + view.getUint32(at);
    if (type === png.end)
      return { ...size, extent: hasData && next === view.byteLength ? "exact" : "complete" };
    hasData ||= type === png.data;
    at = next;
  }
  return { ...size, extent: "cut" };
}

/** One JPEG, or several in a row, as cameras write them (CIPA DC-007), with zeros behind each. */
function walkJpeg(view: DataView, steps: Steps): Walked | undefined {
  const first = walkOneJpeg(view, 0, steps);
  if (!first?.size) return undefined;
  let { end, isSound } = first;
  while (end !== undefined) {
    end = behindZeros(view, end);
    if (end === view.byteLength) return { ...first.size, extent: isSound ? "exact" : "complete" };
    const next = walkOneJpeg(view, end, steps);
    if (!next) return { ...first.size, extent: "complete" };
    isSound &&= next.isSound;
    end = next.end;
  }
  return { ...first.size, extent: "cut" };
}

/** Four at a time: there may be millions. */
function behindZeros(view: DataView, start: number): number {
  let at = start;
  while (at + 4 <= view.byteLength && view.getUint32(at) === 0) at += 4;
  while (at < view.byteLength && view.getUint8(at) === 0) at++;
  return at;
}

/** Markers (ITU-T T.81, B.1.1.3). */
const jpeg = { start: 0xffd8, frames: [0xc0, 0xc1, 0xc2], scan: 0xda, end: 0xd9 } as const;

interface OneJpeg {
  size: Size | undefined;
  /** The position behind its end; undefined without one. */
  end: number | undefined;
  /** It has a scan, and its segments fill it. */
  isSound: boolean;
}

/** Walks the segments of one JPEG (ITU-T T.81, B.1.1). @returns undefined where none starts. */
function walkOneJpeg(view: DataView, start: number, steps: Steps): OneJpeg | undefined {
  if (start + 4 > view.byteLength || view.getUint16(start) !== jpeg.start) return undefined;
  let size: Size | undefined;
  let hasScan = false;
  let isTidy = true;
  let at = start + 2;
  while (at + 2 <= view.byteLength && isLeft(steps)) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) {
      // Decoders skip bytes between two segments, and so does this.
      isTidy = false;
      at = nextMarker(view, at, steps);
      continue;
    }
    if (marker === 0xff) {
      at++;
      continue;
    }
    at += 2;
    if (marker === jpeg.end) return { size, end: at, isSound: hasScan && isTidy };
    if (at + 2 > view.byteLength) break;
    if (jpeg.frames.some((frame) => frame === marker) && at + 7 <= view.byteLength)
      size ??= { height: view.getUint16(at + 3), width: view.getUint16(at + 5) };
    at += view.getUint16(at);
    if (marker !== jpeg.scan) continue;
    hasScan = true;
    at = nextMarker(view, at, steps);
  }
  return { size, end: undefined, isSound: false };
}

/** Inside coded data 0xff is followed by 0 or by a restart marker; any other pair is the next marker. */
function nextMarker(view: DataView, start: number, steps: Steps): number {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  for (let at = bytes.indexOf(0xff, start); at >= 0 && isLeft(steps); at = bytes.indexOf(0xff, at + 2)) {
    const next = bytes[at + 1];
    const isInside = next === 0 || (next !== undefined && next >= 0xd0 && next <= 0xd7);
    if (!isInside) return at;
  }
  return bytes.length;
}

const webp = {
  riff: chunkName("RIFF"),
  webp: chunkName("WEBP"),
  lossy: chunkName("VP8 "),
  lossless: chunkName("VP8L"),
  extended: chunkName("VP8X"),
  frame: chunkName("ANMF"),
} as const;

const padded = (length: number) => length + (length % 2);

/** Walks the chunks (RFC 9649, 2.3): name, length, data, padded to even; together they fill the file. */
function walkWebp(view: DataView, steps: Steps): Walked | undefined {
  if (view.byteLength < 25 || view.getUint32(0) !== webp.riff || view.getUint32(8) !== webp.webp)
    return undefined;
  const size = webpSize(view);
  if (!size) return undefined;
  const length = view.getUint32(4, true);
  if (length + 8 > view.byteLength) return { ...size, extent: "cut" };
  let hasFrame = false;
  let at = 12;
  while (at + 8 <= view.byteLength && isLeft(steps)) {
    const name = view.getUint32(at);
    hasFrame ||= name === webp.lossy || name === webp.lossless || name === webp.frame;
    at += 8 + padded(view.getUint32(at + 4, true));
  }
  if (steps.left < 0) return { ...size, extent: "cut" };
  const isFilled = at === view.byteLength && padded(length) + 8 === view.byteLength;
  return { ...size, extent: hasFrame && isFilled ? "exact" : "complete" };
}

/** The size in the first chunk, which starts at 12 (RFC 9649, 2.5 to 2.7; RFC 6386, 9.1). */
function webpSize(view: DataView): Size | undefined {
  const name = view.getUint32(12);
  if (name === webp.lossless) {
    if (view.getUint8(20) !== 0x2f) return undefined;
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
  }
  if (view.byteLength < 30) return undefined;
  switch (name) {
    case webp.lossy:
      if (view.getUint16(23) !== 0x9d01 || view.getUint8(25) !== 0x2a) return undefined;
      return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
    case webp.extended:
      // Reserved bits are zero.
      if ((view.getUint8(20) & 0xc1) !== 0) return undefined;
      return { width: 1 + (view.getUint32(23, true) >>> 8), height: 1 + (view.getUint32(26, true) >>> 8) };
    default:
      return undefined;
  }
}
