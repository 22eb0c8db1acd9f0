/** The form of an edit: its images, and its texts as the values that they stand for. */
import type { MultipartPart } from "@remix-run/multipart-parser";
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import { widestBounds } from "../../domain/model-catalog.ts";
import { referenceSides } from "../../domain/uploads.ts";
import { ApiError } from "../../errors.ts";
import { readBody } from "../../http/body.ts";
import type { AppContext } from "../../http/context.ts";
import { bytesOf, isFile, isForm, partsOf } from "../../http/form.ts";
import { invalidRequest, lossyPart } from "../../http/validation.ts";
import { ownCallback } from "../tasks/generation-checks.ts";
import { type OpenAiBody, openAiEdit } from "./openai-request.ts";

export const maxEditBytes = 40 * 1_048_576;
/** So much of a refused form is read on, so that the reply is not lost to a connection reset. */
const readBytes = maxEditBytes + 8 * 1_048_576;
const maxParts = 64;
/** As much as a JSON body has: what a text is checked for takes a multiple of its memory. */
const maxTextBytes = 65_536;
const imageField = /^image(?:\[\d*\])?$/;

export interface EditForm {
  body: OpenAiBody;
  images: Uint8Array<ArrayBuffer>[];
}

/** Reads a form, says what is wrong with it before anything is kept, and uses it. */
export async function readEditForm<T>(
  c: AppContext,
  config: Config,
  use: (form: EditForm) => Promise<T>,
): Promise<T> {
  if (!isForm(c)) throw new ApiError("unsupported_media_type", "The body must be multipart/form-data.");
  return readBody(c, { mostBytes: maxEditBytes, readBytes }, ({ bytes }) => use(formIn(c, config, bytes)));
}

function formIn(c: AppContext, config: Config, bytes: Uint8Array): EditForm {
  const parts = partsOf(c, bytes, maxParts, "image");
  const long = parts.find((part) => !isFile(part) && part.size > maxTextBytes);
  if (long)
    throw invalidRequest([
      { path: [long.name ?? "image"], message: `must be at most ${maxTextBytes} bytes of text` },
    ]);
  const images = parts.filter(({ name }) => imageField.test(name ?? ""));
  const schema = openAiEdit(config);
  const fields = fieldsOf(
    schema,
    parts.filter(({ name }) => !imageField.test(name ?? "")),
  );
  const lossy = lossyPart(fields, []);
  if (lossy) throw invalidRequest([lossy]);
  const parsed = schema.safeParse(fields);
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
  if (images.length > references) return problem(`must be at most ${references} files`);
  return images.every(isFile) ? [] : problem("must be a file, not text");
}

/** A field that is given twice leaves open which value was meant. */
function twice(parts: MultipartPart[]): { path: string[]; message: string }[] {
  const names = parts.map(({ name }) => name ?? "").filter((name) => !imageField.test(name));
  const again = new Set(names.filter((name, index) => names.indexOf(name) !== index));
  return [...again].map((name) => ({ path: [name], message: "must be given once" }));
}

/** Stands for a file where a text should be: no field is a list, so each says what it has to be. */
const aFile: unknown[] = [];

/** A form has texts only. What a text stands for follows from the schema of the field that it is of. */
function fieldsOf(schema: ReturnType<typeof openAiEdit>, parts: MultipartPart[]): Record<string, unknown> {
  const schemas = new Map<string, z.core.$ZodType>(Object.entries(schema.shape));
  const fields: [string, unknown][] = parts.map((part) => {
    const name = part.name ?? "";
    return [name, isFile(part) ? aFile : readText(part.text, schemas.get(name))];
  });
  return Object.fromEntries(fields);
}

/** Reads a text as the kind of value that a schema takes; one that stands for none stays what it is. */
function readText(text: string, schema: z.core.$ZodType | undefined): unknown {
  switch (schema && innermost(schema)._zod.def.type) {
    case "number":
      return /^-?\d{1,15}$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "record":
      return readJson(text);
    default:
      return text;
  }
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A schema without what makes it optional, nullable or defaulted. */
function innermost(schema: z.core.$ZodType): z.core.$ZodType {
  const { innerType } = schema._zod.def as { innerType?: z.core.$ZodType };
  return innerType ? innermost(innerType) : schema;
}

const { least, most } = referenceSides;
const { references, editedImages } = widestBounds();

/** The form as the document shows it. No body is validated by it: that would read it whole before its caller is let in. */
export function editFormDocument(config: Config) {
  const image = z.string().meta(documented(() => ({ format: "binary" })));
  const images = z.array(image).min(1).max(references);
  const { shape } = openAiEdit(config);
  const fields = Object.entries(shape).map(([name, schema]) => [name, inForm(schema)]);
  const schema = z.object({
    image: images.meta(
      documented(() => ({
        description: `One to ${references} PNG, JPEG or WebP files, with sides of ${least} to ${most} pixels; also as \`image[]\`.`,
      })),
    ),
    "image[]": images.optional(),
    ...(Object.fromEntries(fields) as Record<string, z.ZodType>),
    n: inForm(shape.n).meta(documented(() => ({ maximum: editedImages, default: 1 }))),
  });
  return {
    required: true,
    description: `At most ${maxEditBytes} bytes.`,
    content: { "multipart/form-data": { schema } },
  };
}

/** A field as a form has it: there is no null, and what is neither a number nor true or false is a text. */
function inForm(schema: z.ZodType): z.ZodType {
  const inner = innermost(schema) as z.ZodType;
  const { type } = inner.def;
  const isText = !["number", "boolean", "string", "enum"].includes(type);
  const text = z
    .string()
    .meta(
      type === "record"
        ? { contentMediaType: "application/json", description: "A JSON object of texts." }
        : { description: schema.meta()?.description },
    );
  const described = isText ? text : inner.meta(documented(() => ({ ...schema.meta() })));
  return schema.safeParse(undefined).success ? described.optional() : described;
}
