import { describe, expect, it } from "vitest";
import { answered, answeredJson, baseUrl, shortMs, simulated } from "../helpers/upstream-client.ts";
import { ConnectionReset } from "../simulator/app.ts";

const pending = { status: "pending", progress: 0, estimatedSeconds: 8, links: [], failure: null };
const bare = { status: "pending", progress: null, estimatedSeconds: null, links: [], failure: null };

describe("a submit that the upstream takes", () => {
  it("is accepted, with the upstream's id and what it says of the task", async () => {
    const { submit, simulator } = simulated();
    expect(await submit()).toEqual({
      kind: "accepted",
      upstreamId: simulator.control.tasks()[0]?.id,
      seen: pending,
    });
  });

  it("may be completed in the reply", async () => {
    const { submit, simulator } = simulated();
    simulator.control.script({ on: "submit", do: { kind: "plan", seconds: 0 } });
    expect(await submit()).toMatchObject({
      kind: "accepted",
      seen: { status: "completed", progress: 100, links: [expect.any(String), expect.any(String)] },
    });
  });

  it("may be failed in the reply", async () => {
    const { submit, simulator } = simulated();
    const plan = { kind: "plan", seconds: 0, end: "failed", code: "content_filter" } as const;
    simulator.control.script({ on: "submit", do: plan });
    expect(await submit()).toMatchObject({
      kind: "accepted",
      seen: { status: "failed", failure: "content_policy_violation" },
    });
  });

  it("is accepted when the reply says that it is a replay", async () => {
    const { submit, simulator } = simulated();
    simulator.control.script({ on: "submit", do: { kind: "plan", replayed: true } });
    expect(await submit()).toMatchObject({ kind: "accepted" });
  });

  it.each([200, 201, 202])("is accepted with status %i", async (status) => {
    const { submit } = answeredJson({ id: "task-unified-1", status: "pending" }, status);
    expect(await submit()).toEqual({ kind: "accepted", upstreamId: "task-unified-1", seen: bare });
  });

  it.each(["a", "task-unified-1757165031-uyujaw3d", "A.b_c:d-9", "x".repeat(128)])(
    "is accepted under the id %s",
    async (id) => {
      expect(await answeredJson({ id }).submit()).toEqual({ kind: "accepted", upstreamId: id, seen: bare });
    },
  );

  it("is accepted whatever else the reply holds, or holds in another type", async () => {
    const odd = {
      id: "task-unified-1",
      status: 7,
      progress: "50",
      results: "none",
      error: "none",
      task_info: ["none"],
      created: "now",
      extra: { deep: [1] },
    };
    expect(await answeredJson(odd).submit()).toEqual({ kind: "accepted", upstreamId: odd.id, seen: bare });
  });
});

describe("a submit whose outcome is not known", () => {
  const open = (reason: string) => ({ kind: "unknown", reason });

  it.each([
    undefined,
    null,
    7,
    "",
    "x".repeat(129),
    "a b",
    "a/b",
    "../credits",
    "a\n",
    "a?b",
    "ä",
    ["a"],
    {},
  ])("answered 2xx without a sane id: %j", async (...ids) => {
    const id = ids.length === 1 ? ids[0] : ids;
    expect(await answeredJson({ id, status: "pending" }).submit()).toEqual(open("no task id"));
  });

  it.each([["task-1"], "task-1", 7, null, true, []].map((body) => ({ body })))(
    "answered 2xx with something that is no object: $body",
    async ({ body }) => {
      expect(await answeredJson(body).submit()).toEqual(open("no task id"));
    },
  );

  it.each(["", "ok", "<html></html>", '{"id":"task-1"', "\u0000"])(
    "answered 2xx with something that is no JSON: %j",
    async (body) => {
      expect(await answered(() => new Response(body)).submit()).toEqual(open("no task id"));
    },
  );

  it("answered 204 without a body", async () => {
    const { submit } = answered(() => new Response(null, { status: 204 }));
    expect(await submit()).toEqual(open("no task id"));
  });

  it.each([404, 405, 406, 408, 409, 410, 411, 415, 418, 423, 425, 428, 451])(
    "answered %i: nothing proves that the task was not taken",
    async (status) => {
      expect(await answeredJson({ error: { code: "other" } }, status).submit()).toEqual(
        open(`status ${status}`),
      );
    },
  );

  it.each([500, 501, 502, 503, 504, 520, 522, 524, 529])("answered %i, in any shape", async (status) => {
    for (const body of ["", "<html>502</html>", "upstream error", '{"error":{"code":1234}}']) {
      expect(await answered(() => new Response(body, { status })).submit()).toEqual(open(`status ${status}`));
    }
  });

  it.each(["content_policy_violation", "invalid_parameters", "insufficient_quota", "invalid_token"])(
    "answered 5xx, though the code %s would refuse it elsewhere",
    async (code) => {
      expect(await answeredJson({ error: { code } }, 503).submit()).toEqual(open("status 503"));
    },
  );

  it.each(["idempotency_conflict", "paid_outcome_unknown", "invalid_parameters"])(
    "answered 409 %s",
    async (code) => {
      const { submit, simulator } = simulated();
      simulator.control.script({ on: "submit", do: { kind: "error", status: 409, code } });
      expect(await submit()).toEqual(open("status 409"));
    },
  );

  it.each(["before", "after"])("broken off %s the task was made", async (when) => {
    const { submit, simulator } = simulated();
    simulator.control.script({ on: "submit", do: { kind: "reset", created: when === "after" } });
    expect(await submit()).toEqual(open("connection lost"));
    expect(simulator.control.tasks()).toHaveLength(when === "after" ? 1 : 0);
  });

  it.each(["before", "after"])("never answered, %s the task was made", async (when) => {
    const { submit, simulator } = simulated(shortMs);
    simulator.control.script({ on: "submit", do: { kind: "hang", created: when === "after" } });
    expect(await submit()).toEqual(open("time-out"));
    expect(simulator.control.tasks()).toHaveLength(when === "after" ? 1 : 0);
  });

  it("answered with a body that breaks off", async () => {
    const body = new ReadableStream({
      type: "bytes",
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"id":"task-unified-1",'));
      },
      pull(controller) {
        controller.error(new ConnectionReset());
      },
    });
    expect(await answered(() => new Response(body)).submit()).toEqual(open("connection lost"));
  });

  it("answered with a body that never ends: the time limit covers it", async () => {
    const { submit } = answered((request) => {
      const body = new ReadableStream({
        type: "bytes",
        start(controller) {
          controller.enqueue(new TextEncoder().encode('{"id":"task-unified-1",'));
          request.signal.addEventListener("abort", () => controller.error(request.signal.reason));
        },
      });
      return new Response(body);
    }, shortMs);
    expect(await submit()).toEqual(open("time-out"));
  });

  it("answered at a length that no reply has: it is read up to a bound, then let go", async () => {
    const chunks = 256;
    let sent = 0;
    let stopped = false;
    const body = new ReadableStream({
      type: "bytes",
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"id":"task-unified-1"}')),
      pull(controller) {
        sent += 1;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
        if (sent === chunks) controller.close();
      },
      cancel() {
        stopped = true;
      },
    });
    expect(await answered(() => new Response(body)).submit()).toEqual(open("no task id"));
    expect(stopped).toBe(true);
    expect(sent).toBeLessThan(chunks / 4);
  });
});

describe("a submit that is redirected", () => {
  it.each([301, 302, 303, 307, 308])("with %i goes nowhere else, and the key with it", async (status) => {
    const location = "https://thief.example/v1/images/generations";
    const { submit, calls } = answered(() => new Response(null, { status, headers: { location } }));
    expect(await submit()).toEqual({ kind: "unknown", reason: `status ${status}` });
    expect(calls.map((call) => call.url)).toEqual([`${baseUrl}/v1/images/generations`]);
  });
});
