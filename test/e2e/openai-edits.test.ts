/**
 * Edits by OpenAI's own package and by the AI SDK, both as they are, against the built Worker: the forms that they write are
 * read, and what they upload is what the model is shown.
 */
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateImage } from "ai";
import OpenAI, { BadRequestError, toFile } from "openai";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type BuiltGateway, startBuiltGateway } from "../helpers/node/built-gateway.ts";
import { type PaidTenant, payingTenant } from "../helpers/node/built-tenant.ts";
import { startProxy } from "../helpers/node/proxy.ts";
import { whileTicking } from "../helpers/node/ticking.ts";

let gateway: BuiltGateway;
let tenant: PaidTenant;
let [cat, dog] = [Buffer.alloc(0), Buffer.alloc(0)];

const drawn = (background: string) => sharp({ create: { width: 320, height: 256, channels: 3, background } });

beforeAll(async () => {
  gateway = await startBuiltGateway();
  [cat, dog] = [await drawn("teal").png().toBuffer(), await drawn("maroon").jpeg().toBuffer()];
});
beforeEach(async () => {
  gateway.simulator.control.reset();
  tenant = await payingTenant(gateway);
});
afterAll(() => gateway.close());

const clientAt = (origin: string, maxRetries = 0) =>
  new OpenAI({ baseURL: `${origin}/openai/v1`, apiKey: tenant.key, maxRetries });
const catAndDog = async () => [
  await toFile(cat, "cat.png", { type: "image/png" }),
  await toFile(dog, "dog.jpg", { type: "image/jpeg" }),
];
const quick = {
  model: "wan-2.7-image",
  prompt: "both of them by night [sim:seconds=0]",
  size: "1024x1024",
} as const;

async function bytesAt(url: string | undefined): Promise<Buffer> {
  const response = await fetch(url ?? "");
  expect(response.status).toBe(200);
  return Buffer.from(await response.arrayBuffer());
}

/** What the model was shown: the bytes behind the addresses that the only task went upstream with. */
async function shown(): Promise<Buffer[]> {
  const [task, ...others] = gateway.simulator.control.tasks();
  expect(others).toEqual([]);
  return Promise.all((task?.body.image_urls ?? []).map(bytesAt));
}

/** How many files are kept, tombstones aside. */
async function filesKept(): Promise<number> {
  const { IMAGES } = await gateway.bindings();
  const { objects } = await IMAGES.list({ prefix: "files/" });
  return objects.filter(({ size }) => size > 0).length;
}

describe("an edit by the openai package", () => {
  it("of two files gets the URLs of two pictures", async () => {
    const asked = { ...quick, image: await catAndDog(), n: 2, response_format: "url" } as const;
    const { data } = await whileTicking(gateway, clientAt(gateway.url).images.edit(asked));
    expect(data).toHaveLength(2);
    expect(await shown()).toEqual([cat, dog]);
    for (const { url, b64_json } of data ?? []) {
      expect(b64_json).toBeUndefined();
      expect(await sharp(await bytesAt(url)).metadata()).toMatchObject({ width: 1024, height: 1024 });
    }
    expect(await tenant.money()).toEqual({ balance: 440, held: 0 });
  });

  it("of one file gets the bytes that are stored", async () => {
    const image = await toFile(cat, "cat.png", { type: "image/png" });
    const asked = { ...quick, image, response_format: "b64_json", user: "ada" } as const;
    const { data } = await whileTicking(gateway, clientAt(gateway.url).images.edit(asked));
    const [task] = await tenant.tasks();
    expect(await shown()).toEqual([cat]);
    expect(task).toMatchObject({ end_user: "ada" });
    expect(Buffer.from(data?.[0]?.b64_json ?? "", "base64")).toEqual(await bytesAt(task?.results[0]));
  });

  it("iterates over an event for each picture", async () => {
    const types: string[] = [];
    const iterate = async () => {
      const asked = { ...quick, image: await catAndDog(), n: 2, stream: true } as const;
      for await (const event of await clientAt(gateway.url).images.edit(asked)) types.push(event.type);
    };
    await whileTicking(gateway, iterate());
    expect(types).toEqual(["image_edit.completed", "image_edit.completed"]);
  });

  it("with a mask is a BadRequestError that names it", async () => {
    const [image, mask] = await catAndDog();
    if (!image || !mask) throw new Error("not drawn");
    const error = await clientAt(gateway.url)
      .images.edit({ ...quick, image, mask })
      .catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(BadRequestError);
    expect(error).toMatchObject({ status: 400, code: "invalid_request", param: "mask" });
  });

  it("whose connection is lost once the task is made is made good by its own retry: one task, one set of files", async () => {
    const proxy = await startProxy(gateway.url);
    try {
      const before = await filesKept();
      const asked = { ...quick, prompt: "both by night [sim:seconds=2]", image: await catAndDog() };
      const edited = clientAt(proxy.url, 2).images.edit(asked).withResponse();
      // The picture takes its time, so nothing was answered when the task can be seen.
      while ((await tenant.tasks()).length === 0);
      proxy.drop();
      const { data, response } = await whileTicking(gateway, edited);
      expect(data.data).toHaveLength(1);
      expect(response.headers.get("idempotency-replayed")).toBe("true");
      expect(await tenant.tasks()).toHaveLength(1);
      expect(await shown()).toEqual([cat, dog]);
      expect(await tenant.money()).toEqual({ balance: 470, held: 0 });
      await expect.poll(filesKept).toBe(before + 2);
    } finally {
      await proxy.close();
    }
  });
});

describe("an edit by the AI SDK", () => {
  const edit = (options: object = {}) =>
    generateImage({
      model: createOpenAICompatible({
        baseURL: `${gateway.url}/openai/v1`,
        apiKey: tenant.key,
        name: "wan",
      }).imageModel("wan-2.7-image"),
      prompt: { text: quick.prompt, images: [cat, dog] },
      size: "1024x1024",
      ...options,
    });

  it("of two images gets the bytes of two pictures", async () => {
    const { images, warnings } = await whileTicking(gateway, edit({ n: 2 }));
    const [task] = await tenant.tasks();
    expect(warnings).toEqual([]);
    expect(await shown()).toEqual([cat, dog]);
    expect(images).toHaveLength(2);
    for (const [i, { uint8Array }] of images.entries()) {
      expect(Buffer.from(uint8Array)).toEqual(await bytesAt(task?.results[i]));
    }
  });

  it("of one image, with what a caller sets for the provider, is read as such", async () => {
    const providerOptions = { wan: { user: "ada", seed: 7, quality: "hd" } };
    const prompt = { text: quick.prompt, images: [dog] };
    await whileTicking(gateway, edit({ prompt, providerOptions }));
    expect((await tenant.tasks())[0]).toMatchObject({ end_user: "ada", input: { seed: 7 } });
    expect(await shown()).toEqual([dog]);
  });
});
