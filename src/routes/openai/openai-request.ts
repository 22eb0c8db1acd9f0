/**
 * The bodies that OpenAI's clients send, as the native request. A field that this product has no use for is taken and
 * ignored where the picture is none the worse for it, and refused where the picture would not be the one asked for. The
 * native fields are taken as well, each as the table of fields has it.
 */
import * as z from "zod";
import type { Config } from "../../config.ts";
import { documented } from "../../domain/documented.ts";
import {
  endUser,
  generationFields,
  ownSize,
  presetSizes,
  requestBounds,
} from "../../domain/generation-fields.ts";
import { defaultModel, type Model, models, widestBounds } from "../../domain/model-catalog.ts";
import { clashes, type ImageSize, inputOf, schemasOf, type TaskRequest } from "../../domain/task-request.ts";
import { addClashes, always } from "../tasks/generation-request.ts";

export const responseFormats = ["url", "b64_json"] as const;

/** What a reply is to hold of each image: its URL, its bytes, or both. */
export type WantedFormat = (typeof responseFormats)[number] | "both";

/** A field of any value that changes nothing. */
const ignored = z
  .unknown()
  .optional()
  .meta(documented(() => ({ description: "Taken, and of no effect." })));
const ignoredFields = {
  quality: ignored,
  style: ignored,
  moderation: ignored,
  input_fidelity: ignored,
  output_compression: ignored,
  partial_images: ignored,
};

const unsupported = (message: string) =>
  z
    .unknown()
    .optional()
    .superRefine((value, context) => {
      if (value !== undefined && value !== null) context.addIssue({ code: "custom", message });
    })
    .meta(documented(() => ({ description: "Refused." })));

const { least, most } = requestBounds.side;
const sizePattern = /^(\d{2,4})x(\d{2,4})$/;
const sizeError = `must be "auto", "WxH" with sides from ${least} to ${most}, or one of ${presetSizes.join(", ")}`;

function isSize(text: string): boolean {
  return (
    text === "auto" ||
    (presetSizes as readonly string[]).includes(text) ||
    ownSize.safeParse(sidesIn(text)).success
  );
}

function sidesIn(text: string): { width: number; height: number } | undefined {
  const [, width, height] = sizePattern.exec(text) ?? [];
  return width === undefined ? undefined : { width: Number(width), height: Number(height) };
}

function sizeOf(given: string | { width: number; height: number } | null | undefined): ImageSize | undefined {
  if (typeof given !== "string") return given ?? undefined;
  return given === "auto" ? undefined : (sidesIn(given) ?? (given as ImageSize));
}

/** The model that a body names, or the default one. @returns undefined for a name that means none. */
function modelOf(config: Config, name: unknown): Model | undefined {
  if (name === undefined || name === null) return defaultModel;
  return config.MODEL_ALIASES[String(name)] ?? models.find((model) => model === name);
}

/** The fields of both operations. Where a client sends null for "as usual", null is taken. */
function openAiFields(config: Config) {
  const names = [...models, ...Object.keys(config.MODEL_ALIASES)];
  const { model: _model, ...native } = schemasOf(
    generationFields({ allowPrivate: config.ALLOW_PRIVATE_NETWORK }),
  );
  const { prompt, n, size: _size, image_urls, ...others } = native;
  const shared = {
    prompt,
    model: z
      .string()
      .refine((name) => names.includes(name), `must be one of ${names.join(", ")}`)
      .nullish()
      .meta(
        documented(() => ({
          description: `Default ${defaultModel}. ${models.join(", ")}, or a name by which the operator has one of them called.`,
        })),
      ),
    n: n
      .unwrap()
      .nullish()
      .meta(
        documented(() => ({ description: `Default 1; at most ${widestBounds().editedImages} for an edit.` })),
      ),
    size: z
      .union([z.string().refine(isSize, sizeError), ownSize], { error: sizeError })
      .nullish()
      .meta(documented(() => ({ description: '`"auto"`, `"1024x768"`, or a size of the native route.' }))),
    response_format: z
      .enum(responseFormats)
      .nullish()
      .meta(documented(() => ({ description: "Left out: both, in each item." }))),
    user: endUser
      .nullish()
      .meta(documented(() => ({ description: "Whom the task is for: its `end_user`." }))),
    stream: z
      .boolean()
      .nullish()
      .meta(documented(() => ({ description: "An event per image." }))),
    ...ignoredFields,
    mask: unsupported("is not supported: the model edits the whole picture, by its prompt"),
    background: z
      .enum(["auto", "opaque"], { error: "must be auto or opaque: the model draws no transparency" })
      .nullish(),
    output_format: z
      .enum(["png"], { error: "must be png: pictures are stored as the model makes them" })
      .nullish(),
    ...others,
  };
  return { shared, image_urls };
}

/** The JSON body of a generation. */
export function openAiGeneration(config: Config) {
  const { shared, image_urls } = openAiFields(config);
  return z
    .strictObject({ ...shared, image_urls })
    .superRefine((body, context) => {
      addClashes(context, clashes({ ...body, model: modelOf(config, body?.model) }));
    }, always)
    .meta(
      documented(() => ({
        examples: [{ model: defaultModel, prompt: "a lighthouse at dusk", n: 1, size: "1024x768" }],
      })),
    );
}

/** The fields of an edit beside its images, once a form's texts are numbers and truth values where they should be. */
export function openAiEdit(config: Config) {
  return z.strictObject(openAiFields(config).shared).superRefine((body, context) => {
    const asked = { ...body, model: modelOf(config, body?.model), image_urls: [] };
    addClashes(context, clashes(asked, "for an edit"));
  }, always);
}

export type OpenAiBody = z.output<ReturnType<typeof openAiGeneration>>;

export interface OpenAiRequest extends TaskRequest {
  stream: boolean;
  format: WantedFormat;
}

/** The request of a body that its schema has let through. */
export function toOpenAiRequest(config: Config, body: OpenAiBody): OpenAiRequest {
  return {
    model: modelOf(config, body.model) ?? defaultModel,
    input: inputOf({ ...body, size: sizeOf(body.size) }),
    metadata: body.metadata ?? {},
    endUser: body.end_user ?? body.user ?? null,
    stream: body.stream ?? false,
    format: body.response_format ?? "both",
  };
}
