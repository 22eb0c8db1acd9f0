/**
 * The images that come with a request, kept as files of the caller's: all of them or none. The task that they are for
 * is submitted afterwards; where none comes of it, or it is there already, they are dropped again, and whatever dies in
 * between leaves files that end by themselves.
 */
import type { Deps } from "../deps.ts";
import type { Caller, KeyRefusal } from "../domain/access.ts";
import type { PolicyState } from "../domain/admission.ts";
import type { StoredFile } from "../domain/files.ts";
import { admitFile, dropFile, type FileAdmission, keepFile, leavePlace, type Place } from "./files.ts";

type FileRefused = Exclude<FileAdmission, { kind: "admitted" | "key_refused" }>;

export type KeptReferences =
  | { kind: "kept"; files: StoredFile[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | { kind: "refused"; refusal: FileRefused; policies: PolicyState[] }
  /** `index`: of the image that is none; `problem`: the end of a sentence. */
  | { kind: "no_picture"; index: number; problem: string };

/** Keeps images, in their order. */
export async function keepReferences(
  deps: Deps,
  caller: Caller,
  images: Uint8Array<ArrayBuffer>[],
  endUser: string | null,
): Promise<KeptReferences> {
  const places: Place[] = [];
  for (const { length } of images) {
    const admission = await admitFile(deps, caller, { bytes: length, isRequest: false });
    if (admission.kind === "admitted") {
      places.push(admission.place);
      continue;
    }
    await Promise.all(places.map((place) => leavePlace(deps, place)));
    if (admission.kind === "key_refused") return admission;
    return { kind: "refused", refusal: admission, policies: admission.policies };
  }
  const files: StoredFile[] = [];
  for (const [index, place] of places.entries()) {
    const kept = await keepFile(deps, place, images[index] ?? new Uint8Array(), endUser);
    if (kept.kind === "kept") {
      files.push(kept.file);
      continue;
    }
    await Promise.all(places.slice(index + 1).map((rest) => leavePlace(deps, rest)));
    dropReferences(deps, files);
    return { kind: "no_picture", index, problem: kept.problem };
  }
  return { kind: "kept", files };
}

/** Erases files that no task came of, beside the reply. */
export function dropReferences(deps: Deps, files: StoredFile[]): void {
  for (const file of files) deps.defer("drop_reference", () => dropFile(deps, file));
}
