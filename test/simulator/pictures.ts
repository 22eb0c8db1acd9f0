/** Draws real pictures, for Node: a landscape that follows from the seed, so that results differ. */
import sharp from "sharp";
import type { PictureSpec } from "./app.ts";

const CACHE_SIZE = 64;
const cache = new Map<string, Promise<Uint8Array>>();

export function makePicture(spec: PictureSpec): Promise<Uint8Array> {
  const key = `${spec.format} ${spec.width} ${spec.height} ${spec.seed}`;
  const picture = cache.get(key) ?? draw(spec);
  cache.delete(key);
  cache.set(key, picture);
  const [oldest] = cache.keys();
  if (cache.size > CACHE_SIZE && oldest !== undefined) cache.delete(oldest);
  return picture;
}

async function draw({ format, width, height, seed }: PictureSpec): Promise<Uint8Array> {
  const image = sharp(Buffer.from(landscape(width, height, seed)));
  switch (format) {
    case "png":
      return image.png({ compressionLevel: 6 }).toBuffer();
    case "jpeg":
      return image.jpeg({ quality: 88 }).toBuffer();
    case "webp":
      return image.webp({ quality: 85, effort: 0 }).toBuffer();
  }
}

/** Sky, sun and ridges that get darker towards the front. */
function landscape(width: number, height: number, seed: number): string {
  const random = randomFrom(seed);
  const between = (low: number, high: number) => low + random() * (high - low);
  // From blue by way of red to amber: green skies look like a fault.
  const hue = between(190, 390);
  const sun = { x: between(0.15, 0.85) * width, y: between(0.15, 0.5) * height };
  const radius = Math.min(width, height) * between(0.06, 0.12);
  const ridges = Array.from({ length: 5 }, (_, index) => {
    const top = height * (0.45 + index * 0.11);
    const swing = height * between(0.05, 0.16);
    const step = width * between(0.12, 0.2);
    const left = -step * between(0, 2);
    const wave = Array.from({ length: 10 }, (_, part) => {
      return `T ${left + (part + 2) * step} ${top + swing * (random() - 0.5)}`;
    });
    const start = `M ${left} ${height} L ${left} ${top} Q ${left + step / 2} ${top - swing} ${left + step} ${top}`;
    const colour = `hsl(${(hue + 200 + index * 8) % 360} 45% ${52 - index * 9}%)`;
    return `<path d="${start} ${wave.join(" ")} V ${height} Z" fill="${colour}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">
    <linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">
      <stop offset="0" stop-color="hsl(${hue} 60% 32%)"/>
      <stop offset="0.7" stop-color="hsl(${(hue + 40) % 360} 85% 76%)"/>
    </linearGradient>
    <radialGradient id="glow">
      <stop offset="0" stop-color="#fff" stop-opacity="0.85"/><stop offset="1" stop-color="#fff" stop-opacity="0"/>
    </radialGradient>
    <rect width="100%" height="100%" fill="url(#sky)"/>
    <circle cx="${sun.x}" cy="${sun.y}" r="${radius * 4}" fill="url(#glow)"/>
    <circle cx="${sun.x}" cy="${sun.y}" r="${radius}" fill="hsl(${(hue + 50) % 360} 100% 93%)"/>
    ${ridges.join("")}
  </svg>`;
}

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
