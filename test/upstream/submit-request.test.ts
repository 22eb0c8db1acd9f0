import { describe, expect, it } from "vitest";
import type { TaskInput } from "../../src/domain/task-request.ts";
import { bearer, startGateway } from "../helpers/gateway.ts";
import { answered, apiKey, baseUrl, input, model, simulated, taskId } from "../helpers/upstream-client.ts";

const everything: TaskInput = {
  prompt: "image 1 in the style of image 2, 灯塔",
  image_urls: ["https://a.example/1.png", "https://b.example/2.jpg"],
  n: 4,
  size: { width: 1024, height: 768 },
  negative_prompt: "blurry",
  seed: 2_147_483_647,
  enable_safety_checker: false,
  enable_prompt_expansion: true,
};

/** The body that the upstream gets for an input. */
async function sentBody(given: TaskInput, name = model): Promise<unknown> {
  const { upstream, calls } = answered(() => Response.json({ id: "task-unified-1" }));
  await upstream.submit(name, given, taskId);
  return JSON.parse(String(calls[0]?.init.body));
}

describe("a submit", () => {
  it("is one POST to the configured base, with these headers and no others", async () => {
    const { submit, calls, simulator } = simulated();
    await submit();
    expect(calls.map((call) => call.url)).toEqual([`${baseUrl}/v1/images/generations`]);
    expect(simulator.control.calls()).toMatchObject([{ method: "POST", path: "/v1/images/generations" }]);
    expect(simulator.control.calls()[0]?.headers).toEqual({
      authorization: `Bearer ${apiKey}`,
      accept: "application/json",
      "content-type": "application/json",
      "idempotency-key": taskId,
      "user-agent": "wan-gateway/1.0",
    });
  });

  it("forbids redirects and is bounded in time", async () => {
    const { submit, calls } = simulated();
    await submit();
    expect(calls[0]?.init.redirect).toBe("manual");
    expect(calls[0]?.init.signal).toBeInstanceOf(AbortSignal);
  });

  it("sends the input as it is", async () => {
    expect(await sentBody(everything)).toEqual({ model, ...everything });
    expect(await sentBody(input, "wan-2.7-image-pro")).toEqual({ model: "wan-2.7-image-pro", ...input });
  });

  it("sends n even when it is 1, and nothing that was not given", async () => {
    const bare: TaskInput = {
      prompt: "a lighthouse",
      n: 1,
      size: undefined,
      seed: undefined,
      enable_safety_checker: undefined,
      enable_prompt_expansion: undefined,
      callback_url: undefined,
    };
    expect(await sentBody(bare)).toEqual({ model, prompt: "a lighthouse", n: 1 });
  });

  it("never sends the caller's callback_url", async () => {
    const withCallback = { ...everything, callback_url: "https://caller.example/hook" };
    expect(await sentBody(withCallback)).toEqual({ model, ...everything });
  });

  it("holds the upstream's key in one header and nowhere else", async () => {
    const { submit, calls } = simulated();
    await submit();
    expect(calls[0]?.url).not.toContain(apiKey);
    expect(calls[0]?.init.body).not.toContain(apiKey);
    const headers = Object.entries(calls[0]?.init.headers ?? {});
    expect(headers.filter(([, value]) => String(value).includes(apiKey)).map(([name]) => name)).toEqual([
      "authorization",
    ]);
  });

  it("under one idempotency key is one task, however often it is sent", async () => {
    const { submit, simulator } = simulated();
    const [first, second] = [await submit(), await submit()];
    expect(first.kind).toBe("accepted");
    expect(second).toEqual(first);
    expect(simulator.control.tasks()).toHaveLength(1);
  });
});

describe("a generation that comes through the gateway", () => {
  it("reaches the upstream without metadata, end user, callback and the tenant's key", async () => {
    const gateway = startGateway();
    const { id: tenantId, key } = await gateway.makeTenant();
    const response = await gateway.post(
      "/v1/images/generations",
      {
        model,
        ...everything,
        metadata: { order: "hidden-1" },
        end_user: "hidden-2",
        callback_url: "https://hidden-3.example/hook",
      },
      { ...bearer(key), "x-hidden": "hidden-4", cookie: "hidden-5" },
    );
    expect(response.status).toBe(200);
    const { id } = (await response.json()) as { id: string };
    expect(gateway.simulator.control.tasks()).toMatchObject([
      { idempotencyKey: id, body: { model, ...everything } },
    ]);
    const [task] = gateway.simulator.control.tasks();
    expect(Object.keys(task?.body ?? {}).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
      ["model", ...Object.keys(everything)].toSorted((a, b) => (a < b ? -1 : 1)),
    );
    const wire = JSON.stringify([gateway.simulator.control.calls(), task]);
    for (const hidden of ["hidden", key, tenantId]) expect(wire).not.toContain(hidden);
  });

  it.each([
    "https://example.com\\@169.254.169.254/a.png",
    "https:\\\\example.com\\a.png",
    "ht\ntps://exam\tple.com/a.png",
    "https:example.com/a.png",
    "https:/example.com/a.png",
    "https:///example.com/a.png",
  ])(
    "does not send on an address that others may read differently than it was checked: %j",
    async (address) => {
      const gateway = startGateway();
      const { key } = await gateway.makeTenant();
      const body = { model, prompt: "a", image_urls: [address] };
      const response = await gateway.post("/v1/images/generations", body, bearer(key));
      await response.body?.cancel();
      // Refused, or sent in the one spelling that was checked.
      const { calls, tasks } = gateway.simulator.control;
      if (response.status === 400) expect(calls()).toEqual([]);
      else expect(tasks()).toMatchObject([{ body: { image_urls: [new URL(address).href] } }]);
    },
  );
});
