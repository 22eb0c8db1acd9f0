/** A task's life and its links' carriers, each by script, and the ways to script: in-process, by prompt, by door. */
import { describe, expect, it } from "vitest";
import { API_KEY, serveSimulator, type View } from "../helpers/node/simulator-fixture.ts";
import { ConnectionReset, createSimulator, type Rule } from "./app.ts";
import { makePicture } from "./pictures.ts";
import { NAMES } from "./prompt.ts";
import type { Plan } from "./script.ts";
import { startSimulator } from "./server.ts";

const simulator = serveSimulator();
const KEY = "task-0123456789abcdef";

function plan(fields: Plan): Rule {
  return { on: "submit", times: 1, do: { kind: "plan", ...fields } };
}

/** What reads show at these shares of the task's time. */
async function curve(fields: Plan, shares: number[]): Promise<unknown[]> {
  simulator.script(plan({ seconds: 1000, ...fields }));
  const { id } = await simulator.submit();
  const seen: unknown[] = [];
  let share = 0;
  for (const next of shares) {
    simulator.control().advance((next - share) * 1_000_000);
    share = next;
    const { json } = await simulator.read(id);
    seen.push(json.status === "processing" ? json.progress : json.status);
  }
  return seen;
}

async function finished(fields: Plan, n = 3): Promise<View> {
  simulator.script(plan(fields));
  const { id } = await simulator.submit({ n });
  simulator.control().advance(8000);
  return (await simulator.read(id)).json;
}

describe("a task's life", () => {
  it.each<[NonNullable<Plan["progress"]>, unknown[]]>([
    ["linear", ["pending", 20, 60, 90, "completed"]],
    ["frozen", ["pending", 20, 30, 30, "completed"]],
    ["jumping", ["pending", 0, 45, 99, "completed"]],
    ["back", ["pending", 30, 40, 10, "completed"]],
  ])("progress %s", async (progress, expected) => {
    const seen = await curve({ progress }, [0.05, 0.2001, 0.6, 0.9, 1]);
    expect(seen).toEqual(
      expected.map((value) => (typeof value === "number" ? expect.closeTo(value, -0.4) : value)),
    );
  });

  it("unknown status words while it runs", async () => {
    const seen = await curve({ status: "queued_for_review" }, [0.01, 0.9, 1]);
    expect(seen).toEqual(["queued_for_review", "queued_for_review", "completed"]);
  });

  it("stuck for 15 minutes, then done", async () => {
    simulator.script(plan({ seconds: 900, progress: "frozen" }));
    const { id } = await simulator.submit();
    simulator.control().advance(890_000);
    expect((await simulator.read(id)).json).toMatchObject({ status: "processing", progress: 30 });
    simulator.control().advance(10_000);
    expect((await simulator.read(id)).json).toMatchObject({ status: "completed" });
  });

  it("404 right after creation", async () => {
    simulator.script(plan({ hiddenSeconds: 5 }));
    const { id } = await simulator.submit();
    expect(await simulator.read(id)).toMatchObject({
      status: 404,
      json: { error: { code: "task_not_found" } },
    });
    simulator.control().advance(5000);
    expect((await simulator.read(id)).status).toBe(200);
  });

  it("done in the reply to the submit", async () => {
    simulator.script(plan({ seconds: 0 }), plan({ seconds: 0, end: "failed", code: "service_error" }));
    expect((await simulator.submit()).json).toMatchObject({
      status: "failed",
      error: { code: "service_error" },
    });
    expect((await simulator.submit()).json).toMatchObject({
      status: "completed",
      results: [expect.any(String)],
    });
  });

  it.each<[string, Plan, Record<string, unknown>]>([
    ["cancelled", { end: "cancelled" }, { status: "cancelled", progress: 0 }],
    ["canceled", { end: "canceled" }, { status: "canceled" }],
    ["failed", { end: "failed" }, { error: { code: "service_error", type: "task_error" } }],
    ["content policy, late", { end: "failed", code: "content_policy_violation" }, { status: "failed" }],
    ["failed by a channel", { end: "failed", code: "channel_x" }, { error: { code: "channel_x" } }],
    ["failed with an integer", { end: "failed", code: 5 }, { error: { code: 5 } }],
  ])("ends: %s", async (_, fields, expected) => {
    expect(await finished(fields)).toMatchObject(expected);
  });

  it("failed without an error object, and with the key in a long message", async () => {
    expect(await finished({ end: "failed", withoutError: true })).not.toHaveProperty("error");
    const message = `see https://files.evolink.ai/x\nBearer {key} ${"x".repeat(4000)}`;
    const { error } = await finished({ end: "failed", message });
    expect(error).toMatchObject({ message: expect.stringContaining(`Bearer ${API_KEY}`) });
  });

  it.each<[string, Plan, number]>([
    ["none", { results: 0 }, 0],
    ["fewer", { results: 2 }, 2],
    ["more", { results: 5 }, 5],
    ["as asked", {}, 3],
  ])("results: %s", async (_, fields, count) => {
    const { results } = await finished(fields);
    expect(new Set(results as string[]).size).toBe(count);
  });

  it("results repeated, literal, and only in result_data", async () => {
    const { results } = await finished({ repeated: true });
    expect(results).toHaveLength(3);
    expect(new Set(results as string[]).size).toBe(1);
    expect(await finished({ literal: [null, "nonsense"] })).toMatchObject({ results: [null, "nonsense"] });
    const inObject = await finished({ carrier: "result_data_object" }, 1);
    expect(inObject).not.toHaveProperty("results");
    expect(inObject).toMatchObject({ result_data: { image_url: expect.stringContaining("/files/") } });
    const inArray = await finished({ carrier: "result_data_array" }, 2);
    expect(inArray).toMatchObject({
      results: [],
      result_data: [{ image_url: expect.any(String) }, { url: expect.any(String) }],
    });
  });

  it("can be changed by a rule on a read", async () => {
    const { id } = await simulator.submit();
    simulator.script({ on: "read", times: 1, match: { task: id }, do: { kind: "plan", seconds: 0 } });
    expect((await simulator.read(id)).json).toMatchObject({ status: "completed" });
    expect(simulator.control().tasks()).toMatchObject([{ state: "completed" }]);
  });
});

describe("scripts", () => {
  it("the newest rule wins, by match and for the next calls only", async () => {
    simulator.script(
      { on: "read", do: { kind: "error", status: 500, code: "internal_error" } },
      { on: "read", times: 2, do: { kind: "rate_limit", retryAfter: 1 } },
      { on: "read", match: { prompt: "mountain" }, do: { kind: "pass" } },
    );
    const hill = await simulator.submit();
    const mountain = await simulator.submit({ prompt: "a mountain" });
    expect((await simulator.read(mountain.id)).status).toBe(200);
    const statuses: number[] = [];
    for (let poll = 0; poll < 3; poll++) statuses.push((await simulator.read(hill.id)).status);
    expect(statuses).toEqual([429, 429, 500]);
  });

  it("a plan and a lost reply hold for the same submit", async () => {
    simulator.script(plan({ seconds: 60 }), {
      on: "submit",
      match: { idempotencyKey: KEY },
      times: 1,
      do: { kind: "reset", created: true },
    });
    await expect(simulator.submit({}, KEY)).rejects.toThrow(TypeError);
    const [task] = simulator.control().tasks();
    expect(task).toMatchObject({ idempotencyKey: KEY });
    expect((task?.doneAt ?? 0) - (task?.createdAt ?? 0)).toBe(60_000);
  });

  it("a prompt carries several, each counted for its own task", async () => {
    const prompt = "a hill [sim:429=3*2] [sim:seconds=60] [sim:fail=generation_timeout] [sim:read-404]";
    for (const key of [KEY, `${KEY}-2`]) {
      expect((await simulator.submit({ prompt }, key)).headers.get("retry-after")).toBe("3");
      expect((await simulator.submit({ prompt }, key)).status).toBe(429);
      const { id } = await simulator.submit({ prompt }, key);
      expect((await simulator.read(id)).status).toBe(404);
      simulator.control().advance(60_000);
      expect((await simulator.read(id)).json).toMatchObject({ error: { code: "generation_timeout" } });
    }
  });

  it.each([...NAMES.keys()])("the name %s is good as it stands", async (name) => {
    const sim = createSimulator({ apiKey: API_KEY, picture: makePicture });
    const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };
    const body = JSON.stringify({ model: "wan-2.7-image", n: 1, prompt: `[sim:${name}]` });
    const request = new Request("https://up.test/v1/images/generations", {
      method: "POST",
      body,
      headers,
      signal: AbortSignal.abort(),
    });
    const reply = await sim.fetch(request).then((response) => response.text(), String);
    expect(reply).not.toContain("invalid_parameters");
  });

  it("come through the control door too, and bad ones are refused", async () => {
    const door = (path: string, body?: unknown) =>
      fetch(`${simulator.url()}/_control/${path}`, {
        method: "POST",
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    expect((await door("script", [plan({ end: "failed" })])).status).toBe(200);
    expect((await door("script", { on: "submit", do: { kind: "explode" } })).status).toBe(400);
    expect((await door("script", { on: "read", do: { kind: "reset", created: true } })).status).toBe(400);
    const twoBodies = { kind: "reply", status: 200, json: {}, text: "" };
    expect((await door("script", { on: "read", do: twoBodies })).status).toBe(400);
    expect((await door("advance", { ms: -1 })).status).toBe(400);
    await simulator.submit();
    expect((await door("advance", { ms: 8000 })).status).toBe(200);
    const tasks = await fetch(`${simulator.url()}/_control/tasks`);
    expect(await tasks.json()).toMatchObject([{ state: "failed" }]);
    const calls = await fetch(`${simulator.url()}/_control/calls`);
    expect(await calls.json()).toMatchObject([
      { method: "POST", status: 200, path: "/v1/images/generations" },
    ]);
    await door("reset");
    expect(simulator.control().tasks()).toEqual([]);
  });
});

describe("in-process", () => {
  it("rejects with ConnectionReset, and moves with the clock it was given", async () => {
    let nowMs = 1_800_000_000_000;
    const filesOrigin = "https://files.test";
    const sim = createSimulator({ apiKey: API_KEY, picture: makePicture, now: () => nowMs, filesOrigin });
    const send = (path: string, init: RequestInit = {}) => {
      const headers = { authorization: `Bearer ${API_KEY}`, "content-type": "application/json" };
      return sim.fetch(new Request(`https://up.test${path}`, { headers, ...init }));
    };
    const body = JSON.stringify({ model: "wan-2.7-image", prompt: "a hill", n: 1 });
    sim.control.script({ on: "submit", times: 1, do: { kind: "reset" } });
    await expect(send("/v1/images/generations", { method: "POST", body })).rejects.toThrow(ConnectionReset);
    const reply = await send("/v1/images/generations", { method: "POST", body });
    const { id, created } = (await reply.json()) as View;
    expect(created).toBe(1_800_000_000);
    nowMs += 5000;
    sim.control.advance(3000);
    const { results } = (await (await send(`/v1/tasks/${id}`)).json()) as View;
    expect(results).toEqual([expect.stringMatching(/^https:\/\/files\.test\/files\/.*\.png\?sign=/)]);
  });

  it("a served one closes at once although a reply hangs", async () => {
    const served = await startSimulator({ apiKey: API_KEY });
    served.simulator.control.script({ on: "credits", do: { kind: "hang" } });
    const headers = { authorization: `Bearer ${API_KEY}` };
    const reply = fetch(`${served.url}/v1/credits`, { headers });
    await expect.poll(() => served.simulator.control.calls().length).toBe(1);
    await Promise.all([served.close(), expect(reply).rejects.toThrow(TypeError)]);
  });
});
