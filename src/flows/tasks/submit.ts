/**
 * Submitting a task: admit, write the row, send. Whatever dies in between leaves either nothing or a row that
 * cron finishes:
 *
 *   dies after                          what is found
 *   1. admission                        a hold without a row: the object's alarm voids the task and releases it
 *   2. the row (`submitting`, leased)   the lease runs out: cron sends it, under the task's id
 *   3. the upstream took it             the same; the upstream answers with the task it has
 *   4. the row says `submitted`         cron looks
 *
 * Of two equal requests under one idempotency key one is admitted; the other finds its hold and answers with
 * its task, or that it is in progress while the row is not there yet. A task that a twin was told of stays to be
 * read, also when the upstream then refuses it.
 */

import { firstTask, noteTold, revealTask, selectTask } from "../../d1/tasks/tasks.ts";
import { insertEnds } from "../../d1/webhooks/deliveries.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import type { Model } from "../../domain/model-catalog.ts";
import type { Task, TaskInput } from "../../domain/task.ts";
import { ownFileName } from "../../domain/uploads.ts";
import { type Deps, linkBases, OutOfReach, spendElsewhere } from "../../platform/invocation.ts";
import type { AdmitRequest, Refused } from "../../tenant/decide.ts";
import type { BeginDecision, RowWanted } from "../../tenant/object.ts";
import type { RefusalCode } from "../../upstream/errors.ts";
import { wakeDelivery } from "../cron/lane-starter.ts";
import { missingFiles } from "../files/files.ts";
import { finishNow } from "./finish.ts";
import { type Repetition, replayOf } from "./idempotency.ts";
import { send, sendLeaseMs } from "./send.ts";

export interface Submission {
  caller: Caller;
  requestId: string;
  origin: string;
  model: Model;
  input: TaskInput;
  metadata: Record<string, string>;
  endUser: string | null;
  repetition: Repetition;
  /** What stands for `image_urls` where a repetition is looked for: hashes, of images that came with the request. */
  references?: string[] | undefined;
  /** Those images could not be kept, so it can only be a repetition: anything else is `no_such_files`. */
  onlyReplay?: boolean | undefined;
}

export type SubmitResult =
  | { kind: "accepted"; task: Task; policies: PolicyState[] }
  /** The same request came before: its task. */
  | { kind: "replayed"; task: Task; policies: PolicyState[] }
  /** Its task was erased meanwhile. */
  | { kind: "deleted"; policies: PolicyState[] }
  /** It is still being admitted, or whoever admitted it died, which shows within minutes. */
  | { kind: "in_progress"; retryAfterMs: number; policies: PolicyState[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (Refused & { policies: PolicyState[] })
  /** References that name files of the gateway's, but none of the tenant's that is alive. `places`: in the list. */
  | { kind: "no_such_files"; places: number[]; policies: PolicyState[] }
  | { kind: "upstream_refused"; code: RefusalCode; policies: PolicyState[] };

/** @throws OutOfReach when the object or the database does not answer; nothing was sent upstream then. */
export async function submit(deps: Deps, submission: Submission): Promise<SubmitResult> {
  const { caller, model, input } = submission;
  const taskId = deps.newId("task");
  const missing = await missingReferences(deps, submission);
  const row = newRow(deps, submission);
  const request: AdmitRequest = {
    caller,
    taskId,
    model,
    images: input.n,
    price: deps.config.PRICES[model],
    replay: await replayOf(caller, sameness(submission), submission.repetition),
    // A repetition gets its task, whatever has become of the files meanwhile.
    onlyReplay: submission.onlyReplay === true || missing.length > 0,
    nowMs: row.task.createdMs,
  };
  const decision = await deps.tenant(caller.tenantId).begin(request, row);
  if (decision.kind === "replay") return answerReplay(deps, caller, decision);
  if (decision.kind === "no_replay")
    return { kind: "no_such_files", places: missing, policies: decision.policies };
  if (decision.kind === "unwritten") throw new OutOfReach("the task was perhaps not written");
  if (decision.kind !== "admitted") return decision;

  const { policies } = decision;
  spendElsewhere(deps, decision.cost);
  const task = beganTask(deps, request, row, decision);
  if (task.state === "queued") return { kind: "accepted", task, policies };

  const sent = await send(deps, task);
  if (sent.kind === "pending") {
    deps.defer("write_send", sent.write);
    return { kind: "accepted", task: sent.task, policies };
  }
  try {
    await finishNow(deps, { ...sent.ending, hidden: true });
  } catch {
    return { kind: "accepted", task: await reveal(deps, task), policies };
  }
  return { kind: "upstream_refused", code: sent.code, policies };
}

/** What has to be equal of two requests for one to be a repetition of the other. */
function sameness({ model, input, metadata, endUser, references }: Submission): object {
  const image_urls = references ?? input.image_urls;
  return { model, input: { ...input, ...(image_urls && { image_urls }) }, metadata, endUser };
}

function missingReferences(deps: Deps, { caller, origin, input }: Submission): Promise<number[]> {
  const { config } = deps;
  const bases = [linkBases(config, origin).api, origin];
  const names = (input.image_urls ?? []).map((url) => ownFileName(url, bases, config.ALLOW_PRIVATE_NETWORK));
  return missingFiles(deps, caller, names);
}

/**
 * Whether the end of a refused task was written is not known: it may have been, out of everybody's sight, or cron will
 * send it again. The caller is told of the task as it is, and from then on it is in sight.
 * @throws OutOfReach when that cannot be made sure of either.
 */
async function reveal(deps: Deps, { id, tenantId }: Task): Promise<Task> {
  const [, told, row] = await deps.db.batch([
    revealTask(deps.db, id),
    insertEnds(deps.db, [id], null),
    selectTask(deps.db, tenantId, id),
  ]);
  if (told?.meta.changes) wakeDelivery(deps);
  const task = firstTask(row);
  if (!task) throw new OutOfReach("the task is not there");
  return task;
}

/** A twin that is not there after so long has probably died: its hold is given up in a few minutes. */
const twinMs = 10_000;
const twinRetryMs = { soon: 1_000, later: 30_000 };

async function answerReplay(
  deps: Deps,
  caller: Caller,
  { taskId, admittedMs, policies }: { taskId: string; admittedMs: number; policies: PolicyState[] },
): Promise<SubmitResult> {
  const [, found] = await deps.db.batch([
    noteTold(deps.db, caller.tenantId, taskId),
    selectTask(deps.db, caller.tenantId, taskId),
  ]);
  const task = firstTask(found);
  if (task?.erased) return { kind: "deleted", policies };
  if (task) return { kind: "replayed", task, policies };
  const retryAfterMs = deps.now() - admittedMs < twinMs ? twinRetryMs.soon : twinRetryMs.later;
  return { kind: "in_progress", retryAfterMs, policies };
}

function newRow(deps: Deps, { caller, requestId, origin, input, metadata, endUser }: Submission): RowWanted {
  const createdMs = deps.now();
  const { tenantId, keyId } = caller;
  const deadlineMs = createdMs + deps.config.TASK_DEADLINE_SECONDS * 1000;
  return {
    task: { tenantId, keyId, requestId, origin, input, metadata, endUser, createdMs, deadlineMs },
    leaseUntilMs: createdMs + sendLeaseMs(deps),
    lowId: deps.newId("delivery"),
  };
}

/** The task as it was written. @throws OutOfReach when it was given up before. */
function beganTask(
  deps: Deps,
  { taskId: id, model }: AdmitRequest,
  { task: row }: RowWanted,
  { hold, price, balanceLow, written }: BeginDecision & { kind: "admitted" },
): Task {
  if (balanceLow) {
    deps.log({ event: "balance_low", tenant: row.tenantId, available: balanceLow.available });
    wakeDelivery(deps);
  }
  // The hold was given up meanwhile: this request was out of it for minutes.
  if (!written) throw new OutOfReach("the task was given up before it was written");
  return {
    ...row,
    ...written,
    id,
    model,
    hold,
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
    linksDieMs: null,
    errorCode: null,
    hidden: false,
    settled: false,
    erased: false,
  };
}
