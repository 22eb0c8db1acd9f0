/** What is on the form, as it was typed; and the request that it makes. The gateway alone judges whether it is right. */
import type { createImage, Task } from "#gateway";

export type Body = Parameters<typeof createImage>[0];
export type Model = Body["model"];
export type Preset = Extract<Body["size"], string>;
/** `unset`: left out, so that the model does as it does. */
export type Choice = "unset" | "on" | "off";

export interface Reference {
  /** Tells references of one page apart. */
  id: string;
  name: string;
  /** As it goes into the request; undefined while it is not uploaded. */
  url: string | undefined;
  /** What can be shown here: this page may load pictures from its own origin only. */
  preview: string | undefined;
  error: string | undefined;
}

export interface Draft {
  prompt: string;
  negativePrompt: string;
  /** Undefined: the first that the key may use. */
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

/** Changes some of the draft. A function is given the draft as it is by then, which what comes late needs. */
export type Edit = (change: Partial<Draft> | ((draft: Draft) => Partial<Draft>)) => void;

export const maxReferences = 4;
/** A page's key makes at most so many at once, with references or without. */
export const maxImages = 4;
export const maxSeed = 2_147_483_647;

/** The request. What was left empty is left out; what is no number goes as null, for the gateway to name. */
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

/** What a task was asked with, back on the form. */
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

/** A reference by its address. @param preview What shows it, when the page is known to be allowed to. */
export function referenceTo(url: string, preview?: string): Reference {
  const parsed = URL.parse(url);
  const own = parsed?.origin === location.origin ? url : undefined;
  const name = parsed ? `${parsed.host}${parsed.pathname}` : url;
  return { id: nextReferenceId(), name, url, preview: preview ?? own, error: undefined };
}

/** Length as a person counts it, and as the gateway does. */
export const codePoints = (text: string): number => [...text].length;
