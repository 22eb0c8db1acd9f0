/**
 * Enqueueing what is more than one invocation should take. A work item is a row in D1 and a message that names it. D1 is
 * the truth: whatever becomes of the message, the row says what is to be done.
 *
 *   what happens                        what it leads to
 *   a message comes twice               the second consumer cannot claim the row, or finds none
 *   it comes late, after its row has    the same; its tasks are due again, and are perhaps in another work item by now,
 *   lapsed                              which has another row
 *   the next round finds the same       a task in a live row is not due, and a taken place is not given again: nothing
 *   tasks still waiting                 piles up, and a slow consumer delays only its own tasks
 *   the tick dies before it sends       the row lapses, its tasks are due again
 *   sending fails, perhaps halfway      rows that no consumer has claimed are withdrawn, and the tick keeps their tasks; a
 *                                       message that went out all the same finds no row
 *   the consumer dies                   the message comes again and finds the row claimed: it is dropped, and the
 *                                       row lapses with the lease
 *   it fails                            it deletes the row and has the message sent again, which finds none
 *   a dead letter                       a message whose row no consumer could claim: the row lapses
 *
 * Rounds below the bounds here enqueue nothing and write nothing.
 */

import { insertWorkItems, type WorkItem, withdrawWorkItems } from "../../d1/cron/work-items.ts";
import type { PollTarget } from "../../domain/poll.ts";
import { type LaneKind, laneItemName, pollItemName } from "../../domain/work-message.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";

/**
 * Polls that one invocation makes in a round. Six connections to an upstream that answers in 200 ms make 30 polls a
 * second, and a round has two seconds: more would delay the next one. (The platform's bounds are further away: a poll is
 * one subrequest of 10,000, and a round of 60 makes five calls to D1 of 1,000, in an invocation of up to 28 rounds.)
 */
export const pollsAtOnce = 60;
/** One lane alone sends or stores so many tasks within ten seconds. */
const perLane = 60;
/**
 * Lanes of each of three kinds that run as consumers. `max_concurrency` in wrangler.toml is 24, so at least a quarter is
 * left for polls. More lanes are not faster: seven store 70 pictures a second, and with many waiting half of D1's time
 * goes into claims.
 */
const lanesAtMost = 6;
/** More waiting tasks start no more lanes. */
export const enoughWaiting = perLane * lanesAtMost;
/** A message that has waited for so long was lost. 24 consumers poll 80,000 tasks in that time. */
const waitsMs = 120_000;
/** The Queue's bound of one `sendBatch`. */
const messagesAtOnce = 100;

/** Enqueues polls. @returns the tasks that the caller has to poll itself. */
export async function enqueuePolls(
  invocation: Invocation,
  roundMs: number,
  tasks: PollTarget[],
): Promise<PollTarget[]> {
  const workItems: WorkItem[] = [];
  for (let from = 0; from < tasks.length; from += pollsAtOnce) {
    const ids = tasks.slice(from, from + pollsAtOnce).map(({ id }) => id);
    // One tick works at a time, and a task is in one place of its round.
    workItems.push({ name: pollItemName(roundMs, ids[0] ?? ""), taskIds: ids });
  }
  const kept = await enqueue(invocation, workItems);
  const ids = new Set(workItems.flatMap((workItem) => (kept.has(workItem.name) ? workItem.taskIds : [])));
  return tasks.filter(({ id }) => ids.has(id));
}

/** Has consumers work beside the lane that the tick starts. @param waiting How many tasks are due for it. */
export async function enqueueLane(invocation: Invocation, lane: LaneKind, waiting: number): Promise<void> {
  const places = Math.min(lanesAtMost, Math.floor((waiting - 1) / perLane));
  await enqueue(invocation, placesOf(lane, Math.max(0, places)));
}

/** Has consumers erase, each until nothing is due. @returns false: there are none, and the tick has to do it itself. */
export async function enqueueErasers(invocation: Invocation): Promise<boolean> {
  return (await enqueue(invocation, placesOf("erase", lanesAtMost))).size === 0;
}

const placesOf = (kind: Parameters<typeof laneItemName>[0], count: number): WorkItem[] =>
  Array.from({ length: count }, (_, place) => ({ name: laneItemName(kind, place), taskIds: [] }));

/** @returns the names of those that could not be enqueued. Once the Queue has failed, no more are tried. */
async function enqueue(invocation: Invocation, workItems: WorkItem[]): Promise<Set<string>> {
  const kept = new Set<string>();
  for (let from = 0; from < workItems.length; from += messagesAtOnce) {
    const some = workItems.slice(from, from + messagesAtOnce);
    const left = kept.size > 0 ? some.map(({ name }) => name) : await enqueueSome(invocation, some);
    for (const name of left) kept.add(name);
  }
  return kept;
}

async function enqueueSome(invocation: Invocation, workItems: WorkItem[]): Promise<Iterable<string>> {
  const { db, work } = invocation;
  const names = workItems.map(({ name }) => name);
  if (!work) return names;
  try {
    const inserted = await insertWorkItems(db, workItems, invocation.now(), invocation.now() + waitsMs);
    if (inserted.size > 0) await work.sendBatch([...inserted].map((body) => ({ body })));
    return [];
  } catch (error) {
    const problem = describe(error);
    invocation.log({ event: "not_enqueued", level: "error", work_items: names.length, problem });
    return withdrawWorkItems(db, names);
  }
}
