/** Working on many at a time, and no more: as `p-map` does, of which the bundle would carry much that is not used. */

/**
 * Works on items, `concurrency` at a time. Nothing goes on when it returns, or throws: what an event leaves behind, the
 * platform cuts.
 * @returns what came of each, in order.
 * @throws what the first one threw that failed; none begins after it, and those under way end before.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
  { concurrency }: { concurrency: number },
): Promise<Result[]> {
  const results: Result[] = [];
  const rest = items.entries();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const [index, item] of rest) {
      if (failures.length > 0) return;
      try {
        results[index] = await work(item);
      } catch (error) {
        failures.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  return results;
}
