/**
 * A client token is for one end user's page, for minutes: it does what a browser key does, within the images,
 * models, origins, end user and life that are signed into it, and ends with the key that made it.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { bearer, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { mintToken, page, readFrom, submitFrom, taskIdOf } from "../../helpers/page-visitor.ts";
import { expectError, goodBody, makeKey, policy, submit, upstreamCalls } from "../../helpers/routes.ts";

const gateway = startGateway();
const roomy = { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null };
let tenant = { id: "", key: "", keyId: "" };
let token = "";
beforeAll(async () => {
  tenant = await gateway.makeTenant({ limits: roomy });
  token = await mintToken(gateway, tenant.key, { max_images: 1_000, ttl_seconds: 3_600 });
});

const mint = (fields: object = {}) => mintToken(gateway, tenant.key, fields);

describe("a client token", () => {
  it("submits, reads, sees the models and asks for a quote, and sees no credits", async () => {
    const task: ShownTask = await (await submitFrom(gateway, token, { n: 4 })).json();
    expect(task.usage).toEqual({ images: 0 });
    const again: ShownTask = await (await readFrom(gateway, token, task.id)).json();
    expect(again.usage).toEqual({ images: 0 });
    const headers = { ...bearer(token), ...page };
    expect((await gateway.fetch("/v1/models", { headers })).status).toBe(200);
    expect((await gateway.post("/v1/quote", goodBody, headers)).status).toBe(200);
  });

  it.each([
    ["POST", "/v1/client-tokens", { allowed_origins: ["https://shop.example"] }],
    ["POST", "/v1/client-tokens", { turnstile: "solved" }],
    ["POST", "/v1/client-tokens", {}],
    ["POST", "/v1/keys", { name: "mine", kind: "secret" }],
    ["GET", "/v1/keys", undefined],
    ["DELETE", "/v1/keys/key-0000000000000000", undefined],
    ["DELETE", "/v1/tasks/task-0000000000000000000000000000000", undefined],
    ["GET", "/v1/usage", undefined],
    ["GET", "/v1/ledger", undefined],
  ])("may not %s %s", async (method, path, body) => {
    const headers = { ...bearer(token), ...page };
    const response =
      body === undefined
        ? await gateway.fetch(path, { method, headers })
        : await gateway.post(path, body, headers);
    await expectError(response, "scope_denied");
  });

  it("names no address to call, and asks for 4 images at the most", async () => {
    const called = await submitFrom(gateway, token, { callback_url: "https://shop.example/hook" });
    await expectError(called, "scope_denied", "callback_url");
    await expectError(await submitFrom(gateway, token, { n: 5 }), "invalid_request", "n");
  });

  it("works from the origins that it was minted for, whatever its key's are", async () => {
    const other = { origin: "https://other.example" };
    const listed = await mint({ allowed_origins: [other.origin, "https://*.pages.example"] });
    for (const from of [other, { origin: "https://a.pages.example" }, { "sec-fetch-site": "same-origin" }]) {
      expect((await submitFrom(gateway, listed, {}, { origin: "", ...from })).status).toBe(
        "origin" in from ? 200 : 403,
      );
      expect((await gateway.fetch("/v1/models", { headers: { ...bearer(listed), ...from } })).status).toBe(
        200,
      );
    }
    for (const from of [page, { origin: "null" }, { origin: "https://pages.example" }, {}]) {
      const headers = { ...bearer(listed), ...from };
      await expectError(await gateway.fetch("/v1/models", { headers }), "origin_not_allowed");
      await expectError(
        await gateway.post("/v1/images/generations", goodBody, headers),
        "origin_not_allowed",
      );
    }
  });

  it("makes with the models that it was minted for", async () => {
    const plain = await mint({ models: ["wan-2.7-image"] });
    expect((await submitFrom(gateway, plain)).status).toBe(200);
    const finer = await submitFrom(gateway, plain, { model: "wan-2.7-image-pro" });
    await expectError(finer, "model_not_allowed", "model");
    const headers = { ...bearer(plain), ...page };
    expect(await (await gateway.fetch("/v1/models", { headers })).json()).toMatchObject({
      data: [{ id: "wan-2.7-image" }],
    });
  });

  it("never makes with a model that its key has not, even when it names none", async () => {
    const { key } = await makeKey(gateway, tenant.id, { models: ["wan-2.7-image"] });
    const finer = await submitFrom(gateway, await mintToken(gateway, key), { model: "wan-2.7-image-pro" });
    await expectError(finer, "model_not_allowed", "model");
  });

  it("lives as long as was asked for, to the millisecond", async () => {
    const short = await mint({ ttl_seconds: 60, max_images: 100 });
    const id = await taskIdOf(await submitFrom(gateway, short));
    gateway.advance(59_999);
    expect((await submitFrom(gateway, short)).status).toBe(200);
    gateway.advance(1);
    await expectError(await submitFrom(gateway, short), "invalid_key");
    await expectError(await readFrom(gateway, short, id), "invalid_key");
  });
});

describe("a client token's images", () => {
  it("are counted exactly over parallel requests", async () => {
    const seven = await mint({ max_images: 7 });
    const before = upstreamCalls(gateway, "POST").length;
    const replies = await Promise.all(Array.from({ length: 20 }, () => submitFrom(gateway, seven)));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(7);
    for (const reply of replies) if (reply.status !== 200) await expectError(reply, "token_spent");
    expect(upstreamCalls(gateway, "POST")).toHaveLength(before + 7);
  });

  it("are counted as images, not as requests, and a refusal takes none", async () => {
    const five = await mint({ max_images: 5 });
    expect((await submitFrom(gateway, five, { n: 3 })).status).toBe(200);
    await expectError(await submitFrom(gateway, five, { n: 3 }), "token_spent");
    await expectError(await submitFrom(gateway, five, { n: 0 }), "invalid_request", "n");
    expect((await submitFrom(gateway, five, { n: 2 })).status).toBe(200);
    const spent = await submitFrom(gateway, five);
    expect(spent.headers.get("x-should-retry")).toBe("false");
    await expectError(spent, "token_spent");
  });

  it("are never more than the whole, which waiting does not help", async () => {
    const two = await mint({ max_images: 2 });
    await expectError(await submitFrom(gateway, two, { n: 3 }), "invalid_request", "n");
    expect((await submitFrom(gateway, two, { n: 2 })).status).toBe(200);
  });

  it("come back when the upstream refuses the content", async () => {
    const one = await mint({ max_images: 1 });
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    await expectError(await submitFrom(gateway, one), "content_policy_violation");
    expect((await submitFrom(gateway, one)).status).toBe(200);
  });

  it("are the limits that it sees, and none of its tenant's", async () => {
    const ten = await mint({ max_images: 10, ttl_seconds: 300 });
    const { headers } = await submitFrom(gateway, ten, { n: 4 });
    expect(policy(headers, "RateLimit-Policy", "images")).toEqual({ q: 10, w: 300 });
    expect(policy(headers, "RateLimit", "images")).toEqual({ r: 6, t: 300 });
    for (const name of ["requests", "tasks", "daily", "monthly"]) {
      expect(policy(headers, "RateLimit", name)).toBeUndefined();
    }
  });

  it("of a spent token can still be read", async () => {
    const one = await mint({ max_images: 1 });
    const id = await taskIdOf(await submitFrom(gateway, one));
    await expectError(await submitFrom(gateway, one), "token_spent");
    expect((await readFrom(gateway, one, id)).status).toBe(200);
  });
});

describe("a client token's end user", () => {
  it("is whom its tasks are for, and no other", async () => {
    const hers = await mint({ end_user: "ada" });
    await expectError(await submitFrom(gateway, hers, { end_user: "bob" }), "invalid_request", "end_user");
    await expectError(
      await submitFrom(gateway, await mint(), { end_user: "ada" }),
      "invalid_request",
      "end_user",
    );
    const task: ShownTask = await (await submitFrom(gateway, hers, { end_user: "ada" })).json();
    expect(task.end_user).toBe("ada");
    const kept: ShownTask = await (
      await gateway.fetch(`/v1/tasks/${task.id}`, { headers: bearer(tenant.key) })
    ).json();
    expect(kept.end_user).toBe("ada");
  });

  it("sees what was asked for it by its tenant's server, and not where that server is notified", async () => {
    const body = { prompt: "for eve", end_user: "eve", callback_url: "https://shop.example/hook?secret=abc" };
    const { id }: ShownTask = await (await submit(gateway, tenant.key, body)).json();
    const hers = await mint({ end_user: "eve" });
    const headers = { ...bearer(hers), ...page };
    const listed = await (await gateway.fetch("/v1/tasks", { headers })).json<{ data: ShownTask[] }>();
    for (const task of [await (await readFrom(gateway, hers, id)).json<ShownTask>(), ...listed.data]) {
      expect(task.input).toMatchObject({ prompt: "for eve" });
      expect(JSON.stringify(task)).not.toContain("shop.example/hook");
    }
    const whole: ShownTask = await (
      await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(tenant.key) })
    ).json();
    expect(whole.input).toMatchObject({ callback_url: body.callback_url });
  });

  it("is the only one whose tasks it reads", async () => {
    const [hers, alsoHers, his] = [
      await mint({ end_user: "ada" }),
      await mint({ end_user: "ada" }),
      await mint({ end_user: "Ada" }),
    ];
    const id = await taskIdOf(await submitFrom(gateway, hers));
    expect((await readFrom(gateway, alsoHers, id)).status).toBe(200);
    await expectError(await readFrom(gateway, his, id), "task_not_found");
    const nobodys = await taskIdOf(await submit(gateway, tenant.key));
    await expectError(await readFrom(gateway, hers, nobodys), "task_not_found");
  });
});

describe("two tokens of one key", () => {
  it("read what they made, and neither the other's nor their key's", async () => {
    const [one, other] = [await mint(), await mint()];
    const id = await taskIdOf(await submitFrom(gateway, one));
    expect((await readFrom(gateway, one, id)).status).toBe(200);
    const byKey = await taskIdOf(await submit(gateway, tenant.key));
    for (const [token, task] of [[other, id] as const, [one, byKey] as const])
      await expectError(await readFrom(gateway, token, task), "task_not_found");
  });

  it("share neither their images nor their idempotency keys", async () => {
    const [one, other] = [await mint({ max_images: 1 }), await mint({ max_images: 1 })];
    const name = { "idempotency-key": "same" };
    const id = await taskIdOf(await submitFrom(gateway, one, {}, name));
    expect(await taskIdOf(await submitFrom(gateway, one, {}, name))).toBe(id);
    expect(await taskIdOf(await submitFrom(gateway, other, {}, name))).not.toBe(id);
  });
});
