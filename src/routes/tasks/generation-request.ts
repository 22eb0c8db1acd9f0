/**
 * The body of a generation, by the contract of the upstream's model page: one schema that validates, documents
 * and types it. What it lets through goes upstream as it is, `callback_url`, `metadata` and `end_user` apart.
 */
import * as z from "zod";
import { type AddressPolicy, checkAddress, maxUrlCharacters } from "../../domain/address.ts";
import { models } from "../../domain/model-catalog.ts";
import { presetSizes } from "../../domain/task.ts";
import { hasFilePath } from "../../domain/uploads.ts";

export const maxPromptCharacters = 2_000;
export const maxNegativePromptCharacters = 500;
export const maxReferences = 4;
export const maxImages = 5;
/** With reference images. */
export const maxEditedImages = 4;
export const maxSeed = 2_147_483_647;
const maxMetadataPairs = 16;

const side = z.int().min(64).max(4_096);

/** Length in Unicode code points, which is what a person counts. */
const codePoints = (text: string) => [...text].length;

const text = (max: number) =>
  z.string().refine((value) => codePoints(value) <= max, `must be at most ${max} characters`);

/**
 * The fields, each with its own rule.
 * @param policy Where `image_urls` and `callback_url` may point to.
 */
export function generationFields(policy: Pick<AddressPolicy, "allowPrivate">) {
  const address = (schemes: AddressPolicy["schemes"], mayBeFile = false) =>
    z
      .string()
      .superRefine((value, context) => {
        // A file of the gateway's own may be on a private address: `checkGeneration` sees to those.
        const isFile = mayBeFile && hasFilePath(URL.parse(value) ?? new URL("about:blank"));
        const checked = checkAddress(value, { allowPrivate: policy.allowPrivate || isFile, schemes });
        if ("problem" in checked) context.addIssue({ code: "custom", message: checked.problem });
      })
      // Addresses come as people write them, with letters that a URI does not have.
      .meta({ format: "iri", maxLength: maxUrlCharacters });

  return {
    model: z
      .enum(models, { error: ({ input }) => (input === undefined ? "is required" : undefined) })
      .meta({ description: "`wan-2.7-image` is the standard model, `-pro` the finer one." }),
    prompt: z
      .string()
      .trim()
      .refine((value) => value.length > 0, "must not be empty")
      .refine(
        (value) => codePoints(value) <= maxPromptCharacters,
        `must be at most ${maxPromptCharacters} characters`,
      )
      .meta({
        minLength: 1,
        maxLength: maxPromptCharacters,
        description:
          "What to draw, in Chinese or English; space around it is dropped. With several references it names them " +
          "`image 1`, `image 2`.",
      }),
    image_urls: z
      .array(address(["https:", "http:"], true))
      .min(1)
      .max(maxReferences)
      .optional()
      .meta({ description: "Reference images; their presence means editing. Their order matters." }),
    n: z
      .int()
      .min(1)
      .max(maxImages)
      .default(1)
      .meta({ description: "Number of images; at most 4 with `image_urls`." }),
    size: z
      .union([z.enum(presetSizes), z.strictObject({ width: side, height: side })], {
        error: `must be one of ${presetSizes.join(", ")}, or {"width","height"} as integers from 64 to 4096`,
      })
      .optional()
      .meta({ description: "A preset, or sides in pixels. The pixels of a preset are the model's choice." }),
    negative_prompt: text(maxNegativePromptCharacters)
      .optional()
      .meta({ maxLength: maxNegativePromptCharacters }),
    seed: z.int().min(0).max(maxSeed).optional(),
    enable_safety_checker: z.boolean().optional(),
    enable_prompt_expansion: z.boolean().optional().meta({ description: "Only with `image_urls`." }),
    callback_url: address(["https:"])
      .optional()
      .meta({ description: "Kept with the task. `https`, and not the gateway itself." }),
    metadata: z
      .record(z.string().max(64), z.string().max(512))
      .refine(
        (pairs) => Object.keys(pairs).length <= maxMetadataPairs,
        `must have at most ${maxMetadataPairs} pairs`,
      )
      .optional()
      .meta({
        maxProperties: maxMetadataPairs,
        propertyNames: { maxLength: 64 },
        description: "Pairs of your own, kept with the task.",
      }),
    end_user: z.string().max(128).optional().meta({ description: "Whom the task is for: kept with it." }),
  };
}

/** The body that is taken. */
export function generationBody(policy: Pick<AddressPolicy, "allowPrivate">) {
  return z
    .strictObject(generationFields(policy))
    .refine(fewEnoughForEditing, fewEnough)
    .refine(expandsOnlyEdits, expandsEdits)
    .meta({
      examples: [
        { model: "wan-2.7-image", prompt: "a lighthouse at dusk", n: 2, size: "landscape_4_3" },
        {
          model: "wan-2.7-image-pro",
          prompt: "put image 1 into the snow",
          image_urls: ["https://shop.example/lighthouse.png"],
          enable_prompt_expansion: true,
        },
      ],
    });
}

const {
  model: _model,
  metadata: _metadata,
  end_user: _endUser,
  ...inputFields
} = generationFields({ allowPrivate: true });

/** The part of it that a task shows as its `input`. */
export const taskInput = z.object(inputFields);

/** What goes together is checked even when a field is wrong by itself, so that the caller hears of all at once. */
function always(): boolean {
  return true;
}

export const fewEnough = {
  path: ["n"],
  error: `must be at most ${maxEditedImages} with image_urls`,
  when: always,
};
export const expandsEdits = {
  path: ["enable_prompt_expansion"],
  error: "is for editing only: give image_urls, or leave it out",
  when: always,
};

/** The body as it came: any of it may be of another type. */
type Unchecked = { n?: unknown; image_urls?: unknown; enable_prompt_expansion?: unknown } | null | undefined;

export function fewEnoughForEditing(body: Unchecked): boolean {
  const tooMany = typeof body?.n === "number" && body.n > maxEditedImages && body.n <= maxImages;
  return !tooMany || body.image_urls === undefined;
}

export function expandsOnlyEdits(body: Unchecked): boolean {
  return body?.enable_prompt_expansion === undefined || body.image_urls !== undefined;
}
