/**
 * Group commit: D1 takes one transaction at a time, and each call costs a round trip, so what the tenant's requests write
 * while one call is under way goes together in the next. A single request waits for nobody; sixty-four at once share
 * a few calls instead of queueing for sixty-four.
 *
 *   request A            request B            D1
 *   1. write: a batch
 *      of its own        2. write: waits      A's batch
 *                        3. write (C): waits
 *   4. written                                B's and C's, one batch: both are written, or neither is
 *
 * Nothing is kept here that counts: whoever writes is told when it is written, and what an eviction leaves undone is
 * found by whoever finds it today, the alarm of the tenant's object.
 */

interface Write {
  statements: D1PreparedStatement[];
  tell: (results: D1Result[] | null) => void;
}

/** Writes in one batch: a few milliseconds of D1's time, so that nobody else's call waits long behind it. */
const mostWrites = 64;
/** Callers wait for 10 s at the most; what is sent after they have left would be done behind their backs. */
const callTimeoutMs = 8_000;

export class GroupCommit {
  readonly #batch: (statements: D1PreparedStatement[]) => Promise<D1Result[]>;
  #waiting: Write[] = [];
  #run: Promise<void> | undefined;

  /** @param batch Runs statements in one transaction of D1. */
  constructor(batch: (statements: D1PreparedStatement[]) => Promise<D1Result[]>) {
    this.#batch = batch;
  }

  /**
   * Writes statements in one transaction, perhaps together with others'.
   * @returns their results, in order; null when it is not known whether they were written.
   */
  write(statements: D1PreparedStatement[]): Promise<D1Result[] | null> {
    return new Promise((tell) => {
      this.#waiting.push({ statements, tell });
      this.#run ??= this.#commitAll();
    });
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#commit(this.#waiting.splice(0, mostWrites));
    this.#run = undefined;
  }

  async #commit(group: Write[]): Promise<void> {
    try {
      const results = await inTime(this.#batch(group.flatMap(({ statements }) => statements)));
      let at = 0;
      for (const { statements, tell } of group) {
        tell(results.slice(at, at + statements.length));
        at += statements.length;
      }
    } catch {
      // D1 is out of reach: those that wait would be late, so they are given up before they are sent.
      for (const { tell } of [...group, ...this.#waiting.splice(0)]) tell(null);
    }
  }
}

async function inTime<T>(call: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), callTimeoutMs);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
