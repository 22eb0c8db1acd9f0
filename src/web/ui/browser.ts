/** The clock and the randomness of the pages. No other file asks the browser for either. */

export const nowMs = (): number => Date.now();

/** Unpredictable bytes. A page that came over plain http from another machine has no `randomUUID`. */
export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

export function randomHex(byteCount: number): string {
  return Array.from(randomBytes(byteCount), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A whole number from 0 to `most`. */
export function randomUpTo(most: number): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn % (most + 1);
}
