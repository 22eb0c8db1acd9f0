/**
 * A consumer of the Queue: does a work item that a tick has enqueued, in an invocation with connections, calls and time
 * of its own. It claims the item's row in D1 first; `enqueue.ts` says what may become of a message.
 */

import { type ClaimedWorkItem, claimWorkItem, deleteWorkItem } from "../../d1/cron/work-items.ts";
import { selectPolls } from "../../d1/tasks/due-tasks.ts";
import { readWorkMessage, type WorkKind } from "../../domain/work-message.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { eraseUntil } from "../erasure/erase-due.ts";
import { groupSize, pollAll } from "../tasks/poll-many.ts";
import { laneOf } from "./lanes.ts";

/** A consumer begins polls, or runs a lane, for so long; then it deletes the row, and the next round decides. */
const worksMs = 20_000;
/** Erasing is begun once a minute. */
const erasesMs = 50_000;

/** Does what each message names. One that fails is sent again; a message that names no work item, and a dead letter, end here. */
export async function consume(invocation: Invocation, batch: MessageBatch): Promise<void> {
  const isDead = batch.queue.endsWith("-dead");
  for (const message of batch.messages) {
    const { name, kind } = readWorkMessage(message.body);
    try {
      if (isDead || !kind) {
        // The work of a dead letter is due again; cron finds it in D1.
        invocation.log({
          event: isDead ? "dead_letter" : "malformed_message",
          level: "error",
          work_item: name,
        });
      } else await work(invocation, name, kind);
      message.ack();
    } catch (error) {
      invocation.log({
        event: "work_item_failed",
        level: "error",
        work_item: name,
        problem: describe(error),
      });
      message.retry();
    }
  }
}

async function work(invocation: Invocation, name: string, kind: WorkKind): Promise<void> {
  const untilMs = invocation.now() + (kind === "erase" ? erasesMs : worksMs);
  // A poll that has begun takes as long as one call may.
  const leaseMs = untilMs + invocation.config.UPSTREAM_TIMEOUT_MS;
  const workItem = await claimWorkItem(invocation.db, name, invocation.now(), leaseMs);
  if (!workItem) return;
  try {
    if (kind === "poll") await pollWorkItem(invocation, workItem, untilMs);
    else if (kind === "erase") await eraseUntil(invocation, untilMs);
    else await laneOf[kind](invocation, untilMs);
  } finally {
    await deleteWorkItem(invocation.db, workItem);
  }
}

/**
 * Reads each group anew, so that a pause of the account stops all consumers, and changes made meanwhile count. It begins
 * with a random group: where the upstream is too slow for all, the same tasks are not left out each time.
 */
async function pollWorkItem(
  invocation: Invocation,
  { taskIds }: ClaimedWorkItem,
  untilMs: number,
): Promise<void> {
  const groups = Math.ceil(taskIds.length / groupSize);
  const first = Math.floor(invocation.random() * groups);
  for (let i = 0; i < groups && invocation.now() < untilMs; i++) {
    const from = ((first + i) % groups) * groupSize;
    const due = await selectPolls(
      invocation.db,
      taskIds.slice(from, from + groupSize),
      invocation.now(),
      skipUnreadable(invocation),
    );
    await pollAll(invocation, due, untilMs);
  }
}
