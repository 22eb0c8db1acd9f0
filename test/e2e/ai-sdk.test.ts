/** The AI SDK with its OpenAI-compatible provider, both as they are, against the built Worker. */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateImage } from "ai";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";
import { type PaidTenant, payingTenant } from "../helpers/node/built-tenant.ts";
import { type DroppingProxy, startProxy } from "../helpers/node/proxy.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

let gateway: BuiltGateway;
let tenant: PaidTenant;

beforeAll(async () => {
  gateway = await startBuiltGateway();
});
beforeEach(async () => {
  tenant = await payingTenant(gateway);
});
afterAll(() => gateway.close());

const modelAt = (origin: string) =>
  createOpenAICompatible({ baseURL: `${origin}/openai/v1`, apiKey: tenant.key, name: "wan" }).imageModel(
    "wan-2.7-image",
  );
const generate = (options: Partial<Parameters<typeof generateImage>[0]> = {}) =>
  generateImage({ model: modelAt(gateway.url), prompt: "a lighthouse [sim:seconds=0]", ...options });

/** What a call rejects with. */
const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

const charged = async () => (await tenant.charges()).filter(({ type }) => type === "charge");

describe("the AI SDK", () => {
  it("gets two pictures of the size that it asked for, with the bytes that are stored", async () => {
    const { images, usage, warnings } = await whileTicking(gateway, generate({ n: 2, size: "1024x768" }));
    const [task] = await tenant.tasks();
    expect(images).toHaveLength(2);
    expect(warnings).toEqual([]);
    expect(usage.totalTokens).toBe(0);
    for (const [i, { uint8Array, mediaType }] of images.entries()) {
      const stored = await (await fetch(task?.results[i] ?? "")).arrayBuffer();
      expect(Buffer.from(uint8Array)).toEqual(Buffer.from(stored));
      expect(mediaType).toBe("image/png");
      const { width, height } = await sharp(uint8Array).metadata();
      expect({ width, height }).toEqual({ width: 1024, height: 768 });
    }
    expect(await tenant.money()).toEqual({ balance: 440, held: 0 });
  });

  it("sends on what a caller sets for the provider", async () => {
    const providerOptions = { wan: { quality: "hd", response_format: "url", user: "ada", seed: 7 } };
    const { images } = await whileTicking(gateway, generate({ providerOptions }));
    const [task] = await tenant.tasks();
    expect(task).toMatchObject({ end_user: "ada", input: { seed: 7 } });
    const stored = await (await fetch(task?.results[0] ?? "")).arrayBuffer();
    expect(Buffer.from(images[0]?.uint8Array ?? [])).toEqual(Buffer.from(stored));
  });

  it("that is called off rejects at once, and its task still ends and is charged once", async () => {
    const abort = new AbortController();
    const prompt = "a lighthouse [sim:seconds=3]";
    const failed = failureOf(generate({ prompt, abortSignal: abort.signal }));
    while ((await tenant.tasks()).length === 0);
    abort.abort();
    expect(await failed).toMatchObject({ name: "AbortError" });
    expect((await tenant.tasks())[0]?.status).toMatch(/^(pending|processing)$/);
    const ended = async () => {
      for (;;) {
        const [task] = await tenant.tasks();
        if (task?.status === "completed") return;
      }
    };
    await whileTicking(gateway, ended());
    expect(await charged()).toHaveLength(1);
    expect(await tenant.money()).toEqual({ balance: 470, held: 0 });
  });

  it("shows an error of the gateway with its message and code", async () => {
    const error = await failureOf(generate({ providerOptions: { wan: { background: "transparent" } } }));
    expect(APICallError.isInstance(error)).toBe(true);
    expect(error).toMatchObject({
      statusCode: 400,
      isRetryable: false,
      message: expect.stringContaining("the model draws no transparency"),
      data: { error: { code: "invalid_request", param: "background" } },
    });
  });

  it("shows why a task failed", async () => {
    const prompt = "a boat [sim:seconds=0] [sim:fail]";
    const error = await whileTicking(gateway, failureOf(generate({ prompt })));
    expect(error).toMatchObject({
      statusCode: 400,
      message: expect.stringContaining("content policy"),
      responseHeaders: { "x-task-id": expect.stringMatching(/^task-/) },
    });
    expect(await tenant.money()).toEqual({ balance: 500, held: 0 });
  });
});

/** It does not number its attempts, so what makes them one is a key that its caller gives. */
describe("the AI SDK with an Idempotency-Key", () => {
  const headers = { "Idempotency-Key": "order-1" };
  let proxy: DroppingProxy;
  beforeAll(async () => {
    proxy = await startProxy(gateway.url);
  });
  afterAll(() => proxy.close());

  it("makes a lost connection good by its own retry: one task, one charge", async () => {
    const prompt = "a lighthouse [sim:seconds=2]";
    const generated = generate({ model: modelAt(proxy.url), prompt, headers });
    while ((await tenant.tasks()).length === 0);
    proxy.drop();
    const { images } = await whileTicking(gateway, generated);
    expect(images).toHaveLength(1);
    expect(await tenant.tasks()).toHaveLength(1);
    expect(await charged()).toHaveLength(1);
  });

  it("gets a failed task again when it tries again, and makes no other", async () => {
    const prompt = "a boat [sim:seconds=0] [sim:fail=generation_timeout]";
    const error = await whileTicking(gateway, failureOf(generate({ prompt, headers })));
    expect(String(error)).toContain("The image model took too long.");
    expect(await tenant.tasks()).toHaveLength(1);
  });
});
