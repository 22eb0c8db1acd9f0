import { describe, expect, it } from "vitest";
import { ApiError, type ErrorCode, errorBody, errorCodes, errorHeaders, errorStatus } from "../src/errors.ts";

/** Every code that a caller may ever get: status, type, codes. */
const contract: [number, string, string[]][] = [
  [400, "invalid_request_error", ["invalid_json", "invalid_request"]],
  [400, "invalid_request_error", ["content_policy_violation", "invalid_parameters", "invalid_media_url"]],
  [401, "authentication_error", ["missing_key", "invalid_key"]],
  [402, "insufficient_quota", ["insufficient_balance"]],
  [403, "permission_error", ["origin_not_allowed", "secret_key_in_browser", "scope_denied"]],
  [403, "permission_error", ["model_not_allowed", "tenant_suspended", "token_spent"]],
  [404, "invalid_request_error", ["not_found", "task_not_found"]],
  [405, "invalid_request_error", ["method_not_allowed"]],
  [406, "invalid_request_error", ["not_acceptable"]],
  [416, "invalid_request_error", ["range_not_satisfiable"]],
  [409, "conflict_error", ["idempotency_in_progress", "task_not_finished", "task_not_cancellable"]],
  [409, "conflict_error", ["already_exists", "tenant_busy", "balance_held"]],
  [410, "invalid_request_error", ["deleted"]],
  [413, "invalid_request_error", ["body_too_large"]],
  [415, "invalid_request_error", ["unsupported_media_type"]],
  [422, "invalid_request_error", ["idempotency_key_reused"]],
  [429, "rate_limit_error", ["rate_limited", "too_many_tasks", "quota_exceeded"]],
  [500, "api_error", ["internal_error", "misconfigured"]],
  [502, "upstream_error", ["upstream_rejected"]],
  [503, "api_error", ["unavailable"]],
];

const rows = contract.flatMap(([status, type, codes]) => codes.map((code) => ({ code, status, type })));
const row = (code: ErrorCode) => rows.find((one) => one.code === code);
const bodyOf = (code: ErrorCode, details = {}) =>
  errorBody(new ApiError(code, "It is so.", details), "req-1");

describe("an error", () => {
  it.each(errorCodes)("%s has the documented status and type", (code) => {
    const { error } = bodyOf(code);
    expect({ code, status: errorStatus(code), type: error.type }).toEqual(row(code));
  });

  it.each(errorCodes)("%s has the one envelope", (code) => {
    expect(bodyOf(code)).toEqual({
      error: {
        code,
        message: "It is so.",
        type: row(code)?.type,
        param: null,
        retryable: expect.any(Boolean),
        charged: "no",
      },
      request_id: "req-1",
    });
  });

  it("names the field and what was charged, where that is known", () => {
    const { error } = bodyOf("invalid_request", { param: "size", charged: "held" });
    expect([error.param, error.charged]).toEqual(["size", "held"]);
  });

  it("is worth a retry only where the same request may end otherwise", () => {
    const retryable = errorCodes.filter((code) => bodyOf(code).error.retryable);
    for (const code of retryable) expect([409, 429, 500, 503]).toContain(errorStatus(code));
    expect(retryable).toEqual(expect.arrayContaining(["rate_limited", "unavailable", "internal_error"]));
    for (const code of ["misconfigured", "quota_exceeded", "already_exists"])
      expect(retryable).not.toContain(code);
  });
});

describe("the headers of an error", () => {
  const headersOf = (code: ErrorCode, headers = {}) =>
    errorHeaders(new ApiError(code, "It is so.", { headers }));

  it.each(errorCodes)("%s let a page read it, and no cache keep it", (code) => {
    expect(headersOf(code)).toMatchObject({
      "access-control-allow-origin": "*",
      "cache-control": "no-store",
    });
  });

  it.each(errorCodes)("%s stop automatic retries where one could only do harm", (code) => {
    const never = [402, 403, 502].includes(errorStatus(code)) || (code as string) === "quota_exceeded";
    expect(headersOf(code)["x-should-retry"]).toBe(never ? "false" : undefined);
  });

  it("keep what the place that refused has added", () => {
    expect(headersOf("rate_limited", { "retry-after": "7" })).toMatchObject({ "retry-after": "7" });
  });
});
