/** The clock and the randomness of the pages: the only place that asks the browser for either. */

export const nowMs = (): number => Date.now();

/** Names one submission, so that asking twice makes one task. */
export function newIdempotencyKey(): string {
  // A page that came over plain http from another machine has no `randomUUID`.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A whole number from 0 to `most`. */
export function randomUpTo(most: number): number {
  const [drawn = 0] = crypto.getRandomValues(new Uint32Array(1));
  return drawn % (most + 1);
}
