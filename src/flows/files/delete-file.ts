/**
 * Deleting an uploaded file, against reads:
 *
 *   deleter                                 reader
 *   1. erasure = 'pending'                  a read that has begun goes on to its end; a later one finds the tombstone: 404
 *   2. (dies: cron goes on from here)       until then a reader that has the URL gets the bytes, but no task may name it
 *   3. the tombstone; no longer counted; erasure = 'done'
 */
import { eraseFiles, filesOf, selectFiles } from "../../d1/files/files.ts";
import type { Caller, KeyRefusal } from "../../domain/access.ts";
import type { StoredFile } from "../../domain/uploads.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { tombstoneFiles } from "../erasure/erase-files.ts";
import { authorize } from "../tenants/authorize.ts";

/**
 * Erases one file: its row first, so that no task can name it any more.
 * @param isUnused Whether it was kept for a request of which no task came.
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
  /** No live file has that id, or it is not the caller's: the reply is the same. */
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
