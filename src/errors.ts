/**
 * Every error that a caller can get, in one table: its status, type and whether a retry can help. The replies,
 * the OpenAPI document and the tests are all made from it.
 */
import type { ContentfulStatusCode } from "hono/utils/http-status";

interface ErrorRow {
  status: ContentfulStatusCode;
  type: string;
  /** The same request may succeed later. */
  retryable?: true;
  /** A reply with it says in `Retry-After` when. */
  saysWhen?: true;
  /** An automatic retry cannot end otherwise, or would do harm: `x-should-retry: false`. */
  neverRetry?: true;
}

const errorTable = {
  invalid_json: { status: 400, type: "invalid_request_error" },
  invalid_request: { status: 400, type: "invalid_request_error" },
  content_policy_violation: { status: 400, type: "invalid_request_error" },
  invalid_parameters: { status: 400, type: "invalid_request_error" },
  invalid_media_url: { status: 400, type: "invalid_request_error" },
  missing_key: { status: 401, type: "authentication_error" },
  invalid_key: { status: 401, type: "authentication_error" },
  insufficient_balance: { status: 402, type: "insufficient_quota", neverRetry: true },
  origin_not_allowed: { status: 403, type: "permission_error", neverRetry: true },
  secret_key_in_browser: { status: 403, type: "permission_error", neverRetry: true },
  scope_denied: { status: 403, type: "permission_error", neverRetry: true },
  model_not_allowed: { status: 403, type: "permission_error", neverRetry: true },
  tenant_suspended: { status: 403, type: "permission_error", neverRetry: true },
  token_spent: { status: 403, type: "permission_error", neverRetry: true },
  not_found: { status: 404, type: "invalid_request_error" },
  task_not_found: { status: 404, type: "invalid_request_error" },
  method_not_allowed: { status: 405, type: "invalid_request_error" },
  range_not_satisfiable: { status: 416, type: "invalid_request_error" },
  idempotency_in_progress: { status: 409, type: "conflict_error", retryable: true, saysWhen: true },
  task_not_finished: { status: 409, type: "conflict_error" },
  task_not_cancellable: { status: 409, type: "conflict_error" },
  balance_held: { status: 409, type: "conflict_error" },
  key_limit: { status: 409, type: "conflict_error" },
  already_exists: { status: 409, type: "conflict_error" },
  tenant_busy: { status: 409, type: "conflict_error" },
  deleted: { status: 410, type: "invalid_request_error" },
  body_too_large: { status: 413, type: "invalid_request_error" },
  unsupported_media_type: { status: 415, type: "invalid_request_error" },
  idempotency_key_reused: { status: 422, type: "invalid_request_error" },
  too_many_tasks: { status: 429, type: "rate_limit_error", retryable: true, saysWhen: true },
  quota_exceeded: { status: 429, type: "rate_limit_error", saysWhen: true, neverRetry: true },
  rate_limited: { status: 429, type: "rate_limit_error", retryable: true, saysWhen: true },
  internal_error: { status: 500, type: "api_error", retryable: true },
  misconfigured: { status: 500, type: "api_error" },
  upstream_rejected: { status: 502, type: "upstream_error", neverRetry: true },
  migrations_missing: { status: 503, type: "api_error" },
  unavailable: { status: 503, type: "api_error", retryable: true, saysWhen: true },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;
export const errorCodes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]];

const rowOf = (code: ErrorCode): ErrorRow => errorTable[code];
export const neverRetry = (code: ErrorCode): boolean => rowOf(code).neverRetry === true;
export const saysWhenToRetry = (code: ErrorCode): boolean => rowOf(code).saysWhen === true;

/** What a request that failed has cost. `unknown`: it may have made a task, which is charged in the end, or moved credits. */
export const chargedWords = ["no", "held", "yes", "unknown"] as const;
export type Charged = (typeof chargedWords)[number];

export interface ErrorDetails {
  /** Of the first field that breaks its rule. */
  param?: string | null;
  /** `no` only where it is certain. */
  charged?: Charged;
  headers?: Record<string, string>;
}

/** Thrown by routes and middleware only; flows return their refusals as values. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export function errorStatus(code: ErrorCode): ContentfulStatusCode {
  return errorTable[code].status;
}

/** The envelope, which OpenAI's and the upstream's clients both read. */
export function errorBody(error: ApiError, requestId: string) {
  const row = rowOf(error.code);
  const charged = error.details.charged ?? "no";
  return {
    error: {
      code: error.code,
      message: error.message,
      type: row.type,
      param: error.details.param ?? null,
      // What has made a task, or may have, would make another one.
      retryable: charged === "no" && (row.retryable ?? false),
      charged,
    },
    request_id: requestId,
  };
}

export function errorHeaders(error: ApiError): Record<string, string> {
  return {
    "access-control-allow-origin": "*",
    "cache-control": "no-store",
    ...(neverRetry(error.code) ? { "x-should-retry": "false" } : {}),
    ...error.details.headers,
  };
}
