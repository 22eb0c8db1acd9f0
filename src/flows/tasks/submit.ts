/**
 * Submitting a task: the tenant's object admits and begins it, the upstream gets it, and what came of that goes to the
 * object beside the reply. No caller waits for D1. A process that dies in between leaves either nothing or a task that cron
 * finishes:
 *
 *   dies after                          what is found
 *   1. begin                            the object writes the row, `submitting` and leased; the lease runs out: cron sends
 *                                       it, under the task's id
 *   2. the upstream took it             the same; the upstream answers with the task it has
 *   3. the outcome is in the object     D1 gets it with the row
 *
 * A call to the object that broke may have taken effect. The stub repeats it once where the platform says that this helps;
 * else the task is given up, which the object either confirms, so that nothing is charged, or not:
 *
 *   begin      giveUp                   what the caller hears
 *   broke      ended                    503, not charged: it has ended, or it never will begin
 *   broke      goes on                  503, unknown: another request got the task meanwhile, or cron sends it
 *   broke      broke                    503, unknown
 *
 * Of two equal requests under one idempotency key one is admitted; the other gets its task. A task that a replay has got
 * stays in sight, also when the upstream then refuses it.
 */

import { firstTask, selectTask } from "../../d1/tasks/tasks.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import { ownFileName } from "../../domain/file-addresses.ts";
import { recordOf } from "../../domain/new-task.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import type { Task } from "../../domain/task.ts";
import type { TaskRequest } from "../../domain/task-request.ts";
import { whenLate } from "../../domain/time-limit.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { linkBases } from "../../platform/link-bases.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable } from "../../platform/unreadable.ts";
import type { AdmitRequest, BeginDecision, Refused, RowWanted } from "../../tenant/decide.ts";
import type { RefusalCode } from "../../upstream/errors.ts";
import { missingFiles } from "../files/missing-files.ts";
import { wakeDelivery } from "../webhooks/wake-delivery.ts";
import { addressName, type IdempotencySource, replayOf } from "./idempotency.ts";
import { recordFirstSend, type Sent, sendLeaseMs, sendOrWait } from "./send.ts";

export interface Submission extends TaskRequest {
  caller: Caller;
  requestId: string;
  origin: string;
  idempotency: IdempotencySource;
  /** Replaces `image_urls` where requests are compared: hashes of the images that came with the request. */
  references?: string[] | undefined;
  /** Those images could not be kept, so only a replay can succeed: anything else is `no_such_files`. */
  onlyReplay?: boolean | undefined;
  /** It only asks, before its images are kept: as a new request that would be let in it is `no_such_files`. */
  onlyAsks?: boolean | undefined;
  /** It is one of the minute's requests already. */
  isCounted?: boolean | undefined;
}

export type SubmitResult =
  | { kind: "accepted"; task: Task; policies: PolicyState[] }
  /** The same request came before: its task. */
  | { kind: "replayed"; task: Task; policies: PolicyState[] }
  /** Its task was erased meanwhile. */
  | { kind: "deleted"; policies: PolicyState[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | (Refused & { policies: PolicyState[] })
  /** References that name files of the gateway's, but none of the tenant's that is alive. `places`: in the list. */
  | { kind: "no_such_files"; positions: number[]; policies: PolicyState[] }
  | { kind: "upstream_refused"; code: RefusalCode; policies: PolicyState[] }
  /** Whether there is a task, and so whether anything is charged, could not be learned. If there is one, it has this id. */
  | { kind: "unknown"; taskId: string };

/** @throws BindingUnavailable when nothing was begun, for sure. */
export async function submit(invocation: Invocation, submission: Submission): Promise<SubmitResult> {
  const { caller, model, input } = submission;
  const taskId = invocation.newId("task");
  const row = newRow(invocation, submission);
  const request: AdmitRequest = {
    caller,
    taskId,
    model,
    images: input.n,
    price: invocation.config.PRICES[model],
    replay: await replayOf(caller, comparedBody(submission), submission.idempotency),
    // An object of the version before knows no asking: it must not begin the task.
    onlyReplay: submission.onlyReplay === true || submission.onlyAsks === true,
    onlyAsks: submission.onlyAsks === true,
    address: await addressName(caller, submission.idempotency.ip),
    isCounted: submission.isCounted === true,
    isRepeated: false,
    nowMs: row.task.createdMs,
  };
  const remembered = invocation.refusals.find(request);
  if (remembered) return remembered;
  const missing = await missingReferences(invocation, submission);
  // A replay gets its task, also when the files are gone meanwhile.
  request.onlyReplay ||= missing.length > 0;
  const decision = await begin(invocation, request, row);
  if (decision === undefined) return { kind: "unknown", taskId };
  switch (decision.kind) {
    case "given_up":
      return { kind: "unknown", taskId };
    case "replay":
      return answerReplay(invocation, caller, decision);
    case "no_replay":
      return { kind: "no_such_files", positions: missing, policies: decision.policies };
    case "admitted":
      return sendBegun(invocation, request, row, decision);
    default:
      invocation.refusals.keep(request, decision);
      return decision;
  }
}

/** Has the object decide. @returns undefined when it is not known what came of it. */
async function begin(
  invocation: Invocation,
  request: AdmitRequest,
  row: RowWanted,
): Promise<BeginDecision | undefined> {
  const { taskId, caller, nowMs } = request;
  const tenant = invocation.tenant(caller.tenantId);
  try {
    return await tenant.begin(request, row);
  } catch (error) {
    // What only asks begins nothing.
    if (!(error instanceof BindingUnavailable) || request.onlyAsks) throw error;
    if ((await orUnknown(invocation, taskId, () => tenant.giveUp(taskId, nowMs))) === "ended") throw error;
    return undefined;
  }
}

/** Makes a call; undefined when it had no answer, or none that can be read: what became of the task is not known. */
async function orUnknown<T>(
  invocation: Invocation,
  task: string,
  call: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof StoredDataUnreadable) logUnreadable(invocation, error);
    else if (!(error instanceof BindingUnavailable)) throw error;
    invocation.log({ event: "outcome_unknown", level: "error", task, problem: describe(error) });
    return undefined;
  }
}

/** Where the upstream takes longer, the task is written to D1 without an outcome, so that lists show it. */
const patienceMs = 2_000;

type Admitted = Extract<BeginDecision, { kind: "admitted" }>;

/** Sends a task that has begun. */
async function sendBegun(
  invocation: Invocation,
  { taskId: id, model }: AdmitRequest,
  { task: wanted }: RowWanted,
  { holdNumber, price, balanceLow, policies }: Admitted,
): Promise<SubmitResult> {
  if (balanceLow)
    invocation.log({ event: "balance_low", tenant: wanted.tenantId, available: balanceLow.available });
  const row = { ...wanted, id, model, priceCredits: price, holdNumber };
  const begun = recordOf(row, null);
  const tenant = invocation.tenant(wanted.tenantId);
  const writeRow = () => invocation.defer("write_row", () => tenant.writeRow(holdNumber));
  const sent = await whenLate(patienceMs, () => sendOrWait(invocation, begun), writeRow);
  if (sent.kind === "refused") return endRefused(invocation, begun, holdNumber, sent, policies);
  invocation.defer("record_send", async () => {
    await recordFirstSend(invocation, { ...begun, holdNumber }, sent);
    if (balanceLow) wakeDelivery(invocation);
  });
  return { kind: "accepted", task: recordOf(row, sent.outcome), policies };
}

/** Gives the caller the upstream's refusal, once it is sure that there is no task; else it gets the task. */
async function endRefused(
  invocation: Invocation,
  task: Task,
  holdNumber: number,
  { code, errorCode }: Extract<Sent, { kind: "refused" }>,
  policies: PolicyState[],
): Promise<SubmitResult> {
  const { id: taskId, tenantId } = task;
  const end = { taskId, holdNumber, errorCode, nowMs: invocation.now() };
  const ended = await orUnknown(invocation, taskId, () => invocation.tenant(tenantId).endEarly(end));
  switch (ended) {
    case "ended":
      // What fails the object's alarm does.
      invocation.defer("write_end", () => invocation.tenant(tenantId).flush());
      return { kind: "upstream_refused", code, policies };
    case "goes_on":
      return { kind: "accepted", task, policies };
    case undefined:
      return { kind: "unknown", taskId };
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

/** Answers with the task of the request that came before: as the object has it where D1 lacks it, or of D1. */
async function answerReplay(
  invocation: Invocation,
  caller: Caller,
  { taskId, task, isSure, policies }: Extract<BeginDecision, { kind: "replay" }>,
): Promise<SubmitResult> {
  if (task && isSure) return { kind: "replayed", task, policies };
  const row = await orUnknown(invocation, taskId, () => readTaskRow(invocation, caller.tenantId, taskId));
  const found = row?.task ?? task;
  // One that D1 has lost, as after it was restored to an earlier time, was not deleted.
  if (!found) return { kind: "unknown", taskId };
  return found.erased ? { kind: "deleted", policies } : { kind: "replayed", task: found, policies };
}

async function readTaskRow(invocation: Invocation, tenantId: string, id: string) {
  const [result] = await invocation.db.batch([selectTask(invocation.db, tenantId, id)]);
  return { task: firstTask(result) };
}

function newRow(
  invocation: Invocation,
  { caller, requestId, origin, input, metadata, endUser }: Submission,
): RowWanted {
  const createdMs = invocation.now();
  const { tenantId, keyId, token } = caller;
  const dueMs = createdMs + sendLeaseMs(invocation);
  const deadlineMs = createdMs + invocation.config.TASK_DEADLINE_SECONDS * 1000;
  return {
    task: {
      ...{ tenantId, keyId, tokenId: token?.id ?? null, requestId, origin, input, metadata, endUser },
      ...{ createdMs, deadlineMs, dueMs },
    },
    lowId: invocation.newId("delivery"),
  };
}
