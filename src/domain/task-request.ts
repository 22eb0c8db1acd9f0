/** A request for a task: what the table of fields makes of it, and the rules between its fields. */
import * as z from "zod";
import { codePoints, type FieldFacts, type FieldGoes, generationFields } from "./generation-fields.ts";
import { type Catalog, type Model, modelCatalog, widestBounds } from "./model-catalog.ts";

type Fields = ReturnType<typeof generationFields>;
export type FieldName = keyof Fields;
type NamesTo<Goes extends FieldGoes> = {
  [Name in FieldName]: Fields[Name]["goes"] extends Goes ? Name : never;
}[FieldName];
type SchemasOf<Names extends FieldName> = { [Name in Names]: Fields[Name]["schema"] };
type InputName = NamesTo<"upstream" | "input">;

/** What a caller asked for, given defaults included. */
export type TaskInput = z.output<z.ZodObject<SchemasOf<InputName>>>;
export type ImageSize = NonNullable<TaskInput["size"]>;

/** A request for a task, in whichever dialect it came. */
export interface TaskRequest {
  model: Model;
  input: TaskInput;
  metadata: Record<string, string>;
  endUser: string | null;
}

/** The schemas of a table of fields. */
export function schemasOf<Table extends Record<string, { schema: z.ZodType }>>(table: Table) {
  const schemas = Object.entries(table).map(([name, { schema }]) => [name, schema]);
  return Object.fromEntries(schemas) as { [Name in keyof Table]: Table[Name]["schema"] };
}

/** The table where no address is judged by it. */
const table = generationFields({ allowPrivate: true });
export const fieldFacts: Record<FieldName, FieldFacts & { goes: FieldGoes }> = table;
export const fieldNames = Object.keys(table) as FieldName[];
const inputNames = fieldNames.filter((name): name is InputName => table[name].goes !== "task");
const sentNames = fieldNames.filter((name): name is NamesTo<"upstream"> => table[name].goes === "upstream");

/** The part of a request that a task shows as its `input`. */
export const inputSchemas = pick(schemasOf(table), inputNames) as SchemasOf<InputName>;

/** A task's input out of a request's fields, the defaults of those that are left out or null included. */
export function inputOf(fields: { [Name in InputName]?: TaskInput[Name] | null | undefined }): TaskInput {
  const given = inputNames.map((name) => [name, fields[name] ?? defaultOf(table[name].schema)]);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as TaskInput;
}

function defaultOf(schema: z.ZodType): unknown {
  return schema instanceof z.ZodDefault ? schema.def.defaultValue : undefined;
}

/** The part of a task's input that the upstream is sent. */
export function sentInput(input: TaskInput): Pick<TaskInput, NamesTo<"upstream">> {
  return pick(input, sentNames);
}

function pick<From extends object, Name extends keyof From>(from: From, names: readonly Name[]) {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as Pick<From, Name>;
}

/** A request as it came: any of it may be of another type. */
export type Unchecked = Partial<Record<FieldName, unknown>> | null | undefined;

/**
 * What does not go together in a request, by rules that a field's own schema cannot know: the model's bounds, and
 * editing. A value that breaks its field's own rule is left to that rule.
 * @param editing How an edit is called, as the end of a sentence.
 */
export function clashes(
  body: Unchecked,
  editing = "with image_urls",
  catalog: Catalog = modelCatalog,
): { path: string[]; message: string }[] {
  const { model, prompt, image_urls, n } = body ?? {};
  const isEdit = image_urls !== undefined;
  const widest = widestBounds(catalog);
  const entry = typeof model === "string" && Object.hasOwn(catalog, model) ? catalog[model] : undefined;
  const bounds = entry?.bounds ?? widest;
  const found: { path: string[]; message: string }[] = [];
  const bound = (name: string, value: number, most: number, widestMost: number, end: string) => {
    if (value > most && value <= widestMost)
      found.push({ path: [name], message: `must be at most ${most}${end}` });
  };
  if (typeof prompt === "string") {
    const { promptCharacters } = bounds;
    const length = codePoints(prompt.trim());
    bound("prompt", length, promptCharacters, widest.promptCharacters, ` characters with ${model}`);
  }
  if (Array.isArray(image_urls))
    bound("image_urls", image_urls.length, bounds.references, widest.references, ` items with ${model}`);
  if (typeof n === "number") {
    const most = isEdit ? bounds.editedImages : bounds.images;
    bound("n", n, most, widest.images, isEdit ? ` ${editing}` : ` with ${model}`);
  }
  for (const name of fieldNames) {
    if (!table[name].editingOnly || isEdit || body?.[name] === undefined) continue;
    found.push({ path: [name], message: "is for editing only: give image_urls, or leave it out" });
  }
  return found;
}
