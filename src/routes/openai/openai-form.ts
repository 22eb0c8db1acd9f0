/** The form of an edit: its images, and its texts as the values that they stand for. */
import type { MultipartPart } from "@remix-run/multipart-parser";
import type { Config } from "../../config.ts";
import { models } from "../../domain/model-catalog.ts";
import { ApiError } from "../../errors.ts";
import { declaredBytes, readBody } from "../../http/body.ts";
import type { AppContext } from "../../http/context.ts";
import { bytesOf, isFile, isForm, partsOf } from "../../http/form.ts";
import { invalidRequest, lossyPart } from "../../http/validation.ts";
import { ownCallback } from "../tasks/generation-checks.ts";
import {
  maxEditedImages,
  maxNegativePromptCharacters,
  maxPromptCharacters,
  maxReferences,
  maxSeed,
} from "../tasks/generation-request.ts";
import { type OpenAiBody, openAiEdit, responseFormats } from "./openai-request.ts";

export const maxEditBytes = 40 * 1_048_576;
/** So much of a refused form is read on, so that the reply is not lost to a connection reset. */
const readBytes = maxEditBytes + 8 * 1_048_576;
const maxParts = 64;
const imageField = /^image(?:\[\d*\])?$/;

export interface EditForm {
  body: OpenAiBody;
  images: Uint8Array<ArrayBuffer>[];
}

/** Reads a form, and says what is wrong with it before anything is kept. */
export async function readEditForm(c: AppContext, config: Config): Promise<EditForm> {
  if (!isForm(c)) throw new ApiError("unsupported_media_type", "The body must be multipart/form-data.");
  const tooLarge = new ApiError("body_too_large", `The body must be at most ${maxEditBytes} bytes.`);
  const isTooLarge = (declaredBytes(c.req.raw) ?? 0) > maxEditBytes;
  const { bytes, size } = await readBody(c.req.raw, { keptBytes: isTooLarge ? 0 : maxEditBytes, readBytes });
  if (size > maxEditBytes || isTooLarge) throw tooLarge;
  const parts = partsOf(c, bytes, maxParts, "image");
  const images = parts.filter(({ name }) => imageField.test(name ?? ""));
  const fields = fieldsOf(parts.filter(({ name }) => !imageField.test(name ?? "")));
  const lossy = lossyPart(fields, []);
  if (lossy) throw invalidRequest([lossy]);
  const parsed = openAiEdit(config).safeParse(fields);
  const issues = [
    ...imageProblems(images),
    ...twice(parts),
    ...(parsed.success ? [] : parsed.error.issues),
    ...ownCallback(c, config, fields.callback_url),
  ];
  if (!parsed.success || issues.length > 0) throw invalidRequest(issues);
  return { body: parsed.data, images: images.map(bytesOf) };
}

function imageProblems(images: MultipartPart[]): { path: string[]; message: string }[] {
  const problem = (message: string) => [{ path: ["image"], message }];
  if (images.length === 0) return problem("is required");
  if (images.length > maxReferences) return problem(`must be at most ${maxReferences} files`);
  return images.every(isFile) ? [] : problem("must be a file, not text");
}

/** Which of two values was meant nobody can tell. */
function twice(parts: MultipartPart[]): { path: string[]; message: string }[] {
  const names = parts.map(({ name }) => name ?? "").filter((name) => !imageField.test(name));
  const again = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...again].map((name) => ({ path: [name], message: "must be given once" }));
}

/** A form knows texts only; which of them are numbers, truth values or objects their names say. */
const readers = new Map<string, (text: string) => unknown>([
  ["n", readNumber],
  ["seed", readNumber],
  ["stream", readTruth],
  ["enable_safety_checker", readTruth],
  ["enable_prompt_expansion", readTruth],
  ["metadata", readJson],
]);

/** Stands for a file where a text should be: no field is a list, so each says what it has to be. */
const aFile: unknown[] = [];

function fieldsOf(parts: MultipartPart[]): Record<string, unknown> {
  const fields: [string, unknown][] = parts.map((part) => {
    const name = part.name ?? "";
    return [name, isFile(part) ? aFile : (readers.get(name) ?? String)(part.text)];
  });
  return Object.fromEntries(fields);
}

function readNumber(text: string): unknown {
  return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
}

function readTruth(text: string): unknown {
  return text === "true" ? true : text === "false" ? false : text;
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** For the document only: a body that a schema validates would be read whole before its caller is let in. */
export function editFormDocument(config: Config) {
  const text = (rest: object = {}) => ({ type: "string" as const, ...rest });
  const binary = text({ format: "binary" });
  const images = { type: "array" as const, items: binary, minItems: 1, maxItems: maxReferences };
  const schema = {
    type: "object" as const,
    required: ["image", "prompt"],
    properties: {
      image: {
        ...images,
        description:
          "One to four PNG, JPEG or WebP files, with sides of 240 to 8,000 pixels; also as `image[]`.",
      },
      "image[]": images,
      prompt: text({ minLength: 1, maxLength: maxPromptCharacters }),
      model: text({ enum: [...models, ...Object.keys(config.MODEL_ALIASES)] }),
      n: { type: "integer" as const, minimum: 1, maximum: maxEditedImages, default: 1 },
      size: text({ description: '`"auto"`, `"1024x768"`, or a preset of the native route.' }),
      response_format: text({ enum: [...responseFormats] }),
      user: text({ maxLength: 128 }),
      stream: { type: "boolean" as const },
      negative_prompt: text({ maxLength: maxNegativePromptCharacters }),
      seed: { type: "integer" as const, minimum: 0, maximum: maxSeed },
      enable_safety_checker: { type: "boolean" as const },
      enable_prompt_expansion: { type: "boolean" as const },
      metadata: text({ description: "A JSON object of texts." }),
      end_user: text({ maxLength: 128 }),
      callback_url: text({ format: "uri" }),
    },
  };
  return {
    required: true,
    description: `At most ${maxEditBytes} bytes.`,
    content: { "multipart/form-data": { schema } },
  };
}
