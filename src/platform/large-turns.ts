/**
 * Turns of large pictures, one at a time. An isolate's 128 MB are shared by all that runs in it, so a picture that is
 * larger than a few megabytes, or does not say how large it is, waits until the one before it is stored.
 */

/** A picture of more bytes takes a turn. */
export const largeBytes = 8 * 1_048_576;

/** Waits for the turn. @returns what ends it, which has to be called. */
export type TakeLargeTurn = () => Promise<() => void>;

/** The turns of one invocation: a promise of one cannot be waited for in another. */
export function createLargeTurns(): TakeLargeTurn {
  let last = Promise.resolve();
  return async () => {
    const before = last;
    const { promise, resolve } = Promise.withResolvers<void>();
    last = before.then(() => promise);
    await before;
    return resolve;
  };
}
