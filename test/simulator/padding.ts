/**
 * Grows a picture to an exact size and keeps it valid, so that a size cap can be attempted at its very edge: one byte
 * more is refused for its size, and not because something follows the end of the file.
 */

const PNG_CHUNK_MAX = 1024 * 1024;
const JPEG_COMMENT_MAX = 65_535;

/** A picture already as large stays as it is; so does one where the rest is too small for a valid filler. */
export function padPicture(bytes: Uint8Array, toBytes: number): Uint8Array {
  const missing = toBytes - bytes.length;
  if (missing <= 0) return bytes;
  if (bytes[0] === 0x89) return padPng(bytes, missing);
  if (bytes[0] === 0xff) return padJpeg(bytes, missing);
  return padWebp(bytes, missing);
}

/** Private ancillary chunks, which decoders skip, before IEND (the last 12 bytes). */
function padPng(bytes: Uint8Array, missing: number): Uint8Array {
  const chunks = split(missing, 12, PNG_CHUNK_MAX).map((size) => {
    const chunk = new Uint8Array(size);
    const view = new DataView(chunk.buffer);
    view.setUint32(0, size - 12);
    chunk.set([0x66, 0x69, 0x4c, 0x6c], 4);
    view.setUint32(size - 4, crc32(chunk.subarray(4, size - 4)));
    return chunk;
  });
  return join([bytes.subarray(0, -12), ...chunks, bytes.subarray(-12)]);
}

/** Comment segments after the start marker. */
function padJpeg(bytes: Uint8Array, missing: number): Uint8Array {
  const segments = split(missing, 4, JPEG_COMMENT_MAX).map((size) => {
    const segment = new Uint8Array(size).fill(0x20);
    segment.set([0xff, 0xfe]);
    new DataView(segment.buffer).setUint16(2, size - 2);
    return segment;
  });
  return join([bytes.subarray(0, 2), ...segments, bytes.subarray(2)]);
}

/** One unknown chunk at the end; RIFF sizes are even. */
function padWebp(bytes: Uint8Array, missing: number): Uint8Array {
  if (missing < 8 || missing % 2 === 1) return bytes;
  const chunk = new Uint8Array(missing);
  chunk.set([0x66, 0x69, 0x4c, 0x6c]);
  new DataView(chunk.buffer).setUint32(4, missing - 8, true);
  const padded = join([bytes, chunk]);
  new DataView(padded.buffer).setUint32(4, padded.length - 8, true);
  return padded;
}

/** Parts of at most `max` that are each at least `min`. */
function split(total: number, min: number, max: number): number[] {
  const parts: number[] = [];
  for (let left = total; left >= min; ) {
    const part = left > max && left < max + min ? left - min : Math.min(left, max);
    parts.push(part);
    left -= part;
  }
  return parts;
}

function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (CRC_TABLE[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
