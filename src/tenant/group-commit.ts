/**
 * Group commit: D1 takes one transaction at a time, and each call costs a round trip, so what the tenant's requests write
 * while one call is under way goes together in the next. A single request does not wait; sixty-four at once share
 * a few calls instead of queueing for sixty-four.
 *
 *   request A            request B            D1
 *   1. write: a call
 *      of its own        2. write: waits      A's call
 *                        3. write (C): waits
 *   4. written                                B's and C's, one call: both are written, or neither is
 *
 * Two or four calls at a time were slower than one, for a few requests and for many: D1 takes them one by one anyway.
 *
 * A change is decided when its call is made and not before. The decisions of a call are made one after
 * the other without anything in between, so that the object's own storage commits them together as well.
 *
 * Nothing is kept here alone: each writer gets its reply once its change is written, and what an eviction leaves undone
 * is found by the alarm of the tenant's object.
 */

import { withTimeLimit } from "../domain/time-limit.ts";

interface Waiting<Change, Done> {
  decide: () => Change | null;
  answer: (done: Done | null) => void;
  fail: (reason: unknown) => void;
}

/** Changes in one call: a few milliseconds of D1's time, so that other tenants' calls do not wait long behind it. */
const mostChanges = 64;
/**
 * Callers wait for 10 s at the most, and what is made after they have left is made without their knowledge: so long for
 * another's call, and so long for their own.
 */
const patienceMs = 2_000;
const callTimeoutMs = 8_000;

export class GroupCommit<Change, Done> {
  readonly #commit: (changes: Change[]) => Promise<Done[]>;
  #waiting: Waiting<Change, Done>[] = [];
  #run: Promise<void> | undefined;
  /** The call under way has taken longer than `patienceMs`: those that wait for it are refused. */
  #isSlow: boolean;

  /** @param commit Makes changes in one transaction, and returns the outcome of each, in order. */
  constructor(commit: (changes: Change[]) => Promise<Done[]>) {
    this.#commit = commit;
    this.#isSlow = false;
  }

  /**
   * Makes a change, perhaps together with others'.
   * @param decide Decides on it, in its turn; null: there is nothing to change.
   * @returns what came of it; null when there was nothing to change, when it is not known whether it was made, or when
   *   `decide` was never called, since those before it could not be made, or not in time.
   */
  write(decide: () => Change | null): Promise<Done | null> {
    if (this.#isSlow) return Promise.resolve(null);
    return new Promise((answer, fail) => {
      this.#waiting.push({ decide, answer, fail });
      this.#run ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commitSome(this.#waiting.splice(0, mostChanges));
    this.#run = undefined;
  }

  async #commitSome(group: Waiting<Change, Done>[]): Promise<void> {
    const decided = group.flatMap((one) => decideOn(one));
    if (decided.length === 0) return;
    const patience = setTimeout(() => {
      this.#isSlow = true;
      this.#giveUpWaiting();
    }, patienceMs);
    try {
      const done = await withTimeLimit(callTimeoutMs, () =>
        this.#commit(decided.map(({ change }) => change)),
      );
      for (const [index, { answer }] of decided.entries()) answer(done[index] ?? null);
    } catch {
      for (const { answer } of decided) answer(null);
      this.#giveUpWaiting();
    } finally {
      clearTimeout(patience);
      this.#isSlow = false;
    }
  }

  /** D1 is unavailable: those that wait would be late, so they are given up before anything is decided. */
  #giveUpWaiting(): void {
    for (const { answer } of this.#waiting.splice(0)) answer(null);
  }
}

/** What one request wants changed; nothing for one that was refused, or whose decision failed. */
function decideOn<Change, Done>({ decide, answer, fail }: Waiting<Change, Done>) {
  try {
    const change = decide();
    if (change !== null) return [{ change, answer }];
    answer(null);
  } catch (error) {
    fail(error);
  }
  return [];
}
