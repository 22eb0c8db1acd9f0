/** Erasing uploaded files: tombstones for deleted ones, an end for expired ones. */

import {
  deleteFileRows,
  expiredFiles,
  type FileTombstoneTarget,
  markFilesTombstoned,
  takeFilesToTombstone,
} from "../../d1/files/files.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import { fileKey } from "../../domain/uploads.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { logUnreadable } from "../../platform/unreadable.ts";
import { eraserLeaseMs } from "./erase-tasks.ts";

/**
 * Puts tombstones in the places of files that are to be erased, and stops counting them: each by itself. Where the
 * tenant's object cannot read what it counts, the file is erased all the same, and counts until its end.
 * @param areUnused Whether they were kept for a request of which no task came.
 * @throws the failure of one of those that failed, once the others are erased.
 */
export async function tombstoneFiles(
  invocation: Invocation,
  files: FileTombstoneTarget[],
  areUnused = false,
): Promise<void> {
  if (files.length === 0) return;
  const failures: unknown[] = [];
  const erased = await inParallel(
    files,
    async (file) => {
      try {
        await tombstoneFile(invocation, file, areUnused);
        return [file.id];
      } catch (error) {
        failures.push(error);
        return [];
      }
    },
    { concurrency: connections },
  );
  await markFilesTombstoned(invocation.db, erased.flat());
  if (failures.length > 0) throw failures[0];
}

async function tombstoneFile(
  invocation: Invocation,
  { id, tenantId }: FileTombstoneTarget,
  isUnused: boolean,
): Promise<void> {
  await invocation.bucket.put(fileKey(id), new Uint8Array());
  try {
    await invocation.tenant(tenantId).dropFile(id, isUnused);
  } catch (error) {
    if (!(error instanceof StoredDataUnreadable)) throw error;
    logUnreadable(invocation, error);
  }
}

const filesAtOnce = 100;

/**
 * Puts tombstones for files that are to be erased, of a tenant or of any, as many as one call may; cron does the rest.
 * @returns whether there may be more.
 */
export async function tombstoneFilesOf(invocation: Invocation, tenantId: string | null): Promise<boolean> {
  const nowMs = invocation.now();
  const taking = { limit: filesAtOnce, leaseUntilMs: nowMs + eraserLeaseMs };
  const files = await takeFilesToTombstone(invocation.db, nowMs, taking, tenantId);
  await tombstoneFiles(invocation, files);
  return files.length === filesAtOnce;
}

/** R2 deletes so many objects in one call at the most. */
const expiredAtOnce = 1_000;

/** Deletes expired files; the tenant's object has stopped counting them by itself. @returns whether there may be more. */
export async function expireFiles({ db, bucket, now }: Invocation): Promise<boolean> {
  const ids = await expiredFiles(db, now(), expiredAtOnce);
  if (ids.length === 0) return false;
  await bucket.delete(ids.map(fileKey));
  await deleteFileRows(db, ids, now());
  return ids.length === expiredAtOnce;
}
