/**
 * Submitting a task: admit, write the row, send. Whatever dies in between leaves either nothing or a row that
 * cron finishes:
 *
 *   dies after                          what cron finds
 *   1. admission                        nothing: one request was counted
 *   2. the row (`submitting`, leased)   the lease runs out: it sends, under the task's id
 *   3. the upstream took it             the same; the upstream answers with the task it has
 *   4. the row says `submitted`         it looks
 */
import type { Deps } from "../deps.ts";
import type { KeyClaims } from "../domain/keys.ts";
import type { PolicyState } from "../domain/limits.ts";
import type { Model } from "../domain/models.ts";
import type { Task, TaskInput } from "../domain/task.ts";
import type { KeyRefusal } from "../domain/tenant.ts";
import { insertTask } from "../store/tasks.ts";
import type { RefusalCode } from "../upstream/errors.ts";
import { finish } from "./finish.ts";
import { send, sendLeaseMs } from "./send.ts";

/** Who asks: what the key says of itself, and its hash. */
export interface Caller extends KeyClaims {
  keyHash: string;
}

export interface Submission {
  caller: Caller;
  requestId: string;
  origin: string;
  model: Model;
  input: TaskInput;
  metadata: Record<string, string>;
  endUser: string | null;
}

export type SubmitResult =
  | { kind: "accepted"; task: Task; policies: PolicyState[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | { kind: "rate_limited"; policy: PolicyState["name"]; retryAfterMs: number; policies: PolicyState[] }
  | { kind: "upstream_refused"; code: RefusalCode; policies: PolicyState[] };

/** @throws OutOfReach when the object or the database does not answer; nothing was sent upstream then. */
export async function submit(deps: Deps, submission: Submission): Promise<SubmitResult> {
  const { caller } = submission;
  const decision = await deps.tenant(caller.tenantId).admit({
    tenantId: caller.tenantId,
    keyId: caller.keyId,
    keyHash: caller.keyHash,
    scope: "images",
    nowMs: deps.now(),
  });
  if (!decision.admitted) {
    if (decision.refusal === "rate_limited") return { kind: "rate_limited", ...decision };
    return { kind: "key_refused", refusal: decision.refusal };
  }
  const { policies } = decision;
  const task = await writeTask(deps, submission);
  if (task.state === "queued") return { kind: "accepted", task, policies };

  const sent = await send(deps, task);
  if (sent.kind === "pending") {
    deps.defer("write_send", sent.write);
    return { kind: "accepted", task: sent.task, policies };
  }
  try {
    await finish(deps, [{ ...sent.ending, hidden: true }]);
  } catch {
    // The row still says `submitting`, so cron will send it again: the task lives, and the caller must know.
    return { kind: "accepted", task, policies };
  }
  return { kind: "upstream_refused", code: sent.code, policies };
}

async function writeTask(deps: Deps, submission: Submission): Promise<Task> {
  const { caller, ...asked } = submission;
  const createdMs = deps.now();
  const task: Task = {
    ...asked,
    id: deps.newId("task"),
    tenantId: caller.tenantId,
    keyId: caller.keyId,
    state: "submitting",
    version: 1,
    priceCredits: deps.config.PRICES[submission.model],
    createdMs,
    deadlineMs: createdMs + deps.config.TASK_DEADLINE_SECONDS * 1000,
    finishedMs: null,
    dueMs: createdMs + sendLeaseMs(deps),
    attempts: 1,
    uncertain: false,
    upstreamId: null,
    submittedMs: null,
    refreshedMs: 0,
    processing: false,
    progress: 0,
    estimatedSeconds: null,
    images: [],
    linksDieMs: null,
    errorCode: null,
    hidden: false,
  };
  return { ...task, ...(await insertTask(deps.db, task, task.dueMs)) };
}
