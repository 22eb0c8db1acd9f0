/**
 * One large picture at a time. An isolate's 128 MB are shared by all that runs in it, so a picture that is larger
 * than a few megabytes, or does not say how large it is, waits until the one before it is stored.
 */
import type { Invocation } from "./invocation.ts";

export const largeBytes = 8 * 1_048_576;

/** By invocation: a promise of one must not be waited for in another. */
const turns = new WeakMap<Invocation, Promise<void>>();

/** Waits for one's turn. @returns what ends it. */
export async function takeTurn(invocation: Invocation): Promise<() => void> {
  const before = turns.get(invocation) ?? Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  turns.set(
    invocation,
    before.then(() => promise),
  );
  await before;
  return resolve;
}
