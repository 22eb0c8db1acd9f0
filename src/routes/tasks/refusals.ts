/** Turns the refusals that flows return into the errors that callers get. A new kind of refusal does not compile until it has one. */
import type { KeyRefusal } from "../../domain/access.ts";
import type { LimitRefusal } from "../../domain/admission.ts";
import { ApiError } from "../../errors.ts";
import type { FileAdmission } from "../../flows/files/admit-file.ts";
import type { SubmitResult } from "../../flows/tasks/submit.ts";
import { invalidRequest } from "../../http/validation.ts";
import type { RefusalCode } from "../../upstream/errors.ts";

/** @param modelField The field of the request that names the model. */
export function keyRefused(refusal: KeyRefusal, modelField = "model"): ApiError {
  switch (refusal) {
    case "invalid_key":
      return new ApiError("invalid_key", "The key is not valid.", {
        headers: { "www-authenticate": "Bearer" },
      });
    case "tenant_suspended":
      return new ApiError("tenant_suspended", "This tenant is suspended. Its operator knows why.");
    case "scope_denied":
      return new ApiError(
        "scope_denied",
        "This key may not do this. A secret key needs the scope `images` or `manage`, as the route is; a page's key or " +
          "token leaves this to a server with a secret key.",
      );
    case "origin_not_allowed":
      return new ApiError(
        "origin_not_allowed",
        "This key or token may not be used from this page's origin: it is none of its `allowed_origins`.",
      );
    case "model_not_allowed":
      return new ApiError(
        "model_not_allowed",
        "This key or token may not use this model: `GET /v1/models` lists what it may.",
        { param: modelField },
      );
  }
}

interface RefusedKey {
  kind: "key_refused";
  refusal: KeyRefusal;
}

type RefusedTask = RefusedKey | { kind: "not_found" } | { kind: "deleted" };

/**
 * A flow's result, which is no refusal of the caller's key.
 * @param modelField The field of the request that names the model.
 * @throws ApiError for a refusal of the key.
 */
export function unlessKeyRefused<Result extends { kind: string }>(
  result: Result | RefusedKey,
  modelField?: string,
): Exclude<Result, RefusedKey> {
  if (result.kind === "key_refused") throw keyRefused((result as RefusedKey).refusal, modelField);
  return result as Exclude<Result, RefusedKey>;
}

/**
 * A flow's result on one task, which this caller may have.
 * @throws ApiError for a refusal of the key, and for a task that is not there or was deleted.
 */
export function unlessTaskRefused<Result extends { kind: string }>(
  result: Result | RefusedTask,
): Exclude<Result, RefusedTask> {
  const refused = result as RefusedTask;
  switch (refused.kind) {
    case "key_refused":
      throw keyRefused(refused.refusal);
    case "not_found":
      throw new ApiError("task_not_found", "There is no such task.");
    case "deleted":
      throw taskDeleted();
  }
  return result as Exclude<Result, RefusedTask>;
}

/** Only a caller who could read the task before gets this error. */
export function taskDeleted(): ApiError {
  return new ApiError("deleted", "This task was deleted.");
}

/** The error for a submission of which it is not known whether it made a task. */
export function outcomeUnknown(taskId: string): ApiError {
  const message =
    "It is not known whether this request was taken. Read the task that `x-task-id` names before you try again: if there " +
    "is none after some minutes, nothing was charged.";
  return new ApiError("unavailable", message, {
    charged: "unknown",
    headers: { "retry-after": "1", "x-task-id": taskId },
  });
}

type Refusal = Exclude<SubmitResult, { kind: "accepted" | "replayed" | "key_refused" | "unknown" }>;

/**
 * The error for a submission that is refused.
 * @param headers The limits' state.
 * @param showCredits Whether the caller may know of the tenant's money: a page's visitors may not.
 * @param referenceField The field of the request that holds the references.
 */
export function submissionRefused(
  refusal: Refusal,
  headers: Record<string, string>,
  showCredits: boolean,
  referenceField: string,
): ApiError {
  switch (refusal.kind) {
    case "limited":
      return limited(refusal, headers);
    case "never_fits":
      return new ApiError(
        "invalid_request",
        `n: must be at most ${refusal.most}, which is the limit ${refusal.limit}`,
        {
          param: "n",
          headers,
        },
      );
    case "token_spent":
      return new ApiError(
        "token_spent",
        `This token has ${refusal.left} of its ${refusal.most} images left: ask for fewer, or get another token.`,
        { headers },
      );
    case "insufficient_balance":
      return new ApiError(
        "insufficient_balance",
        showCredits
          ? `This costs ${refusal.needed} credits, and ${refusal.available} are available.`
          : "The balance does not cover this.",
        { headers },
      );
    case "no_such_files":
      return withHeaders(
        invalidRequest(
          refusal.positions.map((place) => ({
            path: ["image_urls", place],
            message: "is not a file of yours that is alive: upload it again",
          })),
        ),
        headers,
      );
    case "other_body":
      return new ApiError(
        "idempotency_key_reused",
        "This Idempotency-Key was used for another request. Use a new one for each request.",
        { headers },
      );
    case "deleted":
      return taskDeleted();
    case "upstream_refused":
      return upstreamRefused(refusal.code, headers, referenceField);
  }
}

/**
 * The error for an upload that is refused, by a key that is good.
 * @param field The field of the request that holds the file.
 */
export function fileRefused(
  refusal: Exclude<FileAdmission, { kind: "admitted" | "key_refused" }>,
  field = "file",
): ApiError {
  switch (refusal.kind) {
    case "limited":
      return limited(refusal, {});
    case "too_large":
      return invalidRequest([
        { path: [field], message: `must be at most ${refusal.most} bytes, which is the limit file_bytes` },
      ]);
    case "token_spent":
      return new ApiError("token_spent", `This token's ${refusal.most} uploads are used up.`);
  }
}

function withHeaders({ code, message, details }: ApiError, headers: Record<string, string>): ApiError {
  return new ApiError(code, message, { ...details, headers: { ...details.headers, ...headers } });
}

const limitTexts = {
  rate_limited: "Too many requests",
  too_many_tasks: "Too many tasks are in flight",
  quota_exceeded: "The quota has no room for this",
} as const;

/** A caller asks for another token, or asks the operator, by whose limit it is. */
const holderTexts = {
  tenant: " of this tenant",
  key: " of this key",
  token: " of this token",
  address: " of this network address",
} as const;

function limited({ code, limit, of, retryAfterMs }: LimitRefusal, headers: Record<string, string>): ApiError {
  const seconds = Math.ceil(retryAfterMs / 1000);
  const whose = of ? holderTexts[of] : "";
  return new ApiError(code, `${limitTexts[code]} (${limit}${whose}): try again in ${seconds} s.`, {
    headers: { ...headers, "retry-after": String(seconds) },
  });
}

/** @param headers The limits' state: the request was counted. */
function upstreamRefused(
  code: RefusalCode,
  headers: Record<string, string>,
  referenceField: string,
): ApiError {
  switch (code) {
    case "content_policy_violation":
      return new ApiError(
        code,
        "The request was refused by the content policy. Change the prompt or the references.",
        { headers },
      );
    case "invalid_parameters":
      return new ApiError(
        code,
        "The image model refused these parameters. Check size, number and references.",
        { headers },
      );
    case "invalid_media_url":
      return new ApiError(code, "The image model could not fetch a reference image.", {
        param: referenceField,
        headers,
      });
    case "upstream_rejected":
      return new ApiError(
        code,
        "The gateway's account was refused by the image service. Its operator has to act.",
        { headers },
      );
  }
}
