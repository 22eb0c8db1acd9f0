/** OpenAI's own package, as it is, against the built Worker: what it sends is taken, what it gets it understands. */
import OpenAI, {
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  PermissionDeniedError,
  RateLimitError,
} from "openai";
import type { ImageGenStreamEvent } from "openai/resources/images";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";
import { type PaidTenant, payingTenant } from "../helpers/node/built-tenant.ts";
import { startProxy } from "../helpers/node/proxy.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

let gateway: BuiltGateway;
let tenant: PaidTenant;

beforeAll(async () => {
  gateway = await startBuiltGateway();
  tenant = await payingTenant(gateway);
});
afterAll(() => gateway.close());

const clientFor = (apiKey: string, options: object = {}) =>
  new OpenAI({ baseURL: `${gateway.url}/openai/v1`, apiKey, maxRetries: 0, ...options });
const quick = { model: "wan-2.7-image", prompt: "a lighthouse [sim:seconds=0]" };

async function bytesAt(url: string | undefined): Promise<Buffer> {
  const response = await fetch(url ?? "");
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** What a call rejects with. */
const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

describe("the openai package", () => {
  it("lists the models", async () => {
    const ids: string[] = [];
    for await (const model of clientFor(tenant.key).models.list()) ids.push(model.id);
    expect(ids).toEqual(["wan-2.7-image", "wan-2.7-image-pro"]);
  });

  it("gets permanent URLs of three pictures in the size that it asked for", async () => {
    const asked = { ...quick, n: 3, size: "1024x768", response_format: "url" } as const;
    const { data, created } = await whileTicking(gateway, clientFor(tenant.key).images.generate(asked));
    expect(data).toHaveLength(3);
    expect(Math.abs(created - Date.now() / 1000)).toBeLessThan(60);
    expect(new Set(data?.map(({ url }) => url)).size).toBe(3);
    for (const { url, b64_json } of data ?? []) {
      expect(b64_json).toBeUndefined();
      const { format, width, height } = await sharp(await bytesAt(url)).metadata();
      expect({ format, width, height }).toEqual({ format: "png", width: 1024, height: 768 });
    }
  });

  it("gets the bytes that the URL has, with all that it can send beside", async () => {
    const beside = { quality: "high", style: "vivid", moderation: "low", background: "auto" } as const;
    const more = { output_format: "png", output_compression: 90, user: "ada", size: "auto" } as const;
    const generated = clientFor(tenant.key).images.generate({
      ...quick,
      model: "gpt-image-1",
      n: 1,
      ...beside,
      ...more,
    });
    const { data, usage } = await whileTicking(gateway, generated);
    expect(data).toHaveLength(1);
    expect(Buffer.from(data?.[0]?.b64_json ?? "", "base64")).toEqual(await bytesAt(data?.[0]?.url));
    expect(usage?.total_tokens).toBe(0);
  });

  it("reads headers beside the pictures", async () => {
    const generated = clientFor(tenant.key).images.generate(quick).withResponse();
    const { response, request_id } = await whileTicking(gateway, generated);
    const [newest] = await tenant.tasks();
    expect(response.headers.get("x-task-id")).toBe(newest?.id);
    expect(request_id).toMatch(/^req-/);
    expect(response.headers.get("x-ratelimit-limit-requests")).toBe("600");
  });

  it("iterates over an event for each picture", async () => {
    const events: ImageGenStreamEvent[] = [];
    const iterate = async () => {
      const asked = { ...quick, n: 2, stream: true, partial_images: 1 } as const;
      for await (const event of await clientFor(tenant.key).images.generate(asked)) events.push(event);
    };
    await whileTicking(gateway, iterate());
    expect(events.map(({ type }) => type)).toEqual([
      "image_generation.completed",
      "image_generation.completed",
    ]);
    for (const event of events) {
      const { format, width, height } = await sharp(Buffer.from(event.b64_json, "base64")).metadata();
      expect(event).toMatchObject({ output_format: format, size: `${width}x${height}` });
    }
  });
});

describe("an error in the openai package", () => {
  it("of a wrong key is an AuthenticationError", async () => {
    const error = await failureOf(clientFor("sk-proj-wrong").images.generate(quick));
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: "invalid_key", type: "authentication_error" });
    expect((error as AuthenticationError).requestID).toMatch(/^req-/);
  });

  it("of a field that is refused is a BadRequestError that names it", async () => {
    const asked = { ...quick, background: "transparent" } as const;
    const error = await failureOf(clientFor(tenant.key).images.generate(asked));
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "background" });
    expect((error as BadRequestError).message).toContain("transparency");
  });

  it.each([
    ["content_policy_violation", BadRequestError],
    ["generation_timeout", InternalServerError],
  ] as const)("of a task that fails with %s has its code, and is not attempted again", async (code, kind) => {
    const before = await tenant.money();
    const made = (await tenant.tasks()).length;
    const client = clientFor(tenant.key, { maxRetries: 2 });
    const prompt = `a boat [sim:seconds=0] [sim:fail=${code}]`;
    const error = await whileTicking(gateway, failureOf(client.images.generate({ ...quick, prompt })));
    expect(error).toBeInstanceOf(kind);
    const tasks = await tenant.tasks();
    expect(tasks).toHaveLength(made + 1);
    expect(error).toMatchObject({ code });
    expect((error as BadRequestError).headers?.get("x-task-id")).toBe(tasks[0]?.id);
    expect(await tenant.money()).toEqual(before);
  });

  it("of a rate is a RateLimitError", async () => {
    const slow = await payingTenant(gateway, { limits: { requests_per_minute: 1 } });
    await whileTicking(gateway, clientFor(slow.key).images.generate(quick));
    const error = await failureOf(clientFor(slow.key).images.generate(quick));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, code: "rate_limited" });
    expect(Number((error as RateLimitError).headers?.get("retry-after"))).toBeGreaterThan(0);
  });

  it("of a suspended tenant is a PermissionDeniedError", async () => {
    const closed = await payingTenant(gateway);
    await gateway.admin("PATCH", `/tenants/${closed.id}`, { status: "suspended" });
    const error = await failureOf(clientFor(closed.key, { maxRetries: 2 }).images.generate(quick));
    expect(error).toBeInstanceOf(PermissionDeniedError);
    expect(error).toMatchObject({ status: 403, code: "tenant_suspended" });
  });

  it("in the middle of a reply is a failure, never half a picture", async () => {
    const client = clientFor(tenant.key);
    const name = { idempotencyKey: "half", headers: { "Idempotency-Key": "half" } };
    const asked = { ...quick, n: 2 };
    const { data } = await whileTicking(gateway, client.images.generate(asked, name));
    const { IMAGES } = await gateway.bindings();
    const [, id] = /(img-\w+)\.png$/.exec(data?.[1]?.url ?? "") ?? [];
    await IMAGES.put(`images/${id}`, new Uint8Array());
    expect(await failureOf(client.images.generate(asked, name))).toBeInstanceOf(Error);
  });
});

describe("a connection that is lost once the task is made", () => {
  it("is made good by the package's own retry: one task, one charge", async () => {
    const own = await payingTenant(gateway);
    const proxy = await startProxy(gateway.url);
    try {
      const client = clientFor(own.key, { baseURL: `${proxy.url}/openai/v1`, maxRetries: 2 });
      const prompt = "a lighthouse [sim:seconds=2]";
      const generated = client.images.generate({ ...quick, prompt }).withResponse();
      // The picture takes its time, so nothing was answered when the task can be seen.
      while ((await own.tasks()).length === 0);
      proxy.drop();
      const { data, response } = await whileTicking(gateway, generated);
      expect(data.data).toHaveLength(1);
      expect(response.headers.get("idempotency-replayed")).toBe("true");
      expect((await own.tasks()).map(({ id }) => id)).toEqual([response.headers.get("x-task-id")]);
      expect((await own.charges()).filter(({ type }) => type === "charge")).toHaveLength(1);
      expect(await own.money()).toEqual({ balance: 470, held: 0 });
    } finally {
      await proxy.close();
    }
  });
});
