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
 *   4a. refused → ends it               4b. accepted → changes nothing; the caller has the refusal
 */

import pMap from "p-map";
import { coolDown } from "../../d1/cron/leases.ts";
import { claimSends } from "../../d1/tasks/due-tasks.ts";
import { type Ending, postponeSend } from "../../d1/tasks/tasks.ts";
import { accountPauseMs, retryPauseMs } from "../../domain/back-off.ts";
import type { Task } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { spendElsewhere } from "../../platform/spending.ts";
import { skipUnreadable } from "../../platform/unreadable.ts";
import type { RefusalCode } from "../../upstream/errors.ts";
import type { SubmitOutcome } from "../../upstream/evolink.ts";
import { finish } from "./finish.ts";
import { recordPolls, resultOf } from "./poll.ts";

/** A sender's lease in milliseconds: one call, and time to record its outcome. */
export function sendLeaseMs(invocation: Pick<Invocation, "config">): number {
  return invocation.config.UPSTREAM_TIMEOUT_MS + 30_000;
}

/** A send's outcome: the task as it is now, and how to record that. */
export type SendResult =
  | { kind: "pending"; task: Task; write: () => Promise<unknown> }
  | { kind: "refused"; code: RefusalCode; ending: Ending };

/** Sends a task whose lease the caller holds. */
export async function send(invocation: Invocation, task: Task): Promise<SendResult> {
  const outcome = await invocation.upstream.submit(task.model, task.input, task.id);
  // An account that is refused now says nothing of an earlier send that may have been taken.
  const open = outcome.kind === "refused" && outcome.code === "upstream_rejected" && task.uncertain;
  switch (outcome.kind) {
    case "accepted":
      return accepted(invocation, task, outcome);
    case "busy":
      return busy(invocation, task, outcome.retryAfterMs);
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
      return open ? unknown(invocation, task) : refused(task, outcome.code);
  }
}

function accepted(
  invocation: Invocation,
  task: Task,
  outcome: SubmitOutcome & { kind: "accepted" },
): SendResult {
  const { upstreamId, seen } = outcome;
  const submittedMs = invocation.now();
  const submitted = { upstreamId, submittedMs, estimatedSeconds: seen.estimatedSeconds };
  const now: Task = { ...task, ...submitted, state: "submitted", refreshedMs: submittedMs };
  const write = async () => {
    const noted = await invocation.tenant(task.tenantId).submitted(task.id, submitted);
    if (!noted) throw new BindingUnavailable("that the upstream has the task was perhaps not written");
    spendElsewhere(invocation, noted.cost);
    // The upstream may answer with a task that is terminal already.
    if (noted.isFirst)
      await recordPolls(invocation, [
        resultOf(invocation, { ...now, imagesAsked: task.input.n, isRead: false }, seen),
      ]);
  };
  return { kind: "pending", task: now, write };
}

function busy(invocation: Invocation, task: Task, retryAfterMs: number | null): SendResult {
  const dueMs = invocation.now() + accountPauseMs(retryAfterMs);
  const write = async () => {
    await coolDown(invocation.db, dueMs);
    await postponeSend(invocation.db, task, dueMs, false);
  };
  return {
    kind: "pending",
    task: { ...task, state: task.uncertain ? "submitting" : "queued", dueMs },
    write,
  };
}

function unknown(invocation: Invocation, task: Task): SendResult {
  const dueMs = invocation.now() + retryPauseMs(task.attempts, invocation.random());
  const write = () => postponeSend(invocation.db, task, dueMs, true);
  return { kind: "pending", task: { ...task, uncertain: true, dueMs }, write };
}

function refused(task: Task, code: RefusalCode): SendResult {
  const errorCode = code === "invalid_media_url" ? "invalid_parameters" : code;
  return {
    kind: "refused",
    code,
    ending: { id: task.id, from: ["submitting"], state: "failed", images: [], errorCode },
  };
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
  await pMap(
    claimed,
    async (task) => {
      if (invocation.now() >= task.deadlineMs) {
        const errorCode = task.uncertain ? "submit_outcome_unknown" : "task_timeout";
        return finish(invocation, [
          { id: task.id, from: ["submitting"], state: "failed", images: [], errorCode },
        ]);
      }
      const result = await send(invocation, task);
      await (result.kind === "refused" ? finish(invocation, [result.ending]) : result.write());
    },
    { concurrency: connections },
  );
  return claimed.length > 0;
}
