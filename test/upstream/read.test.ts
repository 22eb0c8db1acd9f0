import { describe, expect, it } from "vitest";
import { answered, answeredJson, apiKey, baseUrl, shortMs, simulated } from "../helpers/upstream-client.ts";

/** A task of the simulator, and how to read it. */
async function submitted() {
  const client = simulated();
  const outcome = await client.submit();
  if (outcome.kind !== "accepted") throw new Error("not accepted");
  return { ...client, readTask: () => client.upstream.read(outcome.upstreamId), id: outcome.upstreamId };
}

describe("a read", () => {
  it("is one GET of the task, with these headers and no others", async () => {
    const { readTask, calls, simulator, id } = await submitted();
    await readTask();
    expect(calls.map((call) => call.url).slice(1)).toEqual([`${baseUrl}/v1/tasks/${id}`]);
    expect(calls[1]?.init).toMatchObject({ method: "GET", redirect: "manual" });
    expect(calls[1]?.init.signal).toBeInstanceOf(AbortSignal);
    expect(simulator.control.calls()[1]?.headers).toEqual({
      authorization: `Bearer ${apiKey}`,
      accept: "application/json",
      "user-agent": "wan-gateway/1.0",
    });
  });

  it("asks for one task only, whatever its id holds", async () => {
    const { upstream, calls } = answeredJson({ status: "pending" });
    await upstream.read("a:b.c_d-e");
    await upstream.read("a/../b?c=d#e");
    expect(calls.map(({ url }) => new URL(url).pathname.split("/").length)).toEqual([4, 4]);
    expect(calls.map(({ url }) => [new URL(url).search, new URL(url).hash])).toEqual([
      ["", ""],
      ["", ""],
    ]);
  });

  it("reads a task from its start to its end", async () => {
    const { readTask, simulator } = await submitted();
    expect(await readTask()).toMatchObject({
      kind: "task",
      seen: { status: "pending", progress: 0, links: [] },
    });
    simulator.control.advance(4_000);
    expect(await readTask()).toEqual({
      kind: "task",
      seen: { status: "processing", progress: 50, estimatedSeconds: 4, links: [], failure: null },
    });
    simulator.control.advance(4_000);
    expect(await readTask()).toMatchObject({
      kind: "task",
      seen: {
        status: "completed",
        progress: 100,
        links: [expect.stringContaining("/files/"), expect.stringContaining("/files/")],
        failure: null,
      },
    });
  });

  it.each(["queued_for_review", "PROCESSING", "Completed", "success", "done", "", "null"])(
    "takes the unknown word %j for a task that still runs",
    async (status) => {
      const { readTask, simulator } = await submitted();
      simulator.control.script({ on: "read", do: { kind: "plan", status } });
      expect(await readTask()).toMatchObject({ kind: "task", seen: { status: "pending", failure: null } });
    },
  );

  it("takes a status of another type for a task that still runs", async () => {
    for (const status of [7, null, ["completed"], { word: "failed" }]) {
      expect(await answeredJson({ id: "a", status }).read()).toMatchObject({ seen: { status: "pending" } });
    }
  });

  it.each([
    [0, 0],
    [37.5, 37.5],
    [100, 100],
    [101, null],
    [-1, null],
    ["50", null],
    ["50%", null],
    [null, null],
    [undefined, null],
    [true, null],
  ])("reads the progress %j as %j", async (progress, expected) => {
    const outcome = await answeredJson({ status: "processing", progress }).read();
    expect(outcome).toMatchObject({ kind: "task", seen: { status: "processing", progress: expected } });
  });

  it.each([
    [{ estimated_time: 45 }, 45],
    [{ estimated_time: 0 }, 0],
    [{ estimated_time: 7.2 }, 8],
    [{ estimated_time: 1e9 }, null],
    [{ estimated_time: -1 }, null],
    [{ estimated_time: "45" }, null],
    [{ estimated_time: null }, null],
    [{}, null],
    [null, null],
    ["soon", null],
    [undefined, null],
  ])("reads the estimate in %j as %j", async (task_info, expected) => {
    const outcome = await answeredJson({ status: "pending", task_info }).read();
    expect(outcome).toMatchObject({ kind: "task", seen: { estimatedSeconds: expected } });
  });
});

describe("a read that finds no task", () => {
  it("says that it is missing, whatever the body", async () => {
    const { readTask, simulator } = await submitted();
    simulator.control.script({ on: "read", do: { kind: "plan", hiddenSeconds: 5 } });
    // The plan holds from the first read on that finds the task.
    await readTask();
    expect(await readTask()).toEqual({ kind: "missing" });
    simulator.control.advance(5_000);
    expect(await readTask()).toMatchObject({ kind: "task" });
    for (const body of ["", "<html>404</html>", '{"error":{"code":404}}']) {
      expect(await answered(() => new Response(body, { status: 404 })).read()).toEqual({ kind: "missing" });
    }
  });
});

describe("a read that says nothing", () => {
  const open = (reason: string) => ({ kind: "unknown", reason });

  it.each([400, 401, 402, 403, 409, 410, 413, 500, 502, 503, 504, 529])("answered %i", async (status) => {
    const failed = { id: "a", status: "failed", error: { code: "content_policy_violation" } };
    for (const body of ["", "<html></html>", '{"error":{"code":1}}', JSON.stringify(failed)]) {
      const { read } = answered(() => new Response(body, { status }));
      expect(await read()).toEqual(open(`status ${status}`));
    }
  });

  it.each([
    "",
    "ok",
    "<html></html>",
    "[]",
    '["completed"]',
    "null",
    "7",
    '"completed"',
    '{"status":"failed"',
  ])("answered 200 with %j", async (body) => {
    expect(await answered(() => new Response(body)).read()).toMatchObject({ kind: "unknown" });
  });

  it("broken off", async () => {
    const { readTask, simulator } = await submitted();
    simulator.control.script({ on: "read", times: 1, do: { kind: "reset" } });
    expect(await readTask()).toEqual(open("connection lost"));
    expect(await readTask()).toMatchObject({ kind: "task" });
  });

  it("never answered", async () => {
    const { read, simulator } = simulated(shortMs);
    simulator.control.script({ on: "read", do: { kind: "hang" } });
    expect(await read()).toEqual(open("time-out"));
  });

  it.each([301, 302, 303, 307, 308])("redirected with %i: it goes nowhere else", async (status) => {
    const headers = { location: "https://thief.example/" };
    const { read, calls } = answered(() => new Response(null, { status, headers }));
    expect(await read()).toEqual(open(`status ${status}`));
    expect(calls).toHaveLength(1);
    expect(calls[0]?.url.startsWith(`${baseUrl}/`)).toBe(true);
  });
});
