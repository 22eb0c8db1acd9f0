/** The form's contents as they were typed, and the request made of them. The gateway alone judges the request. */
import type { createImage, Task } from "#gateway";

export type Body = Parameters<typeof createImage>[0];
export type Model = Body["model"];
export type Preset = Extract<Body["size"], string>;
/** `unset`: the field is left out, and the model uses its default. */
export type Choice = "unset" | "on" | "off";

export interface Reference {
  /** Tells references of one page apart. */
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
  safety: Choice;
  expansion: Choice;
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
  safety: "unset",
  expansion: "unset",
  references: [],
};

/** Changes some of the draft. A late change, as after an upload, passes a function of the newest draft. */
export type Edit = (change: Partial<Draft> | ((draft: Draft) => Partial<Draft>)) => void;

export const maxReferences = 4;
/** The most images that a page's key makes at once. */
export const maxImages = 4;
export const maxSeed = 2_147_483_647;

/** The request. Empty fields are left out; text that is no number is sent as null, for the gateway to refuse. */
export function bodyOf(draft: Draft, models: readonly Model[]): Body {
  const urls = draft.references.flatMap(({ url }) => url ?? []);
  const { negativePrompt, seed, n, size, safety, expansion } = draft;
  const fallback: Model = models[0] ?? "wan-2.7-image";
  return {
    model: draft.model && models.includes(draft.model) ? draft.model : fallback,
    prompt: draft.prompt,
    ...(urls.length > 0 && { image_urls: urls }),
    n: n.trim() === "" ? 1 : Number(n),
    ...(size === "custom" && { size: { width: sideOf(draft.width), height: sideOf(draft.height) } }),
    ...(size !== "custom" && size !== "unset" && { size }),
    ...(negativePrompt.trim() !== "" && { negative_prompt: negativePrompt }),
    ...(seed.trim() !== "" && { seed: Number(seed) }),
    ...(safety !== "unset" && { enable_safety_checker: safety === "on" }),
    ...(expansion !== "unset" && urls.length > 0 && { enable_prompt_expansion: expansion === "on" }),
  };
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
    safety: choiceOf(input.enable_safety_checker),
    expansion: choiceOf(input.enable_prompt_expansion),
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
