/**
 * The fields of a generation request. A field is one entry of {@link generationFields}: its schema, which validates,
 * documents and types it; where it goes; and how the pages offer it. The native routes, the OpenAI routes and their
 * forms, what is sent upstream, a task's input and the playground are made of this table.
 */
import * as z from "zod";
import { type AddressPolicy, checkAddress, maxUrlCharacters } from "./address.ts";
import { documented } from "./documented.ts";
import { hasFilePath } from "./file-addresses.ts";
import {
  type Catalog,
  describeModels,
  type Model,
  modelCatalog,
  namesOf,
  widestBounds,
} from "./model-catalog.ts";

export const presetSizes = [
  "square_hd",
  "square",
  "portrait_4_3",
  "portrait_16_9",
  "landscape_4_3",
  "landscape_16_9",
] as const;

/** The bounds that are the same for all models; those of a model are in its entry of the catalog. */
export const requestBounds = {
  /** Of an own size, in pixels. */
  side: { least: 64, most: 4_096 },
  negativePromptCharacters: 500,
  seed: { least: 0, most: 2_147_483_647 },
  metadata: { pairs: 16, keyCharacters: 64, valueCharacters: 512 },
  endUserCharacters: 128,
} as const;

/**
 * `upstream`: part of the task's input, and sent as it is. `input`: part of the task's input, and kept here. `task`: a
 * property of the task itself, which `TaskRequest` names.
 */
export type FieldGoes = "upstream" | "input" | "task";

export interface FieldFacts {
  /** The field is refused without `image_urls`. */
  editingOnly?: true;
  /** How the playground offers a field of true and false; a field without it is not offered there. */
  choice?: { label: string; hint?: string };
}

function field<Goes extends FieldGoes, Schema extends z.ZodType>(
  goes: Goes,
  schema: Schema,
  facts: FieldFacts = {},
) {
  return { goes, schema, ...facts };
}

/** The length of a text in Unicode code points, which is what a person counts. */
export const codePoints = (text: string) => [...text].length;

const withinCodePoints = (most: number) =>
  [(value: string) => codePoints(value) <= most, `must be at most ${most} characters`] as const;

/** @param mayBeFile A file of the gateway's own may be on a private address, which `checkGeneration` judges. */
function address(allowPrivate: boolean, schemes: AddressPolicy["schemes"], mayBeFile = false) {
  return (
    z
      .string()
      .superRefine((value, context) => {
        const mayBe = mayBeFile && value.length <= maxUrlCharacters;
        const isFile = mayBe && hasFilePath(URL.parse(value) ?? new URL("about:blank"));
        const checked = checkAddress(value, { allowPrivate: allowPrivate || isFile, schemes });
        if ("problem" in checked) context.addIssue({ code: "custom", message: checked.problem });
      })
      // Addresses come as people write them, with letters that a URI does not have.
      .meta(documented(() => ({ format: "iri", maxLength: maxUrlCharacters })))
  );
}

const { side, seed, metadata, negativePromptCharacters, endUserCharacters } = requestBounds;

/** An own size in pixels, beside the presets. */
export const ownSize = z.strictObject({
  width: z.int().min(side.least).max(side.most),
  height: z.int().min(side.least).max(side.most),
});

/** Whom a task is for. */
export const endUser = z.string().max(endUserCharacters);

/**
 * The fields, in the order in which the document lists them and faults are reported.
 * @param policy Where `image_urls` and `callback_url` may point to.
 */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: it is a table, a field an entry.
export function generationFields(
  { allowPrivate }: Pick<AddressPolicy, "allowPrivate">,
  catalog: Catalog<Model> = modelCatalog,
) {
  const names = namesOf(catalog);
  const most = widestBounds(catalog);
  return {
    model: field(
      "task",
      z
        .enum(names, { error: ({ input }) => (input === undefined ? "is required" : undefined) })
        .meta(documented(() => ({ description: describeModels(catalog) }))),
    ),
    prompt: field(
      "upstream",
      z
        .string()
        .trim()
        .refine((value) => value.length > 0, "must not be empty")
        .refine(...withinCodePoints(most.promptCharacters))
        .meta(
          documented(() => ({
            minLength: 1,
            maxLength: most.promptCharacters,
            description:
              "What to draw, in Chinese or English; space around it is dropped. With several references it names " +
              "them `image 1`, `image 2`.",
          })),
        ),
    ),
    image_urls: field(
      "upstream",
      z
        .array(address(allowPrivate, ["https:", "http:"], true))
        .min(1)
        .max(most.references)
        .optional()
        .meta(
          documented(() => ({
            description: "Reference images; their presence means editing. Their order matters.",
          })),
        ),
    ),
    n: field(
      "upstream",
      z
        .int()
        .min(1)
        .max(most.images)
        .default(1)
        .meta(
          documented(() => ({
            description: `Number of images; at most ${most.editedImages} with \`image_urls\`.`,
          })),
        ),
    ),
    size: field(
      "upstream",
      z
        .union([z.enum(presetSizes), ownSize], {
          error: `must be one of ${presetSizes.join(", ")}, or {"width","height"} as integers from ${side.least} to ${side.most}`,
        })
        .optional()
        .meta(
          documented(() => ({
            description: "A preset, or sides in pixels. The pixels of a preset are the model's choice.",
          })),
        ),
    ),
    negative_prompt: field(
      "upstream",
      z
        .string()
        .refine(...withinCodePoints(negativePromptCharacters))
        .optional()
        .meta(documented(() => ({ maxLength: negativePromptCharacters }))),
    ),
    seed: field("upstream", z.int().min(seed.least).max(seed.most).optional()),
    enable_safety_checker: field("upstream", z.boolean().optional(), { choice: { label: "Safety checker" } }),
    enable_prompt_expansion: field(
      "upstream",
      z
        .boolean()
        .optional()
        .meta(documented(() => ({ description: "Only with `image_urls`." }))),
      {
        editingOnly: true,
        choice: { label: "Prompt expansion", hint: "Lets the model write the prompt out before it edits." },
      },
    ),
    callback_url: field(
      "input",
      address(allowPrivate, ["https:"])
        .optional()
        .meta(
          documented(() => ({ description: "Kept with the task. `https`, and not the gateway itself." })),
        ),
    ),
    metadata: field(
      "task",
      z
        .record(z.string().max(metadata.keyCharacters), z.string().max(metadata.valueCharacters))
        .refine(
          (pairs) => Object.keys(pairs).length <= metadata.pairs,
          `must have at most ${metadata.pairs} pairs`,
        )
        .optional()
        .meta(
          documented(() => ({
            maxProperties: metadata.pairs,
            propertyNames: { maxLength: metadata.keyCharacters },
            description: "Pairs of your own, kept with the task.",
          })),
        ),
    ),
    end_user: field(
      "task",
      endUser.optional().meta(documented(() => ({ description: "Whom the task is for: kept with it." }))),
    ),
  };
}
