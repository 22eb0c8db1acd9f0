/** Admitting uploads: a hold is made before the bytes are read, and released where no file is kept in it. */
import type { Caller } from "../../domain/access.ts";
import type { PolicyState } from "../../domain/admission.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import type { FileDecision } from "../../tenant/file-admission.ts";

/** An admitted upload's hold: its place among the tenant's files, before its bytes are read. */
export interface FileHold {
  caller: Caller;
  id: string;
  /** The most bytes that the file may have. */
  heldBytes: number;
}

export type FileAdmission =
  | { kind: "admitted"; fileHold: FileHold; policies: PolicyState[] }
  | Exclude<FileDecision, { kind: "admitted" }>;

/**
 * Asks for a hold for one file, before its bytes are there. The caller keeps a file in it or releases it.
 * @param asked `bytes`: at the most, or null when that is not known. `isRequest`: false for a part of a request that is
 *   counted already.
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

/** Releases a hold in which nothing is kept. Where that fails, the hold ends by itself. Never throws. */
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
