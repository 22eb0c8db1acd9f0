/**
 * Sending a task upstream: by the request that submits it, and by cron for those that wait or whose sender
 * recorded no outcome. Two senders of one task, and a canceller, may meet:
 *
 *   sender A (its lease ran out)        sender B (took the task over)
 *   1. sends, no answer for long
 *                                       2. claims: `uncertain`, since it was `submitting`; new lease
 *                                       3. sends under the same idempotency key: the same upstream task
 *   4a. accepted → `submitted`          4b. accepted → changes nothing, it is `submitted` already
 *   4a. busy → changes nothing: the lease is B's, so the task does not become `queued`, where it could be
 *       cancelled while the upstream has it
 *   4a. refused → ends it               4b. accepted → changes nothing
 *
 * The first sender alone has a caller who may hear of a refusal. So a second one asks the tenant's object before it sends:
 * from then on the first one cannot end the task any more, or it has ended it and nothing is sent.
 */

import { claimSends } from "../../d1/tasks/due-tasks.ts";
import { markSubmitted, postponeSend } from "../../d1/tasks/tasks.ts";
import { accountPauseMs, retryPauseMs } from "../../domain/back-off.ts";
import type { TaskFailureCode } from "../../domain/failures.ts";
import { type FirstOutcome, recordOf } from "../../domain/new-task.ts";
import type { UpstreamTask } from "../../domain/poll.ts";
import type { Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import type { RefusalCode } from "../../upstream/errors.ts";
import { finish } from "./finish.ts";
import { pauseUpstream, rememberPause } from "./pause-upstream.ts";
import { recordPolls, resultOf } from "./poll.ts";

/** A sender's lease in milliseconds: one call, and time to record its outcome. */
export function sendLeaseMs(invocation: Pick<Invocation, "config">): number {
  return invocation.config.UPSTREAM_TIMEOUT_MS + 30_000;
}

/** What came of a send. */
export type Sent =
  /** The upstream has the task, or may have it, or has no room for it. `seen`: the task as the upstream shows it. */
  | { kind: "pending"; outcome: Exclude<FirstOutcome, { kind: "refused" }>; seen: UpstreamTask | null }
  | { kind: "refused"; code: RefusalCode; errorCode: TaskFailureCode };

/** Sends a task whose lease the caller holds. */
export async function send(invocation: Invocation, task: Task): Promise<Sent> {
  const outcome = await invocation.upstream.submit(task.model, task.input, task.id);
  switch (outcome.kind) {
    case "accepted": {
      const { upstreamId, seen } = outcome;
      const { estimatedSeconds } = seen;
      const submitted = {
        kind: "submitted",
        upstreamId,
        submittedMs: invocation.now(),
        estimatedSeconds,
      } as const;
      return { kind: "pending", outcome: submitted, seen };
    }
    case "busy":
      return pauseFor(invocation, accountPauseMs(outcome.retryAfterMs));
    case "unknown":
      invocation.log({
        event: "send_unknown",
        task: task.id,
        attempt: task.attempts,
        reason: outcome.reason,
      });
      return unknown(invocation, task);
    case "refused":
      if (outcome.code === "upstream_rejected")
        invocation.log({ event: "upstream_rejected", level: "error", task: task.id });
      // An account that is refused now says nothing of an earlier send that may have been taken.
      return outcome.code === "upstream_rejected" && task.uncertain
        ? unknown(invocation, task)
        : refused(outcome.code);
  }
}

/** While the upstream's account cools down, as this isolate knows, a new task waits for its turn unsent. */
export function sendOrWait(invocation: Invocation, task: Task): Promise<Sent> | Sent {
  const pauseMs = invocation.upstreamPause.untilMs - invocation.now();
  return pauseMs > 0 ? pauseFor(invocation, pauseMs) : send(invocation, task);
}

function pauseFor(invocation: Invocation, ms: number): Sent {
  const dueMs = invocation.now() + ms;
  rememberPause(invocation, dueMs);
  return { kind: "pending", outcome: { kind: "busy", dueMs }, seen: null };
}

function unknown(invocation: Invocation, task: Task): Sent {
  const dueMs = invocation.now() + retryPauseMs(task.attempts, invocation.random());
  return { kind: "pending", outcome: { kind: "unknown", dueMs }, seen: null };
}

function refused(code: RefusalCode): Sent {
  return { kind: "refused", code, errorCode: code === "invalid_media_url" ? "invalid_parameters" : code };
}

/** Records what the first sender of a task has learned, by way of the tenant's object. */
export async function recordFirstSend(
  invocation: Invocation,
  task: Task & { holdNumber: number },
  { outcome, seen }: Extract<Sent, { kind: "pending" }>,
): Promise<void> {
  const isNews = await invocation.tenant(task.tenantId).noteOutcome(task.holdNumber, task.id, outcome);
  if (isNews && seen) await recordSeen(invocation, task, outcome, seen);
  if (outcome.kind === "busy") await pauseUpstream(invocation, outcome.dueMs);
}

/** Records what a later sender of a task has learned, in D1. */
export async function recordSend(invocation: Invocation, task: Task, sent: Sent): Promise<void> {
  if (sent.kind === "refused") {
    const { errorCode } = sent;
    return finish(invocation, [
      { id: task.id, from: ["submitting"], state: "failed", images: [], errorCode },
    ]);
  }
  const { outcome, seen } = sent;
  switch (outcome.kind) {
    case "submitted":
      if ((await markSubmitted(invocation.db, task.id, outcome)) && seen)
        await recordSeen(invocation, task, outcome, seen);
      return;
    case "busy":
      await pauseUpstream(invocation, outcome.dueMs);
      await postponeSend(invocation.db, task, outcome.dueMs, false);
      return;
    case "unknown":
      await postponeSend(invocation.db, task, outcome.dueMs, true);
  }
}

/** The upstream may answer with a task that is terminal already. */
async function recordSeen(
  invocation: Invocation,
  task: Task,
  outcome: FirstOutcome,
  seen: UpstreamTask,
): Promise<void> {
  const target = { ...recordOf(task, outcome), imagesAsked: task.input.n, isRead: false };
  await recordPolls(invocation, [resultOf(invocation, target, seen)]);
}

/** Claims and sends what is due, once; true when there may be more. */
export async function sendDue(invocation: Invocation): Promise<boolean> {
  const claimed = await claimSends(
    invocation.db,
    invocation.now(),
    invocation.now() + sendLeaseMs(invocation),
    connections,
    skipUnreadable(invocation),
  );
  await inParallel(claimed, (task) => sendAgain(invocation, task), { concurrency: connections });
  return claimed.length > 0;
}

/** @returns undefined when the object does not answer: the task is sent once its lease has run out. */
async function takeOver(
  invocation: Invocation,
  tenantId: string,
  holdNumber: number,
  task: string,
): Promise<boolean | undefined> {
  try {
    return await invocation.tenant(tenantId).takeOver(holdNumber, task);
  } catch (error) {
    if (!(error instanceof BindingUnavailable)) throw error;
    invocation.log({ event: "not_taken_over", level: "error", task, problem: describe(error) });
    return undefined;
  }
}

async function sendAgain(invocation: Invocation, task: Task): Promise<void> {
  const end = (errorCode: TaskFailureCode, hidden = false) =>
    finish(invocation, [
      { id: task.id, from: ["submitting"], state: "failed", images: [], errorCode, hidden },
    ]);
  if (invocation.now() >= task.deadlineMs)
    return end(task.uncertain ? "submit_outcome_unknown" : "task_timeout");
  // Its first sender may have ended it, and its caller has heard that there is no task.
  const { holdNumber } = task;
  if (task.uncertain && holdNumber !== null) {
    const isOpen = await takeOver(invocation, task.tenantId, holdNumber, task.id);
    if (isOpen === undefined) return;
    if (!isOpen) return end("service_unavailable", true);
  }
  return recordSend(invocation, task, await send(invocation, task));
}
