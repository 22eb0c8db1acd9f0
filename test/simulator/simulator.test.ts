/** The simulated API: each thing that it must be able to do, over real HTTP. */
import { describe, expect, it } from "vitest";
import { API_KEY, serveSimulator } from "../helpers/node/simulator-fixture.ts";
import type { Rule } from "./app.ts";

const simulator = serveSimulator();
const KEY = "task-0123456789abcdef";
const good = { model: "wan-2.7-image", prompt: "a hill", n: 1 };

type SubmitRule = Extract<Rule, { on: "submit" }>;
function onSubmit(behaviour: SubmitRule["do"], times = 1): Rule {
  return { on: "submit", times, do: behaviour };
}

describe("submit and read", () => {
  it("answers as the upstream does, from pending to completed", async () => {
    const { status, id, json } = await simulator.submit({ n: 2 }, KEY);
    expect(status).toBe(200);
    expect(id).toMatch(/^task-unified-\d{10}-[a-z0-9]{8,}$/);
    expect(json).toMatchObject({ status: "pending", progress: 0, type: "image", model: "wan-2.7-image" });
    expect(json).toMatchObject({ object: "image.generation.task", usage: { credits_reserved: 2.64 } });
    simulator.control().advance(4000);
    expect((await simulator.read(id)).json).toMatchObject({ status: "processing", progress: 50 });
    simulator.control().advance(4000);
    const { json: done } = await simulator.read(id);
    expect(done).toMatchObject({ status: "completed", progress: 100 });
    expect(done.results).toHaveLength(2);
    expect(simulator.control().tasks()).toMatchObject([
      { id, idempotencyKey: KEY, state: "completed", reads: 2, body: { n: 2 } },
    ]);
    expect(simulator.control().calls()).toHaveLength(3);
  });

  it.each([
    ["n missing", { model: good.model, prompt: "x" }, "invalid_parameters"],
    ["n of 6", { ...good, n: 6 }, "invalid_parameters"],
    ["n of 5 when editing", { ...good, n: 5, image_urls: ["https://a.example/1.png"] }, "invalid_parameters"],
    [
      "five references",
      { ...good, image_urls: Array(5).fill("https://a.example/1.png") },
      "invalid_parameters",
    ],
    ["a long prompt", { ...good, prompt: "x".repeat(2001) }, "invalid_parameters"],
    ["a long negative prompt", { ...good, negative_prompt: "x".repeat(501) }, "invalid_parameters"],
    ["a large seed", { ...good, seed: 2_147_483_648 }, "invalid_parameters"],
    ["an unknown model", { ...good, model: "wan-9" }, "invalid_parameters"],
    ["too few pixels", { ...good, size: { width: 512, height: 512 } }, "invalid_parameters"],
    ["too many pixels", { ...good, size: { width: 4096, height: 4096 } }, "invalid_parameters"],
    ["a long strip", { ...good, size: { width: 4096, height: 256 } }, "invalid_parameters"],
    ["expansion without editing", { ...good, enable_prompt_expansion: true }, "invalid_parameters"],
    ["a callback by http", { ...good, callback_url: "http://a.example/" }, "invalid_parameters"],
    ["a private callback", { ...good, callback_url: "https://10.0.0.1/" }, "invalid_parameters"],
    ["an unknown script name", { ...good, prompt: "[sim:typo]" }, "invalid_parameters"],
    ["a bad script argument", { ...good, prompt: "[sim:seconds=soon]" }, "invalid_parameters"],
    ["an unknown field", { ...good, metadata: {} }, "unsupported_parameters"],
    ["no JSON", "{", "invalid_request"],
  ])("refuses %s", async (_, body, code) => {
    const response = await simulator.post(body);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code } });
    expect(simulator.control().tasks()).toEqual([]);
  });

  it("takes a public callback", async () => {
    expect((await simulator.submit({ callback_url: "https://hooks.example/done" })).status).toBe(200);
  });

  it("takes 4096x4096 from the pro model, and 2000 characters outside the BMP", async () => {
    const size = { width: 4096, height: 4096 };
    expect((await simulator.submit({ model: "wan-2.7-image-pro", size })).status).toBe(200);
    expect((await simulator.submit({ prompt: "🏔".repeat(2000) })).status).toBe(200);
  });

  it.each(["", "Bearer nope", `bearer ${API_KEY}`, `Bearer ${API_KEY} `.replace("Bearer", "Bearer  ")])(
    "refuses the authorization %j",
    async (authorization) => {
      const response = await simulator.post(good, { authorization });
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ error: { code: "unauthorized" } });
    },
  );

  it("shows credits and known tasks of a batch", async () => {
    const { id } = await simulator.submit();
    const headers = { authorization: `Bearer ${API_KEY}` };
    const credits = await fetch(`${simulator.url()}/v1/credits`, { headers });
    expect(await credits.json()).toMatchObject({ success: true, data: { user: {}, token: {} } });
    const body = JSON.stringify({ task_ids: [id, "task-unified-1-unknown1"] });
    const batch = await fetch(`${simulator.url()}/v1/tasks/batch`, { method: "POST", headers, body });
    expect(await batch.json()).toMatchObject({ data: [{ id }] });
  });
});

describe("replies to a submit", () => {
  it.each<[string | undefined, SubmitRule["do"]]>([
    [undefined, { kind: "rate_limit" }],
    ["7", { kind: "rate_limit", retryAfter: 7 }],
    ["0", { kind: "rate_limit", retryAfter: 0 }],
    ["99999999999", { kind: "rate_limit", retryAfter: "99999999999" }],
    ["soon", { kind: "rate_limit", retryAfter: "soon" }],
  ])("429 with Retry-After %s", async (expected, behaviour) => {
    simulator.script(onSubmit(behaviour, 2));
    for (const status of [429, 429, 200]) {
      const reply = await simulator.submit();
      expect(reply.status).toBe(status);
      if (status === 429) expect(reply.headers.get("retry-after") ?? undefined).toBe(expected);
    }
  });

  it("429 with a date by its own clock", async () => {
    simulator.control().advance(3_600_000);
    simulator.script(onSubmit({ kind: "rate_limit", retryAfter: { dateInSeconds: 30 } }));
    const { headers } = await simulator.submit();
    const inSeconds = (Date.parse(headers.get("retry-after") ?? "") - simulator.control().now()) / 1000;
    expect(inSeconds).toBeGreaterThan(25);
    expect(inSeconds).toBeLessThan(31);
  });

  it.each<[string, SubmitRule["do"], number, string]>([
    [
      "a string code",
      { kind: "error", status: 503, code: "no_available_channel" },
      503,
      '"no_available_channel"',
    ],
    ["an integer code", { kind: "error", status: 500, code: 1234 }, 500, '"code":1234'],
    [
      "OAuth's shape",
      { kind: "error", status: 401, code: "expired", shape: "oauth" },
      401,
      '"error":"expired"',
    ],
    ["HTML", { kind: "reply", status: 502, html: "<h1>Bad</h1>" }, 502, "<h1>"],
    ["plain text", { kind: "reply", status: 503, text: "upstream error" }, 503, "upstream error"],
    ["nothing", { kind: "reply", status: 500 }, 500, ""],
    [
      "200 without id",
      { kind: "reply", status: 200, json: { object: "x" }, created: true },
      200,
      '{"object":"x"}',
    ],
    ["200 with a non-object", { kind: "reply", status: 200, json: null, created: true }, 200, "null"],
    [
      "a policy error",
      { kind: "error", status: 400, code: "content_policy_violation" },
      400,
      "content_policy",
    ],
    [
      "still running",
      { kind: "error", status: 409, code: "paid_outcome_unknown", created: true },
      409,
      "paid_",
    ],
  ])("%s", async (_, behaviour, status, text) => {
    simulator.script(onSubmit(behaviour));
    const response = await simulator.post(good);
    expect(response.status).toBe(status);
    expect(await response.text()).toContain(text);
    const made = "created" in behaviour && behaviour.created === true;
    expect(simulator.control().tasks()).toHaveLength(made ? 1 : 0);
    expect((await simulator.post(good)).status).toBe(200);
  });

  it.each([
    ["before", undefined],
    ["after", true],
  ])("connection reset %s the task was made", async (_, created) => {
    simulator.script(onSubmit({ kind: "reset", created }));
    await expect(simulator.post(good)).rejects.toThrow(TypeError);
    expect(simulator.control().calls()).toMatchObject([{ status: "reset" }]);
    expect(simulator.control().tasks()).toHaveLength(created === true ? 1 : 0);
  });

  it("a reply that never comes, until the caller leaves", async () => {
    simulator.script(onSubmit({ kind: "hang", created: true }));
    const caller = new AbortController();
    const reply = simulator.post(good, {}, caller.signal);
    await expect.poll(() => simulator.control().tasks().length).toBe(1);
    caller.abort();
    await expect(reply).rejects.toThrow("abort");
    expect(simulator.control().calls()).toMatchObject([{ status: "hang" }]);
  });

  it("repeats are replayed, and another body under the same key is a conflict", async () => {
    simulator.script(onSubmit({ kind: "reset", created: true }));
    await expect(simulator.submit({}, KEY)).rejects.toThrow(TypeError);
    const again = await simulator.submit({}, KEY);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(simulator.control().tasks()).toMatchObject([{ id: again.id }]);
    const other = await simulator.submit({ prompt: "another hill" }, KEY);
    expect(other).toMatchObject({ status: 409, json: { error: { code: "idempotency_conflict" } } });
    expect((await simulator.submit({}, "too-short")).status).toBe(400);
  });
});
