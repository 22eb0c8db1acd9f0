/**
 * A consumer of the Queue: does a piece of what a tick has handed over, in an invocation with connections, calls and
 * time of its own. `hand-over.ts` says what may come of a message; here each is claimed by its row in D1 first.
 */

import { type ClaimedPiece, claimPiece, endPiece } from "../../d1/cron/work-items.ts";
import { selectLooks } from "../../d1/tasks/due-tasks.ts";
import { type Deps, describe } from "../../platform/invocation.ts";
import { groupSize, lookAtAll } from "../tasks/poll-many.ts";
import type { SharedLane } from "./enqueue.ts";
import { sendLane, settleLane, storeLane } from "./tick.ts";

/** So long a consumer begins looks, or runs a lane; then the row is given back and the next round decides. */
const worksMs = 20_000;

const lanes: Record<SharedLane, (deps: Deps, untilMs: number) => Promise<void>> = {
  send: sendLane,
  store: storeLane,
  settle: settleLane,
};

/** Does what each message names. One that fails is sent again; what is no piece, and dead letters, end here. */
export async function consume(deps: Deps, batch: MessageBatch): Promise<void> {
  const isDead = batch.queue.endsWith("-dead");
  for (const message of batch.messages) {
    const { name, kind } = readPiece(message.body);
    try {
      if (isDead || !kind) {
        // What a dead letter stood for is due again; cron finds it in D1.
        deps.log({ event: isDead ? "dead_letter" : "malformed_message", level: "error", piece: name });
      } else await work(deps, name, kind);
      message.ack();
    } catch (error) {
      deps.log({ event: "piece_failed", level: "error", piece: name, problem: describe(error) });
      message.retry();
    }
  }
}

function readPiece(body: unknown): { name: string; kind: string | undefined } {
  const name = typeof body === "string" ? body.slice(0, 100) : typeof body;
  return { name, kind: /^(look|send|store|settle):/.exec(name)?.[1] };
}

async function work(deps: Deps, name: string, kind: string): Promise<void> {
  const untilMs = deps.now() + worksMs;
  // A look that has begun takes as long as one call may.
  const leaseMs = untilMs + deps.config.UPSTREAM_TIMEOUT_MS;
  const piece = await claimPiece(deps.db, name, deps.now(), leaseMs);
  if (!piece) return;
  try {
    await (kind === "look" ? lookAtPiece(deps, piece, untilMs) : lanes[kind as SharedLane](deps, untilMs));
  } finally {
    await endPiece(deps.db, piece);
  }
}

/**
 * Each group is read anew, so that a pause of the account stops all consumers, and what has changed meanwhile counts. The
 * first one is any of them: where the upstream is too slow for all, it is not always the same ones that are left.
 */
async function lookAtPiece(deps: Deps, { tasks }: ClaimedPiece, untilMs: number): Promise<void> {
  const groups = Math.ceil(tasks.length / groupSize);
  const first = Math.floor(deps.random() * groups);
  for (let i = 0; i < groups && deps.now() < untilMs; i++) {
    const from = ((first + i) % groups) * groupSize;
    const due = await selectLooks(deps.db, tasks.slice(from, from + groupSize), deps.now());
    await lookAtAll(deps, due, untilMs);
  }
}
