/** The form's contents as they were typed, and the request made of them. The gateway alone judges the request. */
import { choices, modelCatalog } from "#definitions";
import type { createImage, Task } from "#gateway";

export type Body = Parameters<typeof createImage>[0];
export type Model = Body["model"];
export type Preset = Extract<Body["size"], string>;
/** `unset`: the field is left out, and the model uses its default. */
export type Choice = "unset" | "on" | "off";
/** A field of true or false that the form offers. */
export type ChoiceName = keyof typeof choices;
export const choiceNames = Object.keys(choices) as ChoiceName[];

export interface Reference {
  /** Distinguishes the references of one page. */
  id: string;
  name: string;
  /** The address in the request; undefined while it is not uploaded. */
  url: string | undefined;
  /** The address of the preview; undefined: none, as this page may load pictures from its own origin only. */
  preview: string | undefined;
  error: string | undefined;
}

export interface Draft {
  prompt: string;
  negativePrompt: string;
  /** Undefined: the first model that the key may use. */
  model: Model | undefined;
  size: Preset | "unset" | "custom";
  width: string;
  height: string;
  n: string;
  seed: string;
  /** A field that is missing is unset. */
  choices: Partial<Record<ChoiceName, Choice>>;
  references: Reference[];
}

export const emptyDraft: Draft = {
  prompt: "",
  negativePrompt: "",
  model: undefined,
  size: "unset",
  width: "1024",
  height: "768",
  n: "1",
  seed: "",
  choices: {},
  references: [],
};

/** Changes some of the draft. A late change, as after an upload, passes a function of the newest draft. */
export type Edit = (change: Partial<Draft> | ((draft: Draft) => Partial<Draft>)) => void;

/** The request. Empty fields are left out; text that is no number is sent as null, for the gateway to refuse. */
export function bodyOf(draft: Draft, models: readonly Model[]): Body {
  const urls = draft.references.flatMap(({ url }) => url ?? []);
  const { negativePrompt, seed, n, size } = draft;
  return {
    model: modelOf(draft, models),
    prompt: draft.prompt,
    ...(urls.length > 0 && { image_urls: urls }),
    n: n.trim() === "" ? 1 : Number(n),
    ...(size === "custom" && { size: { width: sideOf(draft.width), height: sideOf(draft.height) } }),
    ...(size !== "custom" && size !== "unset" && { size }),
    ...(negativePrompt.trim() !== "" && { negative_prompt: negativePrompt }),
    ...(seed.trim() !== "" && { seed: Number(seed) }),
    ...choicesOf(draft, urls.length > 0),
  };
}

const [defaultModel] = Object.keys(modelCatalog) as [Model];

/** The model of a draft: the chosen one, or the first that the key may use. */
function modelOf({ model }: Draft, allowed: readonly Model[]): Model {
  return model && allowed.includes(model) ? model : (allowed[0] ?? defaultModel);
}

function choicesOf(draft: Draft, isEdit: boolean): Partial<Pick<Body, ChoiceName>> {
  const given = choiceNames.flatMap((name) => {
    const choice = draft.choices[name] ?? "unset";
    return choice === "unset" || (choices[name].editingOnly && !isEdit) ? [] : [[name, choice === "on"]];
  });
  return Object.fromEntries(given);
}

function sideOf(typed: string): number {
  return typed.trim() === "" ? Number.NaN : Number(typed);
}

/** The draft of a task's request. */
export function draftOf({ model, input }: Task): Draft {
  if (!input) return { ...emptyDraft, model };
  const { size } = input;
  const isCustom = typeof size === "object";
  return {
    prompt: input.prompt,
    negativePrompt: input.negative_prompt ?? "",
    model,
    size: isCustom ? "custom" : (size ?? "unset"),
    width: isCustom ? String(size.width) : emptyDraft.width,
    height: isCustom ? String(size.height) : emptyDraft.height,
    n: String(input.n ?? 1),
    seed: input.seed === undefined ? "" : String(input.seed),
    choices: Object.fromEntries(choiceNames.map((name) => [name, choiceOf(input[name])])),
    references: (input.image_urls ?? []).map((url) => referenceTo(url)),
  };
}

const choiceOf = (given: boolean | undefined): Choice =>
  given === undefined ? "unset" : given ? "on" : "off";

let made = 0;
export function nextReferenceId(): string {
  made += 1;
  return `reference-${made}`;
}

/** A reference by its address. @param preview An address that the page may load the picture from. */
export function referenceTo(url: string, preview?: string): Reference {
  const parsed = URL.parse(url);
  const own = parsed?.origin === location.origin ? url : undefined;
  const name = parsed ? `${parsed.host}${parsed.pathname}` : url;
  return { id: nextReferenceId(), name, url, preview: preview ?? own, error: undefined };
}

/** The length in code points, as the gateway counts. */
export const codePoints = (text: string): number => [...text].length;
