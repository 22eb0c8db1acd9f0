/**
 * The images that come with a request, kept as files of the caller's: all of them or none. Their task is submitted
 * afterwards. Where the submission is refused or replayed, they are dropped again; a process that dies in between leaves
 * files that end by themselves.
 */

import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import { maxUploadBytes, type Picture, readPicture, type StoredFile } from "../../domain/uploads.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { admitFile, type FileAdmission, type FileHold, releaseFileHold } from "./admit-file.ts";
import { dropFile } from "./delete-file.ts";
import { keepPicture } from "./keep-file.ts";

type FileRefused = Exclude<FileAdmission, { kind: "admitted" | "key_refused" }>;

export type KeptReferences =
  | { kind: "kept"; files: StoredFile[] }
  | { kind: "key_refused"; refusal: KeyRefusal }
  | { kind: "refused"; refusal: FileRefused; policies: PolicyState[] }
  /** `index`: of the bytes that are no picture; `problem`: the end of a sentence. */
  | { kind: "no_picture"; index: number; problem: string };

/** Keeps images, in their order. */
export async function keepReferences(
  invocation: Invocation,
  caller: Caller,
  images: Uint8Array<ArrayBuffer>[],
  endUser: string | null,
): Promise<KeptReferences> {
  // All are read before the first is kept: a bad one costs no writing of the good ones.
  const pictures: Picture[] = [];
  for (const [index, bytes] of images.entries()) {
    const picture = bytes.length > maxUploadBytes ? tooLong : readPicture(bytes);
    if ("problem" in picture) return { kind: "no_picture", index, problem: picture.problem };
    pictures.push(picture);
  }
  const fileHolds: FileHold[] = [];
  for (const { length } of images) {
    const admission = await admitFile(invocation, caller, { bytes: length, isRequest: false });
    if (admission.kind === "admitted") {
      fileHolds.push(admission.fileHold);
      continue;
    }
    await releaseFileHolds(invocation, fileHolds);
    if (admission.kind === "key_refused") return admission;
    return { kind: "refused", refusal: admission, policies: admission.policies };
  }
  const files: StoredFile[] = [];
  try {
    for (const [index, picture] of pictures.entries()) {
      const [fileHold, bytes] = [fileHolds[index], images[index]];
      if (fileHold && bytes) files.push(await keepPicture(invocation, fileHold, { bytes, picture, endUser }));
    }
  } catch (error) {
    await releaseFileHolds(invocation, fileHolds.slice(files.length + 1));
    dropReferences(invocation, files);
    throw error;
  }
  return { kind: "kept", files };
}

const tooLong = { problem: `must be at most ${maxUploadBytes} bytes` };

async function releaseFileHolds(invocation: Invocation, fileHolds: FileHold[]): Promise<void> {
  await Promise.all(fileHolds.map((fileHold) => releaseFileHold(invocation, fileHold)));
}

/** Erases files of which no task came, beside the reply; they no longer count among the day's files. */
export function dropReferences(invocation: Invocation, files: StoredFile[]): void {
  for (const file of files) invocation.defer("drop_reference", () => dropFile(invocation, file, true));
}
