/**
 * Submitting a task: admit, write the row, send. A process that dies in between leaves either nothing or a row that
 * cron finishes:
 *
 *   dies after                          what is found
 *   1. admission                        a hold without a row: the object's alarm voids the task and releases it
 *   2. the row (`submitting`, leased)   the lease runs out: cron sends it, under the task's id
 *   3. the upstream took it             the same; the upstream answers with the task it has
 *   4. the row says `submitted`         cron polls
 *
 * Of two equal requests under one idempotency key one is admitted; the other finds its hold and answers with
 * its task, or that it is in progress while the row is not there yet. A task that a replay has shown stays
 * readable, also when the upstream then refuses it.
 */

import { firstTask, markNotified, selectTask, unhideTask } from "../../d1/tasks/tasks.ts";
import { insertEnds } from "../../d1/webhooks/deliveries.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import { ownFileName } from "../../domain/file-addresses.ts";
import type { Task } from "../../domain/task.ts";
import type { TaskRequest } from "../../domain/task-request.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { describe } from "../../platform/log.ts";
import { spendElsewhere } from "../../platform/spending.ts";
import type { AdmitRequest, Refused } from "../../tenant/decide.ts";
import type { BeginDecision, RowWanted } from "../../tenant/object.ts";
import type { RefusalCode } from "../../upstream/errors.ts";
import { missingFiles } from "../files/missing-files.ts";
import { wakeDelivery } from "../webhooks/wake-delivery.ts";
import { finishNow } from "./finish.ts";
import { type IdempotencySource, replayOf } from "./idempotency.ts";
import { send, sendLeaseMs } from "./send.ts";

export interface Submission extends TaskRequest {
  caller: Caller;
  requestId: string;
  origin: string;
  idempotency: IdempotencySource;
  /** Replaces `image_urls` where requests are compared: hashes of the images that came with the request. */
  references?: string[] | undefined;
  /** Those images could not be kept, so only a replay can succeed: anything else is `no_such_files`. */
  onlyReplay?: boolean | undefined;
}

export type SubmitResult =
  | { kind: "accepted"; task: Task; policies: PolicyState[] }
  /** The same request came before: its task. */
  | { kind: "replayed"; task: Task; policies: PolicyState[] }
  /** Its task was erased meanwhile. */
  | { kind: "deleted"; policies: PolicyState[] }
  /** It is still being admitted, or the process that admitted it died, which shows within minutes. */
  | { kind: "in_progress"; retryAfterMs: number; policies: PolicyState[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (Refused & { policies: PolicyState[] })
  /** References that name files of the gateway's, but none of the tenant's that is alive. `places`: in the list. */
  | { kind: "no_such_files"; positions: number[]; policies: PolicyState[] }
  | { kind: "upstream_refused"; code: RefusalCode; policies: PolicyState[] }
  /** Whether there is a task, and so whether anything is charged, could not be learned. If there is one, it has this id. */
  | { kind: "unknown"; taskId: string };

/** @throws BindingUnavailable when the database does not answer before anything is decided. */
export async function submit(invocation: Invocation, submission: Submission): Promise<SubmitResult> {
  const { caller, model, input } = submission;
  const taskId = invocation.newId("task");
  const missing = await missingReferences(invocation, submission);
  const row = newRow(invocation, submission);
  const request: AdmitRequest = {
    caller,
    taskId,
    model,
    images: input.n,
    price: invocation.config.PRICES[model],
    replay: await replayOf(caller, comparedBody(submission), submission.idempotency),
    // A replay gets its task, also when the files are gone meanwhile.
    onlyReplay: submission.onlyReplay === true || missing.length > 0,
    nowMs: row.task.createdMs,
  };
  const remembered = invocation.refusals.find(request);
  if (remembered) return remembered;
  const decision = await begin(invocation, request, row);
  if (decision.kind === "unwritten") return { kind: "unknown", taskId };
  invocation.refusals.keep(request, decision);
  if (decision.kind === "replay") return answerReplay(invocation, caller, decision);
  if (decision.kind === "no_replay")
    return { kind: "no_such_files", positions: missing, policies: decision.policies };
  if (decision.kind !== "admitted") return decision;

  const { policies } = decision;
  spendElsewhere(invocation, decision.cost);
  const task = beganTask(invocation, request, row, decision);
  if (task.state === "queued") return { kind: "accepted", task, policies };

  const sent = await send(invocation, task);
  if (sent.kind === "pending") {
    invocation.defer("write_send", sent.write);
    return { kind: "accepted", task: sent.task, policies };
  }
  try {
    await finishNow(invocation, { ...sent.ending, hidden: true });
  } catch {
    const shown = await orUnknown(invocation, taskId, () => unhide(invocation, task));
    return shown ? { kind: "accepted", task: shown, policies } : { kind: "unknown", taskId };
  }
  return { kind: "upstream_refused", code: sent.code, policies };
}

/** Has the object decide. A call that breaks may have taken effect all the same. */
async function begin(invocation: Invocation, request: AdmitRequest, row: RowWanted): Promise<BeginDecision> {
  const { taskId, caller } = request;
  const decision = await orUnknown(invocation, taskId, () =>
    invocation.tenant(caller.tenantId).begin(request, row),
  );
  return decision ?? { kind: "unwritten" };
}

/** Makes a call; undefined when a binding did not answer, so that what became of the task is not known. */
async function orUnknown<T>(
  invocation: Invocation,
  task: string,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof BindingUnavailable)) throw error;
    invocation.log({ event: "outcome_unknown", level: "error", task, problem: describe(error) });
    return undefined;
  }
}

/** The parts of a request that are equal in a replay. */
function comparedBody({ model, input, metadata, endUser, references }: Submission): object {
  const image_urls = references ?? input.image_urls;
  return { model, input: { ...input, ...(image_urls && { image_urls }) }, metadata, endUser };
}

function missingReferences(invocation: Invocation, { caller, origin, input }: Submission): Promise<number[]> {
  const { config } = invocation;
  const bases = [linkBases(config, origin).api, origin];
  const names = (input.image_urls ?? []).map((url) => ownFileName(url, bases, config.ALLOW_PRIVATE_NETWORK));
  return missingFiles(invocation, caller, names);
}

/**
 * Whether the end of a refused task was written is not known: it may have been, out of everybody's sight, or cron will
 * send it again. The caller gets the task as it is, and from then on lists show it.
 * @throws BindingUnavailable when that cannot be made sure of either.
 */
async function unhide(invocation: Invocation, { id, tenantId }: Task): Promise<Task> {
  const [, ends, row] = await invocation.db.batch([
    unhideTask(invocation.db, id),
    insertEnds(invocation.db, [id], null),
    selectTask(invocation.db, tenantId, id),
  ]);
  if (ends?.meta.changes) wakeDelivery(invocation);
  const task = firstTask(row);
  if (!task) throw new BindingUnavailable("the task is not there");
  return task;
}

/** A submission whose row is not there after so long has probably died: its hold is given up in a few minutes. */
const admittingMs = 10_000;
const inProgressRetryMs = { soon: 1_000, later: 30_000 };

async function answerReplay(
  invocation: Invocation,
  caller: Caller,
  { taskId, admittedMs, policies }: { taskId: string; admittedMs: number; policies: PolicyState[] },
): Promise<SubmitResult> {
  const results = await orUnknown(invocation, taskId, () =>
    invocation.db.batch([
      markNotified(invocation.db, caller.tenantId, taskId),
      selectTask(invocation.db, caller.tenantId, taskId),
    ]),
  );
  if (!results) return { kind: "unknown", taskId };
  const task = firstTask(results[1]);
  if (task?.erased) return { kind: "deleted", policies };
  if (task) return { kind: "replayed", task, policies };
  const retryAfterMs =
    invocation.now() - admittedMs < admittingMs ? inProgressRetryMs.soon : inProgressRetryMs.later;
  return { kind: "in_progress", retryAfterMs, policies };
}

function newRow(
  invocation: Invocation,
  { caller, requestId, origin, input, metadata, endUser }: Submission,
): RowWanted {
  const createdMs = invocation.now();
  const { tenantId, keyId } = caller;
  const dueMs = createdMs + sendLeaseMs(invocation);
  const deadlineMs = createdMs + invocation.config.TASK_DEADLINE_SECONDS * 1000;
  return {
    task: { tenantId, keyId, requestId, origin, input, metadata, endUser, createdMs, deadlineMs, dueMs },
    lowId: invocation.newId("delivery"),
  };
}

/** The task as it was written. @throws BindingUnavailable when it was given up before. */
function beganTask(
  invocation: Invocation,
  { taskId: id, model }: AdmitRequest,
  { task: row }: RowWanted,
  { holdNumber: hold, price, balanceLow, written }: BeginDecision & { kind: "admitted" },
): Task {
  if (balanceLow) {
    invocation.log({ event: "balance_low", tenant: row.tenantId, available: balanceLow.available });
    wakeDelivery(invocation);
  }
  // The hold was given up meanwhile: this request was out of it for minutes.
  if (!written) throw new BindingUnavailable("the task was given up before it was written");
  return {
    ...row,
    ...written,
    id,
    model,
    holdNumber: hold,
    priceCredits: price,
    version: 1,
    finishedMs: null,
    uncertain: false,
    upstreamId: null,
    submittedMs: null,
    refreshedMs: 0,
    processing: false,
    progress: 0,
    estimatedSeconds: null,
    images: [],
    upstreamLinksExpireMs: null,
    errorCode: null,
    hidden: false,
    settled: false,
    erased: false,
  };
}
