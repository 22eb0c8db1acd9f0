/**
 * Erasing on request: a task, all of an end user's tasks, all of a tenant's. What a tenant's retention erases, and what a
 * request leaves to cron, is erased in turns (`erase-turns.ts`).
 */
import { insertErasure } from "../../d1/erasure/erasure-turns.ts";
import {
  deleteTenant,
  type ErasedTask,
  type ErasingRow,
  isErased,
  redactTasks,
  revokeKeysOfDeleted,
} from "../../d1/erasure/erasures.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { isFinished } from "../../domain/task.ts";
import { BindingUnavailable } from "../../platform/binding.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { redactArchived } from "../archive/erase-archived.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { pushConfig } from "../tenants/push-config.ts";
import { tombstoneFilesOf } from "./erase-files.ts";
import { eraseRest, eraserLeaseMs } from "./erase-tasks.ts";
import { eraseNext } from "./erase-turns.ts";
import { logNotErased } from "./not-erased.ts";
import { noteForRestore, userInNote } from "./restore-notes.ts";

export type DropResult = "deleted" | "busy" | "no_tenant";

/**
 * Deletes a tenant: its keys stop at once, and cron erases its tasks and files. A submit that was admitted before the keys
 * stopped still ends by itself, and is erased after that.
 */
export async function dropTenant(invocation: Invocation, by: Actor, id: string): Promise<DropResult> {
  const tenant = await findTenant(invocation.db, id);
  if (!tenant) return "no_tenant";
  if (tenant.deletedMs !== null) return "deleted";
  const [deleted] = await invocation.db.batch([
    deleteTenant(invocation.db, id, invocation.now()),
    revokeKeysOfDeleted(invocation.db, id, invocation.now()),
  ]);
  if (!deleted?.meta.changes) return "busy";
  const what = { action: "tenant.delete", tenantId: id, subject: id, details: {} };
  await auditEntry(invocation, by, what).run();
  await pushConfig(invocation, id);
  invocation.defer("restore_note", () => noteForRestore(invocation, id, "tenant"));
  return "deleted";
}

export type EraseResult = "erased" | "not_finished" | "not_found" | "deleted";

/**
 * Erases one task of a tenant that has ended: its text at once, its pictures before this returns. What the tenant's object
 * keeps of the request goes as well, or, where that is unavailable, with cron. A task may move between D1 and the archive:
 *
 *   the eraser                    a restore
 *   1. D1 lacks the task
 *                                 2. has its part's rows in D1 again; the part ends
 *   3. finds no part with it
 *   4. finds it in D1
 */
export async function eraseTask(
  invocation: Invocation,
  tenantId: string,
  task: ErasedTask | undefined,
): Promise<EraseResult> {
  if (!task) return "not_found";
  if (task.erased) return "deleted";
  if (!isFinished(task)) return "not_finished";
  await noteForRestore(invocation, tenantId, task.id);
  const { failures } = await eraseRest(invocation, await redactOne(invocation, tenantId, task.id));
  for (const { taskId, error } of failures) {
    if (taskId !== undefined) throw error;
    logNotErased(invocation, tenantId, error);
  }
  await tombstoneFilesOf(invocation, tenantId);
  return "erased";
}

/** A task goes to the archive, or comes back, between two looks; not each time. */
const mostLooks = 3;

/** Erases a task's text, wherever it is. @returns its row; none when it was erased meanwhile. @throws BindingUnavailable */
async function redactOne(invocation: Invocation, tenantId: string, id: string): Promise<ErasingRow[]> {
  const { db } = invocation;
  for (let looks = 0; looks < mostLooks; looks++) {
    const redaction = { limit: 1, leaseUntilMs: invocation.now() + eraserLeaseMs };
    const rows = await redactTasks(db, tenantId, { task: id }, redaction);
    if (rows.length > 0 || (await isErased(db, tenantId, id))) return rows;
    const archived = await redactArchived(invocation, tenantId, id);
    if (archived) return archived;
  }
  throw new BindingUnavailable("storage: a part of the archive is being written");
}

/**
 * Has all of an end user's tasks erased; those that still run are erased once they have ended.
 * @param atMs Tasks that were made until then.
 */
export async function eraseEndUser(
  invocation: Invocation,
  tenantId: string,
  endUser: string,
  atMs = invocation.now(),
): Promise<void> {
  await noteForRestore(invocation, tenantId, await userInNote(tenantId, endUser), atMs);
  // An erasure is over once D1 has no task of that user that runs: what D1 lacks of them comes first.
  await invocation.tenant(tenantId).flush();
  await insertErasure(invocation.db, { tenantId, endUser, atMs });
  invocation.defer("erase", () => eraseNext(invocation, { tenantId, endUser }));
}
