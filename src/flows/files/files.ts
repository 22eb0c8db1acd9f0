/**
 * Uploaded reference images: admitted and held before their bytes are read, kept, served for three days, deleted. What is
 * counted goes first, then the row, then the bytes, so that nothing is ever stored that nobody counts or knows of:
 *
 *   the uploader dies after             what is left
 *   1. admitFile: a hold                it ends by itself, within a quarter of an hour
 *   2. keepFile: counted                it counts until its end, and nothing is stored
 *   3. the row                          the same; cron forgets the row at its end
 *   4. the bytes                        a file whose URL nobody was told; it goes at its end
 *
 *   uploader                            eraser (its end user, or its tenant, goes)
 *   1. the row
 *                                       2. erasure = 'pending'; an empty tombstone in the place of the bytes; erasure = 'done'
 *   3. its put is create-only: the tombstone is there, so the upload came to nothing: 503
 *
 *   deleter                             reader
 *   1. erasure = 'pending'                       a read that has begun goes on to its end; a later one finds the tombstone: 404
 *   2. (dies: cron goes on from here)   until then the bytes can still be read by who has the URL, but named in no task
 *   3. the tombstone; no longer counted; erasure = 'done'
 *
 * At its end a file answers 404 by what its object says of itself, whenever cron comes: first the object goes, then the
 * row. Two ticks, or one that dies in between, do the same again to what is left; an uploader lives for minutes, so
 * nobody puts anything there any more.
 */

import { eraseFiles, filesOf, insertFile, selectFiles } from "../../d1/files/files.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import { fileIdPattern } from "../../domain/ids.ts";
import { sha256Hex } from "../../domain/signing.ts";
import { type ImageContentType, imageExtensions } from "../../domain/task.ts";
import {
  fileKey,
  fileLifeMs,
  type Picture,
  readFileName,
  readPicture,
  type StoredFile,
} from "../../domain/uploads.ts";
import { BindingUnavailable, callBinding } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import type { FileDecision } from "../../tenant/file-admission.ts";
import { tombstoneFiles } from "../erasure/erase-files.ts";
import { authorize } from "../tenants/authorize.ts";

/** A place that an upload has been let in to. */
export interface FileHold {
  caller: Caller;
  id: string;
  /** So long it may be. */
  heldBytes: number;
}

export type FileAdmission =
  | { kind: "admitted"; fileHold: FileHold; policies: PolicyState[] }
  | Exclude<FileDecision, { kind: "admitted" }>;

/**
 * Asks for a place for one file, before its bytes are there. Whoever gets one keeps a file in it or leaves it.
 * @param asked `bytes`: at the most, or null when that is not known. `isRequest`: false for a part of a request that is
 *   counted as such.
 */
export async function admitFile(
  invocation: Invocation,
  caller: Caller,
  asked: { bytes: number | null; isRequest: boolean },
): Promise<FileAdmission> {
  const id = invocation.newId("file");
  const decision = await invocation
    .tenant(caller.tenantId)
    .admitFile({ caller, fileId: id, ...asked, nowMs: invocation.now() });
  if (decision.kind !== "admitted") return decision;
  const { heldBytes, policies } = decision;
  return { kind: "admitted", fileHold: { caller, id, heldBytes }, policies };
}

/** Gives back a fileHold in which nothing is kept. If that fails it ends by itself. */
export async function releaseFileHold(invocation: Invocation, { caller, id }: FileHold): Promise<void> {
  try {
    await invocation.tenant(caller.tenantId).dropFile(id);
  } catch (error) {
    invocation.log({
      event: "file_hold_not_released",
      level: "error",
      tenant: caller.tenantId,
      problem: describe(error),
    });
  }
}

export type KeepResult =
  | { kind: "kept"; file: StoredFile }
  /** `problem`: the end of a sentence that starts with the field's name. The fileHold has been left. */
  | { kind: "no_picture"; problem: string };

/**
 * Keeps a picture in a fileHold, as it came.
 * @throws BindingUnavailable when that cannot be made sure of; nobody will find it then.
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
 * Keeps what was found to be a picture.
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
    // It may be there after all: whatever is left of it is erased, now or, if that fails too, at its end.
    invocation.defer("give_up_file", () => dropFile(invocation, file));
    throw error;
  }
  return file;
}

/** @returns false when something is there already, which can only be a tombstone. */
async function putOnce(
  invocation: Invocation,
  file: StoredFile,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  const sha256 = await sha256Hex(bytes);
  const put = await callBinding("storage", () =>
    invocation.bucket.put(fileKey(file.id), bytes, {
      onlyIf: { etagDoesNotMatch: "*" },
      sha256,
      httpMetadata: { contentType: file.contentType, cacheControl: "no-store" },
      customMetadata: { expires_ms: String(file.expiresMs) },
    }),
  );
  return put !== null;
}

/**
 * Erases one file: its row first, so that no task can name it any more.
 * @param isUnused Whether it was kept for a request that came to nothing.
 */
export async function dropFile(
  invocation: Invocation,
  { id, tenantId }: Pick<StoredFile, "id" | "tenantId">,
  isUnused = false,
): Promise<void> {
  await eraseFiles(invocation.db, tenantId, { file: id }).run();
  await tombstoneFiles(invocation, [{ id, tenantId }], isUnused);
}

export type DeleteFileResult =
  | { kind: "deleted" }
  /** There is none of that id that is alive, or it is not the caller's: the caller cannot tell which. */
  | { kind: "not_found" }
  | { kind: "key_refused"; refusal: KeyRefusal };

export async function deleteFile(
  invocation: Invocation,
  caller: Caller,
  id: string,
): Promise<DeleteFileResult> {
  const found = selectFiles(invocation.db, caller.tenantId, [id], invocation.now());
  const authorized = await authorize(invocation, caller, { action: "delete_file" }, [found]);
  if (authorized.kind === "key_refused") return authorized;
  const [file] = filesOf(authorized.results[0]);
  if (!file || (caller.token && caller.token.id !== file.tokenId)) return { kind: "not_found" };
  await dropFile(invocation, file);
  return { kind: "deleted" };
}

export interface FileObject extends Pick<Picture, "contentType"> {
  bytes: number;
  /** Null when only its head was asked for. */
  body: ReadableStream | null;
}

/** Reads a file's bytes for whoever has its name; one read of R2. */
export async function readFile(
  invocation: Invocation,
  name: string,
  headOnly: boolean,
): Promise<FileObject | undefined> {
  const named = readFileName(name);
  if (!named) return undefined;
  const key = fileKey(named.id);
  const object = await callBinding(
    "storage",
    async (): Promise<R2Object | R2ObjectBody | null> =>
      headOnly ? invocation.bucket.head(key) : invocation.bucket.get(key),
  );
  if (!object) return undefined;
  const body = "body" in object ? object.body : null;
  const contentType = object.httpMetadata?.contentType as ImageContentType | undefined;
  const alive = object.size > 0 && Number(object.customMetadata?.expires_ms) > invocation.now();
  if (!alive || !contentType || imageExtensions[contentType] !== named.extension) {
    await body?.cancel();
    return undefined;
  }
  return { contentType, bytes: object.size, body };
}

/**
 * Looks whether references that name this gateway's files name live ones of the caller's tenant.
 * @param names What stands behind `/files/` in each reference; undefined for references to anywhere else.
 * @returns the fileHolds in the list of those that do not.
 */
export async function missingFiles(
  invocation: Invocation,
  caller: Caller,
  names: readonly (string | undefined)[],
): Promise<number[]> {
  const ids = names
    .flatMap((name) => readFileName(name ?? "")?.id ?? [])
    .filter((id) => fileIdPattern.test(id));
  const result =
    ids.length > 0
      ? await selectFiles(invocation.db, caller.tenantId, ids, invocation.now()).all()
      : undefined;
  const alive = new Set(
    filesOf(result).map(({ id, contentType }) => `${id}.${imageExtensions[contentType]}`),
  );
  return names.flatMap((name, index) => (name === undefined || alive.has(name) ? [] : [index]));
}
