/**
 * What OpenAI's clients send is understood, or refused by name: pictures come as they asked for them, and nothing that
 * they did not ask for is made.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readTask, startGateway } from "../../helpers/gateway.ts";
import { ask, decoded, openAiGenerations, replyOf, storedBytes, taskIdOf } from "../../helpers/openai.ts";
import { deleteTasks, expectNothingBut, naming, submit } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const gateway = startGateway({
  time: virtualTime(),
  vars: { MODEL_ALIASES: { "gpt-image-1": "wan-2.7-image", "dall-e-3": "wan-2.7-image-pro" } },
});
let key = "";
beforeAll(async () => {
  ({ key } = await gateway.makeTenant({ limits: { concurrent_tasks: null } }));
});
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
});

/** What the upstream was asked for by a request that is answered with pictures, and the task that was made. */
async function madeOf(fields: object) {
  const response = await ask(gateway, key, fields);
  const { data } = await replyOf(response);
  const [{ body } = { body: undefined }] = gateway.simulator.control.tasks();
  return { data, body, task: await readTask(gateway, key, taskIdOf(response)) };
}

describe("a reply with pictures", () => {
  it("has the URL and the bytes of each, exactly as they are stored", async () => {
    const response = await ask(gateway, key, { n: 2 });
    const { created, data, usage } = await replyOf(response);
    const task = await readTask(gateway, key, taskIdOf(response));
    expect(created).toBe(task.created);
    expect(data.map(({ url }) => url)).toEqual(task.results);
    expect(data).toHaveLength(2);
    for (const [i, { url, b64_json }] of data.entries()) {
      const bytes = decoded(b64_json);
      expect(bytes).toHaveLength(task.images[i]?.bytes ?? Number.NaN);
      expect(bytes).toEqual(await storedBytes(url));
    }
    expect(data[0]?.b64_json).not.toBe(data[1]?.b64_json);
    expect(usage).toEqual({
      images: 2,
      credits_charged: 60,
      input_tokens: 0,
      input_tokens_details: { image_tokens: 0, text_tokens: 0 },
      output_tokens: 0,
      total_tokens: 0,
    });
    expect(response.headers.get("cache-control")).toBe("no-store, no-transform");
  });

  it.each([
    ["url", ["url"]],
    ["b64_json", ["b64_json"]],
    [null, ["url", "b64_json"]],
  ])("has with response_format %j in each item only %j", async (format, names) => {
    const { data, task } = await madeOf({ response_format: format, n: 3 });
    expect(data.map((item) => Object.keys(item))).toEqual([names, names, names]);
    for (const [i, { url, b64_json }] of data.entries()) {
      if (url !== undefined) expect(url).toBe(task.results[i]);
      if (b64_json !== undefined) expect(decoded(b64_json)).toEqual(await storedBytes(task.results[i]));
    }
  });

  it("has only those that came, and charges no others", async () => {
    const response = await ask(gateway, key, { prompt: "two of three [sim:results=2]", n: 3 });
    const { data, usage } = await replyOf(response);
    expect(data).toHaveLength(2);
    expect(usage).toMatchObject({ images: 2, credits_charged: 60 });
  });
});

describe("what is asked for", () => {
  it.each([
    ["768x1024", { width: 768, height: 1_024 }],
    ["4096x576", { width: 4_096, height: 576 }],
    ["auto", undefined],
    [null, undefined],
    ["square", "square"],
    [
      { width: 960, height: 640 },
      { width: 960, height: 640 },
    ],
  ])("in the size %j goes upstream as %j", async (size, sent) => {
    expect((await madeOf({ size })).body?.size).toEqual(sent);
  });

  it("by default is one picture of the standard model", async () => {
    const { data, task, body } = await madeOf({});
    expect([data.length, task.model]).toEqual([1, "wan-2.7-image"]);
    expect(body).toMatchObject({ model: "wan-2.7-image", n: 1 });
  });

  it.each([
    ["wan-2.7-image-pro", "wan-2.7-image-pro"],
    ["gpt-image-1", "wan-2.7-image"],
    ["dall-e-3", "wan-2.7-image-pro"],
    [null, "wan-2.7-image"],
  ])("of the model %j is made by %s", async (model, made) => {
    const { task, body } = await madeOf({ model });
    expect([task.model, body?.model]).toEqual([made, made]);
  });

  it("for a user is that end user's, and end_user goes before it", async () => {
    expect((await madeOf({ user: "ada" })).task.end_user).toBe("ada");
    await deleteTasks();
    expect((await madeOf({ user: "ada", end_user: "bob" })).task.end_user).toBe("bob");
  });

  it("in the native fields goes upstream too", async () => {
    const { task, body } = await madeOf({ negative_prompt: "fog", seed: 7, metadata: { a: "b" } });
    expect(body).toMatchObject({ negative_prompt: "fog", seed: 7 });
    expect(body).not.toHaveProperty("metadata");
    expect(task.metadata).toEqual({ a: "b" });
  });

  it("is as usual where a client sends null", async () => {
    const nulls = { background: null, output_format: null, mask: null, stream: null, user: null };
    const ignored = { quality: null, style: null, moderation: null, partial_images: null };
    const { data, task } = await madeOf({ ...nulls, ...ignored, n: null, size: null, model: null });
    expect(data).toHaveLength(1);
    expect(task).toMatchObject({ end_user: null, model: "wan-2.7-image" });
  });

  it("is none the worse for what means nothing here, which never goes upstream", async () => {
    const ignored = { quality: "high", style: "vivid", moderation: "low", input_fidelity: "high" };
    const more = { output_compression: 80, partial_images: 2 };
    const same = { background: "opaque", output_format: "png", stream: false };
    const { body } = await madeOf({ ...ignored, ...more, ...same });
    expect(new Set(Object.keys(body ?? {}))).toEqual(new Set(["model", "prompt", "n", "size"]));
  });
});

describe("a request is refused by the name of its field, and nothing is made of it:", () => {
  it.each<[string, object, string?]>([
    ["mask", { mask: "data:image/png;base64,AA==" }],
    ["background", { background: "transparent" }],
    ["output_format", { output_format: "webp" }],
    ["output_format", { output_format: "jpeg" }],
    ["colour", { colour: "red" }],
    ["image", { image: "https://pictures.example/a.png" }],
    ["model", { model: "gpt-image-2" }],
    ["model", { model: "constructor" }],
    ["n", { n: 0 }],
    ["n", { n: 6 }],
    ["n", { n: "2" }],
    ["n", { n: 5, image_urls: ["https://pictures.example/a.png"] }],
    ["size", { size: "63x512" }],
    ["size", { size: "4097x512" }],
    ["size", { size: "512X512" }],
    ["size", { size: "huge" }],
    ["size", { size: { width: 512 } }],
    ["prompt", { prompt: null }],
    ["prompt", { prompt: "" }],
    ["prompt", { prompt: "x".repeat(2_001) }],
    ["response_format", { response_format: "webp" }],
    ["stream", { stream: "yes" }],
    ["user", { user: "x".repeat(129) }],
    ["seed", { seed: -1 }],
    ["callback_url", { callback_url: "http://hooks.example" }],
  ])("%s in %j", async (param, fields) => {
    const message = await expectNothingBut(
      gateway,
      () => ask(gateway, key, fields),
      "invalid_request",
      param,
    );
    expect(message).toMatch(naming(param));
  });

  it.each([
    [{ mask: "x" }, "mask: is not supported: the model edits the whole picture, by its prompt"],
    [{ background: "transparent" }, "background: must be auto or opaque: the model draws no transparency"],
    [{ output_format: "webp" }, "output_format: must be png: pictures are stored as the model makes them"],
  ])("what the model cannot do says why, for %j", async (fields, text) => {
    const [param = ""] = Object.keys(fields);
    const send = () => ask(gateway, key, fields);
    expect(await expectNothingBut(gateway, send, "invalid_request", param)).toBe(text);
  });

  it("all that is wrong is reported at once", async () => {
    const fields = { n: 9, mask: "x", colour: "red" };
    const message = await expectNothingBut(gateway, () => ask(gateway, key, fields), "invalid_request", "n");
    for (const name of ["n", "mask", "colour"]) expect(message).toMatch(naming(name));
  });

  it("an alias is a name of this dialect alone", async () => {
    const native = () => submit(gateway, key, { model: "gpt-image-1" });
    await expectNothingBut(gateway, native, "invalid_request", "model");
  });

  it("a body that is no JSON", async () => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const send = () => gateway.fetch(openAiGenerations, { method: "POST", headers, body: "{" });
    await expectNothingBut(gateway, send, "invalid_json");
  });

  it("what the upstream refuses at once", async () => {
    gateway.simulator.control.script({
      on: "submit",
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    const response = await ask(gateway, key);
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      error: { code: "content_policy_violation", charged: "no" },
    });
    expect(gateway.simulator.control.tasks()).toEqual([]);
  });
});
