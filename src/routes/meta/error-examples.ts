/** An example of each error for the document. The envelope is that of real errors; the messages are written here. */
import { ApiError, type ErrorCode, errorBody, errorCodes } from "../../errors.ts";
import { migrationsAdvice } from "../../flows/cron/check-migrations.ts";

/** Numbers and names in a message are those of one occasion. */
const messages: Record<ErrorCode, string> = {
  invalid_json: "The body is not valid JSON.",
  invalid_request: "n: must be at most 5; size.width: must be at least 64",
  content_policy_violation: "The request was refused by the content policy.",
  invalid_parameters: "The image model refused these parameters.",
  invalid_media_url: "The image model could not fetch a reference image.",
  missing_key: "Send your key as Authorization: Bearer <key>.",
  invalid_key: "The key is not valid.",
  insufficient_balance: "This costs 60 credits, and 30 are available.",
  origin_not_allowed: "This key or token may not be used from this page's origin.",
  secret_key_in_browser: "A secret key was sent from a web page.",
  scope_denied: "This key may not do this.",
  model_not_allowed: "This key or token may not use this model.",
  tenant_suspended: "This tenant is suspended.",
  token_spent: "This token has 0 of its 10 images left: ask for fewer, or get another token.",
  not_found: "There is no such thing.",
  task_not_found: "There is no such task.",
  method_not_allowed: "This route takes GET, HEAD.",
  range_not_satisfiable: "The picture does not reach that far.",
  idempotency_in_progress: "A request with this Idempotency-Key is being admitted.",
  task_not_finished: "This task has not ended yet.",
  task_not_cancellable: "The image service has this task, or it has ended.",
  balance_held: "The balance cannot fall below what is held for running tasks.",
  key_limit: "This tenant has 100 keys that are alive, which is all it may have.",
  already_exists: "There is one already.",
  tenant_busy: "Tasks of this tenant still run.",
  deleted: "This was deleted.",
  body_too_large: "The body must be at most 65536 bytes.",
  unsupported_media_type: "The body must be JSON, with Content-Type: application/json.",
  idempotency_key_reused: "This Idempotency-Key was used for another request.",
  too_many_tasks: "Too many tasks are in flight (concurrent_tasks of this tenant): try again in 12 s.",
  quota_exceeded: "The quota has no room for this (images_per_day of this key): try again in 7200 s.",
  rate_limited: "Too many requests (requests_per_minute of this tenant): try again in 1 s.",
  internal_error: "Something went wrong inside the gateway.",
  misconfigured: "Missing or malformed configuration: UPSTREAM_API_KEY.",
  upstream_rejected: "The gateway's account was refused by the image service.",
  migrations_missing: migrationsAdvice(["0015_archive"]),
  unavailable: "The gateway cannot answer right now. Nothing was charged; try again.",
};

/** The field that an error names, where it always names one. */
const params: Partial<Record<ErrorCode, string>> = {
  invalid_request: "n",
  invalid_media_url: "image_urls",
  model_not_allowed: "model",
};

export function errorExamples() {
  return Object.fromEntries(
    errorCodes.map((code) => {
      const error = new ApiError(code, messages[code], { param: params[code] ?? null });
      return [code, { value: errorBody(error, "req-7k2n9c4w8x1m5p3t6r0q") }];
    }),
  );
}
