import { describe, expect, it } from "vitest";
import { taskFailures } from "../../src/domain/failures.ts";

/** By code, whether the same task may end better when it is submitted again. */
const known = {
  content_policy_violation: false,
  invalid_parameters: false,
  image_processing_error: false,
  image_dimension_mismatch: false,
  generation_failed_no_content: true,
  generation_timeout: true,
  service_unavailable: true,
  upstream_rejected: false,
  task_timeout: true,
  submit_outcome_unknown: true,
  storage_failed: true,
  unknown_error: true,
};

describe("the codes of failed tasks", () => {
  it("are the documented ones, and say whether another attempt can help", () => {
    const retryable = Object.entries(taskFailures).map(([code, row]) => [code, row.retryable]);
    expect(Object.fromEntries(retryable)).toEqual(known);
  });

  it("have one message each, in the gateway's own words", () => {
    const messages = Object.values(taskFailures).map((row) => row.message);
    expect(new Set(messages).size).toBe(messages.length);
    for (const message of messages) {
      expect(message).toMatch(/^[A-Z].*\.$/);
      expect(message).not.toMatch(/evolink|wan-|https?:|channel|token|credit/i);
    }
  });
});
