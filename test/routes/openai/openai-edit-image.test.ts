/**
 * `POST /openai/v1/images/edits`: the images of a form become files of the gateway's, which the model fetches as they came,
 * and its texts become what they stand for.
 */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fileLifeMs } from "../../../src/domain/uploads.ts";
import { type Bytes, draw, left } from "../../helpers/files.ts";
import { readTask, startGateway } from "../../helpers/gateway.ts";
import { decoded, replyOf, storedBytes, taskIdOf } from "../../helpers/openai.ts";
import { askEdit, editTexts, type Field, sendEdit, writeForm } from "../../helpers/openai-edits.ts";
import { mintToken, page } from "../../helpers/page-visitor.ts";
import { deleteTasks } from "../../helpers/routes.ts";
import { virtualTime } from "../../helpers/virtual-time.ts";

const gateway = startGateway({
  time: virtualTime(),
  vars: { MODEL_ALIASES: { "gpt-image-1": "wan-2.7-image" } },
});
let tenant = { id: "", key: "", keyId: "" };
let pictures: Bytes[] = [];
beforeAll(async () => {
  pictures = [
    await draw("png", 320, 240, 1),
    await draw("jpeg", 241, 300, 2),
    await draw("webp", 640, 360, 3),
    await draw("png", 320, 240, 4),
  ];
});
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  tenant = await gateway.makeTenant();
});

const [first, second] = [() => pictures.slice(0, 1), () => pictures.slice(1, 2)];
const ask = (images: Bytes[], texts: Field[] = [], headers: Record<string, string> = {}) =>
  askEdit(gateway, tenant.key, images, { texts, headers });

/** What the upstream was asked for. */
const sent = () => gateway.simulator.control.tasks().at(-1)?.body;

/** What the upstream gets at the addresses that it was given, as it asks: without a key. */
async function fetched(): Promise<Bytes[]> {
  const got: Bytes[] = [];
  for (const url of sent()?.image_urls ?? []) {
    expect(url).toMatch(/^https:\/\/gateway\.example\/files\/file-[0-9a-z]{26}\.(?:png|jpg|webp)$/);
    const response = await gateway.fetch(new URL(url).pathname);
    expect(response.status).toBe(200);
    got.push(new Uint8Array(await response.arrayBuffer()));
  }
  return got;
}

describe("the images of an edit", () => {
  it.each([1, 2, 3, 4])("are %i of the gateway's files, in their order, byte for byte", async (count) => {
    const images = pictures.slice(0, count).toReversed();
    const response = await ask(images);
    const { data } = await replyOf(response);
    expect(data).toHaveLength(1);
    expect(await fetched()).toEqual(images);
    const task = await readTask(gateway, tenant.key, taskIdOf(response));
    expect(task).toMatchObject({ status: "completed", input: { image_urls: sent()?.image_urls } });
  });

  it.each([
    [["image"]],
    [["image[]"]],
    [["image", "image"]],
    [["image[0]", "image[1]", "image[2]"]],
    [["image", "image[]"]],
  ])("come under %j, before the texts or behind them", async (names) => {
    const images = names.map((name, i): Field => [name, pictures[i] ?? new Uint8Array()]);
    for (const fields of [
      [...images, ...editTexts],
      [...editTexts, ...images],
    ]) {
      await replyOf(await sendEdit(gateway, tenant.key, await writeForm(fields)));
      expect(await fetched()).toEqual(pictures.slice(0, names.length));
    }
  });

  it("count as uploads do, and live as long", async () => {
    const before = await left(gateway, tenant.id);
    await replyOf(await ask(pictures));
    const bytes = pictures.reduce((sum, { length }) => sum + length, 0);
    expect(await left(gateway, tenant.id)).toMatchObject({
      files: (before.files ?? 0) - 4,
      bytes: (before.bytes ?? 0) - bytes,
    });
    const path = new URL(sent()?.image_urls?.[0] ?? "").pathname;
    await gateway.sleep(fileLifeMs - 60_000);
    expect((await gateway.fetch(path)).status).toBe(200);
    await gateway.sleep(60_000);
    expect((await gateway.fetch(path)).status).toBe(404);
  });

  it("go with the task that they were sent for", async () => {
    const response = await ask(pictures);
    await replyOf(response);
    const init = { method: "DELETE", headers: { authorization: `Bearer ${tenant.key}` } };
    expect((await gateway.fetch(`/v1/tasks/${taskIdOf(response)}`, init)).status).toBe(204);
    for (const url of sent()?.image_urls ?? []) {
      await expect.poll(async () => (await gateway.fetch(new URL(url).pathname)).status).toBe(404);
    }
  });

  it("may come from a page, by a client token", async () => {
    const token = await mintToken(gateway, tenant.key, { end_user: "ada" });
    const response = await askEdit(gateway, token, first(), { headers: page, texts: [["user", "ada"]] });
    expect(response.headers.get("access-control-allow-origin")).toBe(page.origin);
    const { usage } = await replyOf(response);
    expect(usage).not.toHaveProperty("credits_charged");
    expect(await fetched()).toEqual(first());
    expect(await readTask(gateway, tenant.key, taskIdOf(response))).toMatchObject({ end_user: "ada" });
  });
});

describe("the texts of an edit", () => {
  it("are numbers, truth values and objects where they stand for these", async () => {
    const response = await ask(first(), [
      ["model", "gpt-image-1"],
      ["n", "3"],
      ["seed", "7"],
      ["enable_safety_checker", "false"],
      ["enable_prompt_expansion", "true"],
      ["negative_prompt", "fog"],
      ["metadata", '{"order":"17"}'],
      ["user", "ada"],
    ]);
    expect((await replyOf(response)).data).toHaveLength(3);
    const input = {
      n: 3,
      seed: 7,
      enable_safety_checker: false,
      enable_prompt_expansion: true,
      negative_prompt: "fog",
    };
    expect(sent()).toMatchObject({ ...input, model: "wan-2.7-image", prompt: editTexts[0]?.[1] });
    const task = await readTask(gateway, tenant.key, taskIdOf(response));
    expect(task).toMatchObject({ input, metadata: { order: "17" }, end_user: "ada" });
  });

  it("stay texts where these could be something else", async () => {
    await replyOf(
      await ask(first(), [
        ["prompt", "42"],
        ["user", "true"],
        ["negative_prompt", '{"a":1}'],
      ]),
    );
    expect(sent()).toMatchObject({ prompt: "42", negative_prompt: '{"a":1}' });
  });

  it("that mean nothing here change nothing", async () => {
    const ignored: Field[] = ["quality", "style", "moderation", "input_fidelity"].map((name) => [
      name,
      "high",
    ]);
    await replyOf(
      await ask(second(), [
        ...ignored,
        ["output_compression", "80"],
        ["partial_images", "2"],
        ["background", "auto"],
        ["output_format", "png"],
      ]),
    );
    expect(new Set(Object.keys(sent() ?? {}))).toEqual(
      new Set(["model", "prompt", "n", "size", "image_urls"]),
    );
  });
});

describe("the reply to an edit", () => {
  it.each([
    ["url", ["url"]],
    ["b64_json", ["b64_json"]],
  ])("has with response_format %s in each item only that", async (format, names) => {
    const response = await ask(first(), [
      ["response_format", format],
      ["n", "2"],
    ]);
    const { data, usage } = await replyOf(response);
    const { results } = await readTask(gateway, tenant.key, taskIdOf(response));
    expect(data.map((item) => Object.keys(item))).toEqual([names, names]);
    expect(usage).toMatchObject({ images: 2, credits_charged: 60 });
    for (const [i, { url, b64_json }] of data.entries()) {
      if (url !== undefined) expect(url).toBe(results[i]);
      if (b64_json !== undefined) expect(decoded(b64_json)).toEqual(await storedBytes(results[i]));
    }
  });

  it("is with stream an event for each picture, of the type that an edit has", async () => {
    const response = await ask(first(), [
      ["stream", "true"],
      ["n", "2"],
    ]);
    expect(response.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
    const text = await response.text();
    const { results } = await readTask(gateway, tenant.key, taskIdOf(response));
    const blocks = text.split("\n\n").filter((block) => block !== "" && !block.startsWith(":"));
    expect(blocks).toHaveLength(2);
    for (const [i, block] of blocks.entries()) {
      const [, event, data = ""] = /^event: (\S+)\ndata: (.*)$/.exec(block) ?? [];
      const received = JSON.parse(data) as { type: string; url: string; b64_json: string };
      expect([event, received.type]).toEqual(["image_edit.completed", "image_edit.completed"]);
      expect(received.url).toBe(results[i]);
      expect(decoded(received.b64_json)).toEqual(await storedBytes(received.url));
    }
  });

  it("is with stream false none of events", async () => {
    expect((await replyOf(await ask(first(), [["stream", "false"]]))).data).toHaveLength(1);
  });
});
