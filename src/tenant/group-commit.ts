/**
 * Group commit: D1 takes one transaction at a time, and each call costs a round trip; the object's own storage is as fast
 * for many writes as for one. So what a tenant's requests write while one call is under way goes together in the next.
 * Sixty-four at once share a few calls instead of queueing for sixty-four.
 *
 *   request A            request B            the store
 *   1. write: a call
 *      of its own        2. write: waits      A's call
 *                        3. write (C): waits
 *   4. written                                B's and C's, one call: both are written, or neither is
 *
 * Two or four calls at a time were slower than one, for a few requests and for many: D1 takes them one by one anyway.
 *
 * Nothing is kept here alone: what a call that failed should have written is written again by its owner.
 */
import { withTimeLimit } from "../domain/time-limit.ts";

interface Waiting<Item, Done> {
  prepare: () => Item | null;
  resolve: (done: Done | null) => void;
  reject: (reason: unknown) => void;
}

/** Items in one call: a few milliseconds of D1's time, so that other tenants' calls do not wait long behind it. */
const mostItems = 64;
/** D1 stalls for half a minute and more; a call that is given up may still take effect. */
const callLimitMs = 8_000;

export class GroupCommit<Item, Done> {
  readonly #commit: (items: Item[]) => Promise<Done[]>;
  #waiting: Waiting<Item, Done>[] = [];
  readonly #gatherMs: number;
  #run: Promise<void> | undefined;

  /**
   * @param commit Writes items in one transaction, and returns the outcome of each, in order.
   * @param gatherMs How long the first one waits for others to come, where nothing waits for it.
   */
  constructor(commit: (items: Item[]) => Promise<Done[]>, gatherMs = 0) {
    this.#commit = commit;
    this.#gatherMs = gatherMs;
  }

  /**
   * Writes an item, perhaps together with others.
   * @param prepare Makes the item, in its turn; null: there is nothing to write any more.
   * @returns what came of it; null when there was nothing to write.
   * @throws when its call, or the one that it waited for, failed: it may have been written all the same.
   */
  write(prepare: () => Item | null): Promise<Done | null> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ prepare, resolve, reject });
      this.#run ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    if (this.#gatherMs > 0) await new Promise<void>((goOn) => setTimeout(goOn, this.#gatherMs));
    while (this.#waiting.length > 0) await this.#commitSome(this.#waiting.splice(0, mostItems));
    this.#run = undefined;
  }

  async #commitSome(group: Waiting<Item, Done>[]): Promise<void> {
    const prepared = group.flatMap(prepareOne);
    if (prepared.length === 0) return;
    try {
      const done = await withTimeLimit(callLimitMs, () => this.#commit(prepared.map(({ item }) => item)));
      for (const [index, { resolve }] of prepared.entries()) resolve(done[index] as Done);
    } catch (error) {
      // Those that wait would wait as long, for the same.
      for (const { reject } of [...prepared, ...this.#waiting.splice(0)]) reject(error);
    }
  }
}

/** What one writer wants written; nothing where that could not be made. */
function prepareOne<Item, Done>({ prepare, resolve, reject }: Waiting<Item, Done>) {
  try {
    const item = prepare();
    if (item !== null) return [{ item, resolve, reject }];
    resolve(null);
  } catch (error) {
    reject(error);
  }
  return [];
}
