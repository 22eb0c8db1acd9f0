/** Working on many at a time, and no more: as `p-map` does, of which the bundle would carry much that is not used. */

/**
 * Works on items, `concurrency` at a time.
 * @returns what came of each, in order.
 * @throws what the first one threw that failed; none begins after it.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  { concurrency }: { concurrency: number },
): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.entries();
  let hasFailed = false;
  const worker = async () => {
    for (const [index, item] of rest) {
      if (hasFailed) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  return results;
}
