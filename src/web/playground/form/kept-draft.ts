/** The draft that a tab keeps over a reload. References are kept by their addresses, so an unfinished upload is lost. */
import { keptForTab } from "../../ui/tab.ts";
import { type Draft, emptyDraft, referenceTo } from "./draft.ts";

type Kept = Omit<Draft, "references"> & { urls: string[] };
const kept = keptForTab<Partial<Kept>>("wan-gateway playground draft");

export function readDraft(): Draft {
  const { urls = [], ...fields } = kept.read() ?? {};
  return { ...emptyDraft, ...fields, references: urls.map((url) => referenceTo(url)) };
}

export function keepDraft({ references, ...fields }: Draft): void {
  kept.write({ ...fields, urls: references.flatMap(({ url }) => url ?? []) });
}
