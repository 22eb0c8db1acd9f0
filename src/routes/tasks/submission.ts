/** Submitting a task on behalf of a request, in whichever dialect it came. */
import * as z from "zod";
import { documented } from "../../domain/documented.ts";
import { idempotencyLifeMs } from "../../domain/replay-life.ts";
import { isFinished, type Task } from "../../domain/task.ts";
import type { TaskRequest } from "../../domain/task-request.ts";
import type { ApiError, ErrorCode } from "../../errors.ts";
import { submit } from "../../flows/tasks/submit.ts";
import { countCall, networkAddress } from "../../http/call-limits.ts";
import { type AppContext, originOf } from "../../http/context.ts";
import { bodyErrors, keyErrors, limitHeaders } from "../../http/replies.ts";
import { invalidRequest } from "../../http/validation.ts";
import { refusalCodes } from "../../upstream/errors.ts";
import { refuseToPublic } from "./generation-checks.ts";
import { keyRefused, outcomeUnknown, submissionRefused } from "./refusals.ts";

/** Visible ASCII. */
const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

export const idempotencyHeader = {
  "idempotency-key": z
    .string()
    .regex(idempotencyKeyPattern, "must be 1 to 255 visible ASCII characters")
    .optional()
    .meta(
      documented(() => ({
        description: `The same key and body within ${idempotencyLifeMs / 3_600_000} hours answer with the same task.`,
        examples: ["order-1001"],
      })),
    ),
  "x-stainless-retry-count": z
    .string()
    .optional()
    .meta(
      documented(() => ({
        description:
          "Set by OpenAI's clients. From 1 on, and without an `Idempotency-Key`, the same body from the same secret key " +
          "within an hour answers with the task that the first attempt made.",
      })),
    ),
};

/** Codes that a submission can be answered with. */
export const submissionErrors = [
  ...bodyErrors,
  ...keyErrors,
  "model_not_allowed",
  "token_spent",
  "insufficient_balance",
  "too_many_tasks",
  "quota_exceeded",
  "idempotency_in_progress",
  "idempotency_key_reused",
  "deleted",
  ...refusalCodes,
] as const satisfies ErrorCode[];

export interface Asked extends TaskRequest {
  /** `Idempotency-Key`. */
  idempotencyKey: string | null;
  /** The hashes that stand for `image_urls` where an equal request is searched. */
  references?: string[];
  /** The request can only be a replay: a new one is refused for this. */
  refusal?: ApiError;
  /** It only asks: as a new request that would be let in it is refused with this. */
  asking?: ApiError;
  /** It was counted before its body was read. */
  isCounted?: boolean;
}

/** Counts a submission of a page's visitor by its network address. @throws ApiError where it is too many. */
export async function countPublic(c: AppContext): Promise<void> {
  if (c.get("caller").kind !== "secret") await countCall(c, "submissions");
}

/** Holds the visitors of a page to what they may ask for. */
export function checkPublic(c: AppContext, { input, endUser }: Pick<TaskRequest, "input" | "endUser">): void {
  const { kind, token } = c.get("caller");
  if (kind === "secret") return;
  refuseToPublic(input);
  // Another person's list, and another's allowance, are not a visitor's to name.
  if (endUser !== null && endUser !== token?.endUser) throw foreignEndUser(c);
}

function foreignEndUser(c: AppContext): ApiError {
  const field = Object.hasOwn(c.get("body") ?? {}, "end_user") || !isOpenAi(c) ? "end_user" : "user";
  const message = "is for secret keys: a client token has the end user that it was minted for";
  return invalidRequest([{ path: [field], message }]);
}

const isOpenAi = (c: AppContext) => c.req.path.startsWith("/openai/");

/**
 * Submits a request of any caller.
 * @throws ApiError for every refusal.
 */
export async function submitAsked(c: AppContext, asked: Asked): Promise<Submitted> {
  checkPublic(c, asked);
  await countPublic(c);
  return submitLetIn(c, asked);
}

interface Submitted {
  task: Task;
  headers: Record<string, string>;
  isReplay: boolean;
}

/**
 * Submits a request that {@link checkPublic} and {@link countPublic} have let in.
 * @returns the task, and the headers of limits and idempotency.
 * @throws ApiError for every refusal.
 */
export async function submitLetIn(
  c: AppContext,
  { model, input, metadata, endUser, idempotencyKey, references, refusal, asking, isCounted }: Asked,
): Promise<Submitted> {
  const invocation = c.get("invocation");
  const caller = c.get("caller");
  const result = await submit(invocation, {
    caller,
    requestId: c.get("requestId"),
    origin: originOf(c),
    model,
    input,
    references,
    onlyReplay: refusal !== undefined,
    onlyAsks: asking !== undefined,
    isCounted,
    metadata,
    endUser: caller.token?.endUser ?? endUser,
    idempotency: { key: idempotencyKey, retries: retriesOf(c), ip: networkAddress(c) },
  });
  if (result.kind === "key_refused") throw keyRefused(result.refusal);
  if (result.kind === "unknown") throw outcomeUnknown(result.taskId);
  const otherwise = asking ?? refusal;
  if (otherwise && result.kind === "no_such_files") throw otherwise;
  const headers = limitHeaders(result.policies);
  if (result.kind !== "accepted" && result.kind !== "replayed")
    throw submissionRefused(result, headers, caller.kind === "secret", references ? "image" : "image_urls");
  c.set("taskId", result.task.id);
  c.set("madeTask", result.task);
  const isReplay = result.kind === "replayed";
  const replayed: Record<string, string> = isReplay ? { "idempotency-replayed": "true" } : {};
  return { task: result.task, headers: { ...headers, ...replayed }, isReplay };
}

/** How often the client says that it has attempted before. */
function retriesOf(c: AppContext): number {
  const retries = Number(c.req.header("x-stainless-retry-count") ?? 0);
  return Number.isInteger(retries) && retries > 0 ? retries : 0;
}

/** Where an accepted task is to be found. */
export function taskHeaders(task: Task): Record<string, string> {
  return {
    ...(isFinished(task) ? {} : { "retry-after": "3" }),
    location: `/v1/tasks/${task.id}`,
    "cache-control": "no-store",
  };
}
