/**
 * The body that OpenAI's clients send, as the native one. What they may send and this product has no use for is taken
 * and ignored where the picture is none the worse for it, and refused where it would not be what was asked for.
 */
import * as z from "zod";
import type { Config } from "../../config.ts";
import { type Model, models } from "../../domain/model-catalog.ts";
import type { ImageSize, TaskInput } from "../../domain/task.ts";
import { presetSizes } from "../../domain/task.ts";
import {
  expandsEdits,
  expandsOnlyEdits,
  fewEnough,
  fewEnoughForEditing,
  generationFields,
} from "../tasks/generation-request.ts";

export const responseFormats = ["url", "b64_json"] as const;

/** What a reply is to hold of each image: its URL, its bytes, or both. */
export type WantedFormat = (typeof responseFormats)[number] | "both";

/** Whatever it is, it changes nothing. */
const ignored = z.unknown().optional().meta({ description: "Taken, and of no effect." });
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
    .meta({ description: "Refused." });

const sizePattern = /^(\d{2,4})x(\d{2,4})$/;
const sizeError = `must be "auto", "WxH" with sides from 64 to 4096, or one of ${presetSizes.join(", ")}`;

function isSize(text: string): boolean {
  const [, width, height] = sizePattern.exec(text) ?? [];
  const isSide = (side: string | undefined) => Number(side) >= 64 && Number(side) <= 4_096;
  return (
    text === "auto" || (presetSizes as readonly string[]).includes(text) || (isSide(width) && isSide(height))
  );
}

function sizeOf(given: string | { width: number; height: number } | null | undefined): ImageSize | undefined {
  if (typeof given !== "string") return given ?? undefined;
  const [, width, height] = sizePattern.exec(given) ?? [];
  if (width !== undefined) return { width: Number(width), height: Number(height) };
  return given === "auto" ? undefined : (given as ImageSize);
}

/** The fields of both operations. Where a client sends null for "as usual", null is taken. */
function openAiFields(config: Config) {
  const names = [...models, ...Object.keys(config.MODEL_ALIASES)];
  const native = generationFields({ allowPrivate: config.ALLOW_PRIVATE_NETWORK });
  return {
    prompt: native.prompt,
    model: z
      .string()
      .refine((name) => names.includes(name), `must be one of ${names.join(", ")}`)
      .nullish()
      .meta({ description: `Default ${models[0]}. ${names.join(", ")}.` }),
    n: native.n.unwrap().nullish().meta({ description: "Default 1; at most 4 for an edit." }),
    size: z
      .union(
        [
          z.string().refine(isSize, sizeError),
          z.strictObject({ width: z.int().min(64).max(4_096), height: z.int().min(64).max(4_096) }),
        ],
        {
          error: sizeError,
        },
      )
      .nullish()
      .meta({ description: '`"auto"`, `"1024x768"`, or a size of the native route.' }),
    response_format: z.enum(responseFormats).nullish().meta({ description: "Left out: both, in each item." }),
    user: z.string().max(128).nullish().meta({ description: "Whom the task is for: its `end_user`." }),
    stream: z.boolean().nullish().meta({ description: "An event per image." }),
    ...ignoredFields,
    mask: unsupported("is not supported: the model edits the whole picture, by its prompt"),
    background: z
      .enum(["auto", "opaque"], { error: "must be auto or opaque: the model draws no transparency" })
      .nullish(),
    output_format: z
      .enum(["png"], { error: "must be png: pictures are stored as the model makes them" })
      .nullish(),
    negative_prompt: native.negative_prompt,
    seed: native.seed,
    enable_safety_checker: native.enable_safety_checker,
    enable_prompt_expansion: native.enable_prompt_expansion,
    callback_url: native.callback_url,
    metadata: native.metadata,
    end_user: native.end_user,
  };
}

/** The JSON body of a generation. */
export function openAiGeneration(config: Config) {
  const { image_urls } = generationFields({ allowPrivate: config.ALLOW_PRIVATE_NETWORK });
  return z
    .strictObject({ ...openAiFields(config), image_urls })
    .refine(fewEnoughForEditing, fewEnough)
    .refine(expandsOnlyEdits, expandsEdits)
    .meta({
      examples: [{ model: "wan-2.7-image", prompt: "a lighthouse at dusk", n: 1, size: "1024x768" }],
    });
}

/** The fields of an edit beside its images, once a form's texts are numbers and truth values where they should be. */
export function openAiEdit(config: Config) {
  return z
    .strictObject(openAiFields(config))
    .refine((body) => fewEnoughForEditing({ ...body, image_urls: [] }), {
      ...fewEnough,
      error: "must be at most 4 for an edit",
    });
}

export type OpenAiBody = z.output<ReturnType<typeof openAiGeneration>>;

export interface NativeRequest {
  model: Model;
  input: TaskInput;
  metadata: Record<string, string>;
  endUser: string | null;
  stream: boolean;
  format: WantedFormat;
}

/** What was asked for in OpenAI's words, in the product's own. */
export function toNative(config: Config, body: OpenAiBody): NativeRequest {
  const name = body.model ?? models[0];
  const given = {
    size: sizeOf(body.size),
    image_urls: body.image_urls,
    negative_prompt: body.negative_prompt,
    seed: body.seed,
    enable_safety_checker: body.enable_safety_checker,
    enable_prompt_expansion: body.enable_prompt_expansion,
    callback_url: body.callback_url,
  };
  const input = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return {
    model: config.MODEL_ALIASES[name] ?? (name as Model),
    input: { prompt: body.prompt, n: body.n ?? 1, ...input },
    metadata: body.metadata ?? {},
    endUser: body.end_user ?? body.user ?? null,
    stream: body.stream ?? false,
    format: body.response_format ?? "both",
  };
}
