/**
 * A consumer of the Queue: does a workItem of what a tick has handed over, in an invocation with connections, calls and
 * time of its own. `enqueue.ts` says what may come of a message; here each is claimed by its row in D1 first.
 */

import { type ClaimedWorkItem, claimWorkItem, deleteWorkItem } from "../../d1/cron/work-items.ts";
import { selectPolls } from "../../d1/tasks/due-tasks.ts";
import { type LaneKind, readWorkMessage, type WorkKind } from "../../domain/work-message.ts";
import { describe, type Invocation } from "../../platform/invocation.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import { groupSize, pollAll } from "../tasks/poll-many.ts";
import { sendLane, settleLane, storeLane } from "./tick.ts";

/** So long a consumer begins looks, or runs a lane; then the row is given back and the next round decides. */
const worksMs = 20_000;

const lanes: Record<LaneKind, (invocation: Invocation, untilMs: number) => Promise<void>> = {
  send: sendLane,
  store: storeLane,
  settle: settleLane,
};

/** Does what each message names. One that fails is sent again; what is no workItem, and dead letters, end here. */
export async function consume(invocation: Invocation, batch: MessageBatch): Promise<void> {
  const isDead = batch.queue.endsWith("-dead");
  for (const message of batch.messages) {
    const { name, kind } = readWorkMessage(message.body);
    try {
      if (isDead || !kind) {
        // What a dead letter stood for is due again; cron finds it in D1.
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
  const untilMs = invocation.now() + worksMs;
  // A look that has begun takes as long as one call may.
  const leaseMs = untilMs + invocation.config.UPSTREAM_TIMEOUT_MS;
  const workItem = await claimWorkItem(invocation.db, name, invocation.now(), leaseMs);
  if (!workItem) return;
  try {
    await (kind === "poll" ? pollWorkItem(invocation, workItem, untilMs) : lanes[kind](invocation, untilMs));
  } finally {
    await deleteWorkItem(invocation.db, workItem);
  }
}

/**
 * Each group is read anew, so that a pause of the account stops all consumers, and what has changed meanwhile counts. The
 * first one is any of them: where the upstream is too slow for all, it is not always the same ones that are left.
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
