import { describe, expect, it } from "vitest";
import { ApiError, type ErrorCode, errorBody, errorCodes, errorHeaders, errorStatus } from "../src/errors.ts";
import { errorTable } from "./helpers/routes.ts";

/** Every code that a caller may ever get: status and type. */
const row = (code: ErrorCode) => {
  const [status, type] = errorTable[code];
  return { code, status, type };
};
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
        type: row(code).type,
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
