/**
 * The form outlives a reload of its tab. Kept is what was typed and chosen; a picture of one's own only by the address
 * that its upload has given it.
 */
import { keptForTab } from "../ui/tab.ts";
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
