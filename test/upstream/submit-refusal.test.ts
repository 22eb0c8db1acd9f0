import { describe, expect, it } from "vitest";
import type { RefusalCode } from "../../src/upstream/errors.ts";
import { answered, answeredJson, simulated } from "../helpers/upstream-client.ts";

const callers: [RefusalCode, string[]][] = [
  [
    "content_policy_violation",
    [
      "content_policy_violation",
      "content_filter",
      "sensitive_content",
      "moderation_blocked",
      "input_moderation_failed",
    ],
  ],
  ["invalid_media_url", ["invalid_media_url"]],
  [
    "invalid_parameters",
    ["invalid_request", "invalid_parameter", "invalid_parameters", "unsupported_parameters"],
  ],
];
const ofKey = [
  "unauthorized",
  "invalid_token",
  "key_disabled",
  "key_expired",
  "user_disabled",
  "ip_restricted",
  "model_access_denied",
  "key_model_not_allowed",
  "permission_denied",
];
const ofBalance = [
  "insufficient_quota",
  "insufficient_user_quota",
  "quota_not_enough",
  "account_balance_insufficient",
  "insufficient_token_quota",
  "key_quota_exhausted",
  "token_daily_quota_exceeded",
  "key_daily_quota_exhausted",
  "quota_exceeded",
];

/** Each code as the upstream sends it, and with the other statuses that a refusal can have. */
const rows = [
  ...callers.flatMap(([code, words]) =>
    words.map((word) => ({ word, code, statuses: [400, 403, 413, 422] })),
  ),
  { word: "request_too_large", code: "invalid_parameters" as const, statuses: [413, 400] },
  ...ofKey.map((word) => ({ word, code: "upstream_rejected" as const, statuses: [401, 403, 400] })),
  ...ofBalance.map((word) => ({ word, code: "upstream_rejected" as const, statuses: [402, 403, 400] })),
];

const byStatus: [number, RefusalCode][] = [
  [400, "invalid_parameters"],
  [413, "invalid_parameters"],
  [422, "invalid_parameters"],
  [401, "upstream_rejected"],
  [402, "upstream_rejected"],
  [403, "upstream_rejected"],
];

describe("a submit that the upstream refuses", () => {
  it.each(rows)("with $word is refused as $code", async ({ word, code, statuses }) => {
    for (const status of statuses) {
      const { submit, simulator } = simulated();
      simulator.control.script({ on: "submit", do: { kind: "error", status, code: word } });
      expect([status, await submit()]).toEqual([status, { kind: "refused", code }]);
      expect(simulator.control.tasks()).toEqual([]);
    }
  });

  it.each(rows)("with $word in the shape of OAuth is refused as $code", async ({ word, code, statuses }) => {
    const body = { error: word, error_description: "something else, such as content_filter" };
    expect(await answeredJson(body, statuses[0]).submit()).toEqual({ kind: "refused", code });
  });

  it.each(byStatus)("with %i and no known code is refused as %s", async (status, code) => {
    const bodies = [
      { error: { code: "a_new_one", message: "content_policy_violation" } },
      { error: { code: 1234 } },
      { error: { code: 0 } },
      { error: { code: null } },
      { error: { code: { nested: true } } },
      { error: {} },
      { error: null },
      { error: 7 },
      { code: "content_policy_violation" },
      {},
      [],
      null,
      "invalid_token",
    ];
    for (const body of bodies) {
      expect([body, await answeredJson(body, status).submit()]).toEqual([body, { kind: "refused", code }]);
    }
  });

  const noJson = ["", "<html><h1>Refused</h1></html>", "content_policy_violation", '{"error":{"code":'];

  it.each(byStatus.filter(([status]) => status !== 403))(
    "with %i and no JSON is refused as %s",
    async (status, code) => {
      for (const body of noJson) {
        const { submit } = answered(() => new Response(body, { status }));
        expect([body, await submit()]).toEqual([body, { kind: "refused", code }]);
      }
    },
  );

  it("with 403 and no JSON is not refused by the upstream: that is a firewall's page", async () => {
    for (const body of noJson) {
      const { submit } = answered(() => new Response(body, { status: 403 }));
      expect([body, await submit()]).toMatchObject([body, { kind: "unknown" }]);
    }
  });

  it("is refused by what it breaks itself, without a script", async () => {
    const { upstream } = simulated();
    const size = { width: 64, height: 64 };
    const outcome = await upstream.submit("wan-2.7-image", { prompt: "a", n: 1, size }, "a".repeat(16));
    expect(outcome).toEqual({ kind: "refused", code: "invalid_parameters" });
  });

  it("shows nothing of what the upstream said", async () => {
    const error = { code: "invalid_token", message: "sk-hidden https://hidden.example", type: "hidden" };
    const outcome = await answeredJson({ error, request_id: "hidden" }, 401).submit();
    expect(JSON.stringify(outcome)).not.toContain("hidden");
  });
});
