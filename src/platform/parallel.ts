/** Runs work over a list, a few at a time. */

/** Six connections of one invocation may wait for headers at a time; a seventh only queues. */
export const connections = 6;

/** Like `Promise.all(items.map(work))` with at most `width` under way; results keep the items' order. */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = new Array(items.length);
  const queue = items.entries();
  const worker = async () => {
    for (const [index, item] of queue) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, worker));
  return results;
}
