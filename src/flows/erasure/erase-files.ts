/** Erasing uploaded files: tombstones for those that are deleted, an end for those that have lived their time. */

import { type FileToBury, forgetFiles, markFilesBuried, selectFilesToBury } from "../../d1/files/files.ts";
import { fileKey } from "../../domain/uploads.ts";
import { type Deps, reach } from "../../platform/invocation.ts";
import { connections, inParallel } from "../../platform/parallel.ts";

/**
 * Puts tombstones in the places of files that answer no more, and stops counting them.
 * @param areUnused Whether they were kept for a request that came to nothing.
 */
export async function buryFiles(deps: Deps, files: FileToBury[], areUnused = false): Promise<void> {
  if (files.length === 0) return;
  await inParallel(files, connections, async ({ id, tenantId }) => {
    await reach("storage", () => deps.bucket.put(fileKey(id), new Uint8Array()));
    await deps.tenant(tenantId).dropFile(id, areUnused);
  });
  await markFilesBuried(
    deps.db,
    files.map(({ id }) => id),
  );
}

const filesAtOnce = 100;
const rounds = 10;

/** Buries all of a tenant's files that are marked to go, as many as one call may; cron does the rest. */
export async function buryFilesOf(deps: Deps, tenantId: string): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const { results } = await selectFilesToBury(deps.db, filesAtOnce, tenantId).all<FileToBury>();
    await buryFiles(deps, results);
    if (results.length < filesAtOnce) return;
  }
}

/** Forgets files that have come to their end; the tenant's object has stopped counting them by itself. */
export async function expireFiles(deps: Deps, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await reach("storage", () => deps.bucket.delete(ids.map(fileKey)));
  await forgetFiles(deps.db, ids, deps.now());
}
