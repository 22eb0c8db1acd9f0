/** A submit that the upstream refuses, or cannot take now: the caller gets the first, the second still ends well. */
import { beforeEach, describe, expect, it } from "vitest";
import { bearer, finishTask, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import {
  type Code,
  deleteTasks,
  expectError,
  generations,
  goodBody,
  submit,
  upstreamCalls,
} from "../../helpers/routes.ts";
import type { Rule } from "../../simulator/app.ts";

beforeEach(deleteTasks);

type Fault = Extract<Rule, { on: "submit" }>["do"];

const refusals: { code: Code; param?: string; status: number; word: string | number }[] = [
  { code: "content_policy_violation", status: 400, word: "content_policy_violation" },
  { code: "content_policy_violation", status: 400, word: "content_filter" },
  { code: "content_policy_violation", status: 403, word: "sensitive_content" },
  { code: "invalid_parameters", status: 400, word: "invalid_parameters" },
  { code: "invalid_parameters", status: 400, word: "invalid_request" },
  { code: "invalid_parameters", status: 422, word: "never_seen_before" },
  { code: "invalid_parameters", status: 400, word: 31_415 },
  { code: "invalid_media_url", param: "image_urls", status: 400, word: "invalid_media_url" },
  { code: "upstream_rejected", status: 401, word: "invalid_token" },
  { code: "upstream_rejected", status: 402, word: "insufficient_quota" },
  ...[401, 402, 403].map((status) => ({
    code: "upstream_rejected" as const,
    status,
    word: "never_seen_before",
  })),
  { code: "upstream_rejected", status: 403, word: "insufficient_user_quota" },
];

const telltale = "account acct-77310 at https://api.evolink.ai/v1 with {key}";

describe("a submit that the upstream refuses", () => {
  it.each(refusals)("with $status $word is answered with $code", async ({ code, param, status, word }) => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status, code: word, message: telltale },
    });
    const response = await submit(gateway, key);
    const wire = JSON.stringify([...response.headers]);
    const message = await expectError(response, code, param ?? null);
    for (const part of ["acct-77310", "evolink", gateway.config.UPSTREAM_API_KEY, "never_seen", "31415"]) {
      expect(wire + message).not.toContain(part);
    }
  });

  it("in the other error shape that it has is answered all the same", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status: 401, code: "invalid_token", shape: "oauth", message: telltale },
    });
    await expectError(await submit(gateway, key), "upstream_rejected");
  });

  it("is over: nothing is sent again, and the next submit is its own", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 402, code: "insufficient_quota" },
    });
    await expectError(await submit(gateway, key), "upstream_rejected");
    for (let minute = 0; minute < 5; minute++) {
      gateway.advance(60_000);
      await gateway.tick();
    }
    expect(upstreamCalls(gateway, "POST")).toHaveLength(1);
    expect((await submit(gateway, key)).status).toBe(200);
  });

  it("cannot be retried by a client that does so by itself", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status: 401, code: "key_disabled" },
    });
    const response = await submit(gateway, key);
    expect(response.headers.get("x-should-retry")).toBe("false");
    expect(await response.json()).toMatchObject({ error: { retryable: false } });
  });
});

const json = { object: "image.generation.task", status: "pending" };

/** `sent`: whether the upstream may have the task, so that it cannot be cancelled. */
const troubles: { what: string; sent: boolean; fault: Fault }[] = [
  { what: "429 without a time", sent: false, fault: { kind: "rate_limit" } },
  { what: "429 for 20 s", sent: false, fault: { kind: "rate_limit", retryAfter: 20 } },
  { what: "429 until a date", sent: false, fault: { kind: "rate_limit", retryAfter: { dateInSeconds: 20 } } },
  { what: "429 with nonsense", sent: false, fault: { kind: "rate_limit", retryAfter: "soon" } },
  ...[500, 502, 503, 504, 524].map((status) => ({
    what: `${status}`,
    sent: true,
    fault: { kind: "error" as const, status, code: "internal_error", message: telltale },
  })),
  { what: "502 in HTML", sent: true, fault: { kind: "reply", status: 502, html: "<h1>Bad Gateway</h1>" } },
  { what: "500 without a body", sent: true, fault: { kind: "reply", status: 500 } },
  { what: "500 though it took the task", sent: true, fault: { kind: "reply", status: 500, created: true } },
  { what: "a reset", sent: true, fault: { kind: "reset" } },
  { what: "a reset though it took the task", sent: true, fault: { kind: "reset", created: true } },
  { what: "silence", sent: true, fault: { kind: "hang" } },
  { what: "silence though it took the task", sent: true, fault: { kind: "hang", created: true } },
  { what: "200 without an id", sent: true, fault: { kind: "reply", status: 200, json, created: true } },
  { what: "200 in HTML", sent: true, fault: { kind: "reply", status: 200, html: "<h1>Hello</h1>" } },
  {
    what: "a redirect",
    sent: true,
    fault: {
      kind: "reply",
      status: 307,
      headers: { location: "https://elsewhere.example/v1/images/generations" },
    },
  },
];

describe("a submit that the upstream cannot take now", () => {
  it.each(troubles)("is taken, and ends with one upstream task: $what", async ({ sent, fault }) => {
    const gateway = startGateway({ vars: fault.kind === "hang" ? { UPSTREAM_TIMEOUT_MS: 50 } : {} });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", times: 1, do: fault });
    const response = await gateway.post(generations, goodBody, bearer(key));
    expect(response.status).toBe(200);
    expect(response.headers.get("retry-after")).toBe("3");
    const task: ShownTask = await response.json();
    expect(response.headers.get("location")).toBe(`/v1/tasks/${task.id}`);
    expect(task).toMatchObject({ status: "pending", error: null, task_info: { can_cancel: !sent } });
    expect(task.usage).toEqual({ images: 0, credits_held: 30, credits_charged: 0 });

    const done = await finishTask(gateway, key, task.id);
    expect(done.usage).toEqual({ images: 1, credits_held: 0, credits_charged: 30 });
    expect(done.status).toBe("completed");
    expect(gateway.simulator.control.tasks().map((upstream) => upstream.idempotencyKey)).toEqual([task.id]);
    const posts = upstreamCalls(gateway, "POST");
    expect(posts.length).toBeGreaterThan(1);
    expect(new Set(posts.map((call) => call.headers["idempotency-key"]))).toEqual(new Set([task.id]));
    expect(new Set(posts.map((call) => call.origin)).size).toBe(1);
  });

  it("waits like every other one while the upstream wants a pause", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 20 } });
    await submit(gateway, key);
    const second = await submit(gateway, key);
    expect(await second.json()).toMatchObject({ status: "pending", task_info: { can_cancel: true } });
    gateway.advance(19_000);
    await gateway.tick();
    expect(upstreamCalls(gateway, "POST")).toHaveLength(1);
    gateway.advance(1_000);
    await gateway.tick();
    expect(gateway.simulator.control.tasks()).toHaveLength(2);
  });

  it("fails at its deadline when nothing ever gets better", async () => {
    const gateway = startGateway({ vars: { TASK_DEADLINE_SECONDS: 120 } });
    const { key } = await gateway.makeTenant();
    gateway.simulator.control.script({ on: "submit", do: { kind: "reset" } });
    const task: ShownTask = await (await submit(gateway, key)).json();
    const ended = await finishTask(gateway, key, task.id);
    expect(ended).toMatchObject({
      status: "failed",
      error: { code: "submit_outcome_unknown", charged: "no" },
    });
    expect(ended.usage).toEqual({ images: 0, credits_held: 0, credits_charged: 0 });
  });
});
