/**
 * Keeping an uploaded picture until its end. The count goes first, then the row, then the bytes, so that nothing is ever
 * stored that is not counted and known:
 *
 *   the uploader dies after             what is left
 *   1. admitFile: a hold                it ends by itself, within a quarter of an hour
 *   2. keepFile: counted                it counts until its end, and nothing is stored
 *   3. the row                          the same; cron deletes the row at its end
 *   4. the bytes                        a file whose URL no caller has; it goes at its end
 *
 *   uploader                            eraser (its end user, or its tenant, goes)
 *   1. the row
 *                                       2. erasure = 'pending'; an empty tombstone in the place of the bytes; erasure = 'done'
 *   3. its put is create-only: the tombstone is there, so the upload comes to nothing: 503
 *
 * At its end a file answers 404 by its object's metadata, whenever cron comes: first the object goes, then the row. Two
 * ticks, or one that dies in between, repeat that with what is left. An uploader lives for minutes, so none puts an
 * object there any more.
 */
import { insertFile } from "../../d1/files/files.ts";
import { sha256Hex } from "../../domain/signing.ts";
import { fileKey, fileLifeMs, type Picture, readPicture, type StoredFile } from "../../domain/uploads.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type FileHold, releaseFileHold } from "./admit-file.ts";
import { dropFile } from "./delete-file.ts";

export type KeepResult =
  | { kind: "kept"; file: StoredFile }
  /** `problem`: the end of a sentence that starts with the field's name. The hold has been released. */
  | { kind: "no_picture"; problem: string };

/**
 * Keeps a picture in a hold, as it came.
 * @throws BindingUnavailable when it is not known to be kept; it is erased then.
 */
export async function keepFile(
  invocation: Invocation,
  fileHold: FileHold,
  bytes: Uint8Array<ArrayBuffer>,
  endUser: string | null,
): Promise<KeepResult> {
  const picture = readPicture(bytes);
  if ("problem" in picture) {
    await releaseFileHold(invocation, fileHold);
    return { kind: "no_picture", problem: picture.problem };
  }
  return { kind: "kept", file: await keepPicture(invocation, fileHold, { bytes, picture, endUser }) };
}

/**
 * Keeps bytes that are known to be a picture.
 * @throws BindingUnavailable as {@link keepFile} does.
 */
export async function keepPicture(
  invocation: Invocation,
  fileHold: FileHold,
  { bytes, picture, endUser }: { bytes: Uint8Array<ArrayBuffer>; picture: Picture; endUser: string | null },
): Promise<StoredFile> {
  const { caller, id } = fileHold;
  const createdMs = invocation.now();
  const file: StoredFile = {
    id,
    tenantId: caller.tenantId,
    keyId: caller.keyId,
    tokenId: caller.token?.id ?? null,
    endUser: caller.token?.endUser ?? endUser,
    ...picture,
    bytes: bytes.length,
    createdMs,
    expiresMs: createdMs + fileLifeMs,
  };
  const held = await invocation.tenant(caller.tenantId).keepFile(id, file, createdMs);
  if (!held) throw new BindingUnavailable("the upload was given up before it was read");
  try {
    await insertFile(invocation.db, file);
    if (!(await putOnce(invocation, file, bytes)))
      throw new BindingUnavailable("the file was erased before it was stored");
  } catch (error) {
    // It may be there after all: it is erased now or, if that fails too, at its end.
    invocation.defer("give_up_file", () => dropFile(invocation, file));
    throw error;
  }
  return file;
}

/** @returns false when an object is there already, which can only be a tombstone. */
async function putOnce(
  invocation: Invocation,
  file: StoredFile,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const sha256 = await sha256Hex(bytes);
  const put = await invocation.bucket.put(fileKey(file.id), bytes, {
    onlyIf: { etagDoesNotMatch: "*" },
    sha256,
    httpMetadata: { contentType: file.contentType, cacheControl: "no-store" },
    customMetadata: { expires_ms: String(file.expiresMs) },
  });
  return put !== null;
}
