import { describe, expect, it } from "vitest";
import type { TaskFailureCode } from "../../src/domain/failures.ts";
import { answeredJson, simulated } from "../helpers/upstream-client.ts";

/** The gateway's code for a task that the upstream shows as failed. */
async function failureOf(fields: object): Promise<TaskFailureCode | null | undefined> {
  const outcome = await answeredJson({ id: "task-1", status: "failed", progress: 0, ...fields }).read();
  if (outcome.kind === "task") expect(outcome.seen.status).toBe("failed");
  return outcome.kind === "task" ? outcome.seen.failure : undefined;
}

describe("a failed task", () => {
  it.each<[string, TaskFailureCode]>([
    ["content_policy_violation", "content_policy_violation"],
    ["content_filter", "content_policy_violation"],
    ["sensitive_content", "content_policy_violation"],
    ["moderation_blocked", "content_policy_violation"],
    ["input_moderation_failed", "content_policy_violation"],
    ["invalid_parameters", "invalid_parameters"],
    ["image_processing_error", "image_processing_error"],
    ["image_dimension_mismatch", "image_dimension_mismatch"],
    ["generation_failed_no_content", "generation_failed_no_content"],
    ["generation_timeout", "generation_timeout"],
    ["unknown_error", "unknown_error"],
    ["request_cancelled", "unknown_error"],
    ["resource_not_found", "unknown_error"],
    ["service_error", "service_unavailable"],
    ["service_unavailable", "service_unavailable"],
    ["resource_exhausted", "service_unavailable"],
    // In a failed task this means the rate, not the balance.
    ["quota_exceeded", "service_unavailable"],
    ["channel_internal_error", "service_unavailable"],
    ["channel_selection_failed", "service_unavailable"],
    ["a_code_that_was_added_later", "service_unavailable"],
    ["upstream_rejected", "service_unavailable"],
    ["task_timeout", "service_unavailable"],
    ["constructor", "service_unavailable"],
  ])("with %s is shown as %s", async (code, expected) => {
    expect(await failureOf({ error: { code, message: "m", type: "task_error" } })).toBe(expected);
  });

  it("with a number for a code is the service's trouble", async () => {
    for (const code of [0, 1234, -1])
      expect(await failureOf({ error: { code } })).toBe("service_unavailable");
  });

  it.each(
    [undefined, null, {}, { code: null }, { code: "" }, { code: ["a"] }, "text", 7].map((error) => ({
      error,
    })),
  )("with the error $error has an unknown reason", async ({ error }) => {
    expect(await failureOf({ error })).toBe("unknown_error");
  });

  it.each(["cancelled", "canceled"] as const)(
    "is one that the upstream has %s, whatever the error",
    async (status) => {
      const { submit, simulator } = simulated();
      simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 0, end: status } });
      const unknown = { status: "failed", failure: "unknown_error" };
      expect(await submit()).toMatchObject({ kind: "accepted", seen: unknown });
      const error = { code: "content_policy_violation" };
      expect(await answeredJson({ status, error }).read()).toMatchObject({ kind: "task", seen: unknown });
    },
  );

  it("says nothing of the upstream's own words", async () => {
    const { upstream, submit, simulator } = simulated();
    const message = "key {key}\nsee https://hidden.example/log";
    const plan = { kind: "plan", seconds: 0, end: "failed", code: "channel_x", message } as const;
    simulator.control.script({ on: "submit", do: plan });
    const outcome = await submit();
    const again = outcome.kind === "accepted" && (await upstream.read(outcome.upstreamId));
    expect(again).toMatchObject({ kind: "task", seen: { failure: "service_unavailable" } });
    expect(JSON.stringify([outcome, again])).not.toMatch(/hidden|sk-upstream|channel/);
  });

  it("has no failure while it runs, though an error is there", async () => {
    for (const status of ["pending", "processing", "completed", "paused"]) {
      const outcome = await answeredJson({ status, error: { code: "generation_timeout" } }).read();
      expect(outcome).toMatchObject({ kind: "task", seen: { failure: null } });
    }
  });
});
