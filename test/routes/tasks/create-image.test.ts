/** A submit that is taken: what goes upstream, and what the caller gets back. */
import { describe, expect, it } from "vitest";
import { bearer, origin, startGateway, upstreamOrigin } from "../../helpers/gateway.ts";
import { countTasks, generations, goodBody, policy, submit } from "../../helpers/routes.ts";

const everything = {
  model: "wan-2.7-image-pro",
  prompt: "image 1 by moonlight",
  image_urls: ["https://pictures.example/one.png", "http://pictures.example/two.png"],
  n: 3,
  size: { width: 1024, height: 768 },
  negative_prompt: "people",
  seed: 42,
  enable_safety_checker: true,
  enable_prompt_expansion: false,
  callback_url: "https://hooks.example/done",
  metadata: { order: "A-17", note: "" },
  end_user: "user-9",
};

describe("what goes upstream", () => {
  it("is all that was given, but for callback_url, metadata and end_user", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    expect((await submit(gateway, key, everything)).status).toBe(200);
    const { callback_url, metadata, end_user, ...sent } = everything;
    expect(gateway.simulator.control.tasks().map((task) => task.body)).toEqual([sent]);
  });

  it("is n of 1 and nothing else that was not given", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    await submit(gateway, key);
    expect(gateway.simulator.control.tasks().map((task) => task.body)).toEqual([{ ...goodBody, n: 1 }]);
  });

  it.each([{ enable_safety_checker: false }, { enable_safety_checker: true }])(
    "holds a switch exactly as it was given: %j",
    async (given) => {
      const gateway = startGateway();
      const { key } = await gateway.makeTenant();
      await submit(gateway, key, given);
      expect(gateway.simulator.control.tasks().map((task) => task.body)).toEqual([
        { ...goodBody, n: 1, ...given },
      ]);
    },
  );

  it("goes out once, with the upstream's key and the task's id, and with nothing of the caller's", async () => {
    const gateway = startGateway();
    const { key, id } = await gateway.makeTenant();
    const headers = { ...bearer(key), cookie: "session=1", "x-forwarded-for": "203.0.113.9" };
    const task: { id: string } = await (await gateway.post(generations, everything, headers)).json();
    const calls = gateway.simulator.control.calls();
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({
      method: "POST",
      origin: upstreamOrigin,
      path: "/v1/images/generations",
      headers: {
        authorization: `Bearer ${gateway.config.UPSTREAM_API_KEY}`,
        "content-type": "application/json",
        "idempotency-key": task.id,
      },
    });
    const wire = JSON.stringify([calls, gateway.simulator.control.tasks()]);
    for (const secret of [key, id, "session=1", "203.0.113.9", "hooks.example", "A-17", "user-9"]) {
      expect(wire).not.toContain(secret);
    }
  });
});

describe("the reply to a submit", () => {
  it("is the task, with everything that was asked", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const response = await submit(gateway, key, everything);
    expect(response.status).toBe(200);
    const task = (await response.json()) as { id: string; links: Record<string, string> };
    const { model, metadata, end_user, ...input } = everything;
    expect(task).toEqual({
      id: expect.stringMatching(/^task-[0-9a-z]{31}$/),
      object: "image.generation.task",
      type: "image",
      model,
      created: Math.floor(gateway.now() / 1000),
      finished: null,
      status: "pending",
      progress: 0,
      results: [],
      images: [],
      task_info: { can_cancel: false, estimated_time: 8, queue_position: null },
      usage: { images: 0, credits_held: 225, credits_charged: 0 },
      input,
      metadata,
      end_user,
      error: null,
      links: expect.objectContaining({ self: `${origin}/v1/tasks/${task.id}` }),
    });
    expect(gateway.simulator.control.tasks()[0]?.id).not.toBe(task.id);
  });

  it("shows given defaults, and empty metadata and no end user where none was given", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const task = (await (await submit(gateway, key)).json()) as Record<string, unknown>;
    expect(task).toMatchObject({ metadata: {}, end_user: null, usage: { credits_held: 30 } });
    expect(task.input).toEqual({ prompt: goodBody.prompt, n: 1 });
  });

  it("has the headers of an unfinished task", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const response = await submit(gateway, key);
    const { id } = (await response.json()) as { id: string };
    const headers = Object.fromEntries(response.headers);
    expect(headers).toMatchObject({
      "content-type": expect.stringMatching(/^application\/json\b/),
      location: `/v1/tasks/${id}`,
      "retry-after": "3",
      "cache-control": "no-store",
      "x-request-id": expect.stringMatching(/^\S{16,}$/),
    });
    expect(headers).not.toHaveProperty("x-should-retry");
    expect(headers).not.toHaveProperty("access-control-allow-credentials");
  });

  it("leads to the task through its Location and its link alike", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const response = await submit(gateway, key);
    const { id, links } = (await response.json()) as { id: string; links: { self: string } };
    for (const path of [response.headers.get("location") ?? "", new URL(links.self).pathname]) {
      const found = await gateway.fetch(path, { headers: bearer(key) });
      expect(await found.json()).toMatchObject({ id });
    }
  });

  it("links to the gateway's public address where it has one", async () => {
    const gateway = startGateway({ vars: { PUBLIC_BASE_URL: "https://images.shop.example" } });
    const { key } = await gateway.makeTenant();
    const task = (await (await submit(gateway, key)).json()) as { id: string; links: object };
    expect(task.links).toMatchObject({ self: `https://images.shop.example/v1/tasks/${task.id}` });
  });

  it("means that the task is written down", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const before = await countTasks();
    await submit(gateway, key);
    expect(await countTasks()).toBe(before + 1);
  });

  it("holds the price that the operator set, for each image", async () => {
    const prices = { "wan-2.7-image": 7, "wan-2.7-image-pro": 11 };
    const gateway = startGateway({ vars: { PRICES: JSON.stringify(prices) } });
    const { key } = await gateway.makeTenant();
    const held = async (fields: object) =>
      ((await (await submit(gateway, key, fields)).json()) as { usage: { credits_held: number } }).usage;
    expect(await held({ n: 5 })).toMatchObject({ credits_held: 35 });
    expect(await held({ n: 2, model: "wan-2.7-image-pro" })).toMatchObject({ credits_held: 22 });
  });

  it("has an id that no other task has, and that sorts by age", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) {
      ids.push(((await (await submit(gateway, key)).json()) as { id: string }).id);
      gateway.advance(1);
    }
    expect(new Set(ids).size).toBe(20);
    expect(ids.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids);
  });
});

describe("the limits on a submit's reply", () => {
  it("say the policy, what is left and when it is whole again, in both forms", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: 30 } });
    for (let used = 1; used <= 3; used++) {
      const { headers } = await submit(gateway, key);
      expect(policy(headers, "RateLimit-Policy", "requests")).toEqual({ q: 30, w: 60 });
      // One request drains in 60 s / 30.
      expect(policy(headers, "RateLimit", "requests")).toEqual({ r: 30 - used, t: 2 * used });
      expect(headers.get("x-ratelimit-limit-requests")).toBe("30");
      expect(headers.get("x-ratelimit-remaining-requests")).toBe(String(30 - used));
      expect(headers.get("x-ratelimit-reset-requests")).toBe(String(2 * used));
    }
  });

  it("have the default of 600 requests a minute", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant();
    const { headers } = await submit(gateway, key);
    expect(policy(headers, "RateLimit-Policy", "requests")).toEqual({ q: 600, w: 60 });
    expect(policy(headers, "RateLimit", "requests")).toMatchObject({ r: 599 });
  });

  it("say nothing of a policy that the tenant has not", async () => {
    const gateway = startGateway();
    const { key } = await gateway.makeTenant({ limits: { requests_per_minute: null } });
    const { status, headers } = await submit(gateway, key);
    expect(status).toBe(200);
    expect(policy(headers, "RateLimit-Policy", "requests")).toBeUndefined();
    expect(policy(headers, "RateLimit", "requests")).toBeUndefined();
    expect(headers.get("x-ratelimit-limit-requests")).toBeNull();
  });
});
