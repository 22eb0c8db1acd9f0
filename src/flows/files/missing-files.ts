/** Uploaded files as references of a task. */

import { filesOf, selectFiles } from "../../d1/files/files.ts";
import type { Caller } from "../../domain/access.ts";
import { readFileName } from "../../domain/file-addresses.ts";
import { fileIdPattern } from "../../domain/ids.ts";
import { imageExtensions } from "../../domain/task.ts";
import type { Invocation } from "../../platform/invocation.ts";

/**
 * Checks that references to this gateway's files name live files of the caller's tenant.
 * @param names The part behind `/files/` of each reference; undefined for a reference to another host.
 * @returns the positions of those that do not.
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
