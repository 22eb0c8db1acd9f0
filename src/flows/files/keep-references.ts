/**
 * The images that come with a request, kept as files of the caller's: all of them or none. The task that they are for
 * is submitted afterwards; where none comes of it, or it is there already, they are dropped again, and whatever dies in
 * between leaves files that end by themselves.
 */

import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import { maxUploadBytes, type Picture, readPicture, type StoredFile } from "../../domain/uploads.ts";
import type { Deps } from "../../platform/invocation.ts";
import { admitFile, dropFile, type FileAdmission, keepPicture, leavePlace, type Place } from "./files.ts";

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
  // All of them before the first is kept: a bad one costs no writing of the good ones.
  const pictures: Picture[] = [];
  for (const [index, bytes] of images.entries()) {
    const picture = bytes.length > maxUploadBytes ? tooLong : readPicture(bytes);
    if ("problem" in picture) return { kind: "no_picture", index, problem: picture.problem };
    pictures.push(picture);
  }
  const places: Place[] = [];
  for (const { length } of images) {
    const admission = await admitFile(deps, caller, { bytes: length, isRequest: false });
    if (admission.kind === "admitted") {
      places.push(admission.place);
      continue;
    }
    await leavePlaces(deps, places);
    if (admission.kind === "key_refused") return admission;
    return { kind: "refused", refusal: admission, policies: admission.policies };
  }
  const files: StoredFile[] = [];
  try {
    for (const [index, picture] of pictures.entries()) {
      const [place, bytes] = [places[index], images[index]];
      if (place && bytes) files.push(await keepPicture(deps, place, { bytes, picture, endUser }));
    }
  } catch (error) {
    await leavePlaces(deps, places.slice(files.length + 1));
    dropReferences(deps, files);
    throw error;
  }
  return { kind: "kept", files };
}

const tooLong = { problem: `must be at most ${maxUploadBytes} bytes` };

async function leavePlaces(deps: Deps, places: Place[]): Promise<void> {
  await Promise.all(places.map((place) => leavePlace(deps, place)));
}

/** Erases files that no task came of, beside the reply; the day's files are as if they had never been. */
export function dropReferences(deps: Deps, files: StoredFile[]): void {
  for (const file of files) deps.defer("drop_reference", () => dropFile(deps, file, true));
}
