/** The native fields in OpenAI's dialect: each is taken and reaches the task, or is listed here as left out. */
import { describe, expect, it } from "vitest";
import { readConfig } from "../../../src/config.ts";
import { generationFields } from "../../../src/domain/generation-fields.ts";
import { models } from "../../../src/domain/model-catalog.ts";
import { type FieldName, fieldNames, sentInput } from "../../../src/domain/task-request.ts";
import { editFormDocument } from "../../../src/routes/openai/openai-form.ts";
import { openAiEdit, openAiGeneration, toOpenAiRequest } from "../../../src/routes/openai/openai-request.ts";
import { generationBody, toTaskRequest } from "../../../src/routes/tasks/generation-request.ts";

const secret = "a secret of a test, of 32 letters";
const read = readConfig({ UPSTREAM_API_KEY: secret, ADMIN_API_KEY: secret, KEY_SIGNING_SECRET: secret });
if (!("config" in read)) throw new Error(`misconfigured: ${read.misconfigured}`);
const { config } = read;

/** A value of each field that is not its default. A new field does not compile until it has one. */
const values: Record<FieldName, unknown> = {
  model: models.at(-1),
  prompt: "a lighthouse",
  image_urls: ["https://pictures.example/a.png"],
  n: 3,
  size: "landscape_4_3",
  negative_prompt: "blur",
  seed: 7,
  enable_safety_checker: true,
  enable_prompt_expansion: false,
  callback_url: "https://hooks.example/task",
  metadata: { order: "7" },
  end_user: "u-1",
};

/** An edit's references are the images of its form. */
const leftOutOfEdits: FieldName[] = ["image_urls"];

const native = toTaskRequest(generationBody({ allowPrivate: false }).parse(values));

describe("a native field", () => {
  it.each(fieldNames)("%s is taken by a generation", (name) => {
    expect(Object.keys(openAiGeneration(config).shape)).toContain(name);
  });

  it.each(fieldNames)("%s is taken by an edit and in its document, or left out by name", (name) => {
    const { schema } = editFormDocument(config).content["multipart/form-data"];
    const isLeftOut = leftOutOfEdits.includes(name);
    expect(name in openAiEdit(config).shape).toBe(!isLeftOut);
    expect(name in schema.shape).toBe(!isLeftOut);
  });

  it("means the same in both dialects", () => {
    const { stream, format, ...asked } = toOpenAiRequest(config, openAiGeneration(config).parse(values));
    expect(asked).toEqual(native);
    expect([stream, format]).toEqual([false, "both"]);
  });

  it.each(fieldNames)("%s goes where the table says, and nowhere else", (name) => {
    const { goes } = generationFields({ allowPrivate: false })[name];
    const { input, ...task } = native;
    const sent = sentInput(input);
    expect(name in input).toBe(goes !== "task");
    expect(name in sent).toBe(goes === "upstream");
    if (goes === "task") expect(Object.values(task)).toContainEqual(values[name]);
    else expect(input[name as keyof typeof input]).toEqual(values[name]);
  });

  it("that is left out has its default in both dialects, and so has null in OpenAI's", () => {
    const bare = { model: models[0], prompt: "a lighthouse" };
    const expected = {
      model: models[0],
      input: { prompt: "a lighthouse", n: 1 },
      metadata: {},
      endUser: null,
    };
    expect(toTaskRequest(generationBody({ allowPrivate: false }).parse(bare))).toEqual(expected);
    const nulls = { prompt: "a lighthouse", model: null, n: null, size: null };
    for (const body of [bare, nulls])
      expect(toOpenAiRequest(config, openAiGeneration(config).parse(body))).toMatchObject(expected);
  });
});
