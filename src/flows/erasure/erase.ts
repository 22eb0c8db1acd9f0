/**
 * Erasing: a task, all of an end user's tasks, tasks older than their tenant's retention, or all of a deleted tenant's. The
 * text goes first and at once, in D1; from then on the task answers 410. Then each picture becomes an empty tombstone
 * under its own key, so that a storer that comes late cannot bring it back (its put is create-only) and its URL answers
 * 410 as well; the files that it was made from go in the same way. Cron goes on where an eraser dies. The figures stay:
 * they were charged.
 */

import type { MaintenanceWork } from "../../d1/cron/maintenance.ts";
import {
  deleteTenant,
  type ErasedTask,
  type Erasure,
  type ErasureScope,
  endErasure,
  insertErasure,
  listRetentions,
  markErased,
  markTombstoned,
  moveRetentionCursor,
  picturesToTombstone,
  type Retention,
  redactTasks,
  revokeKeysOfDeleted,
  type TombstoneTarget,
} from "../../d1/erasure/erasures.ts";
import { eraseFiles } from "../../d1/files/files.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { dropDeliveriesOf, pruneDeliveries } from "../../d1/webhooks/attempts.ts";
import { idBound } from "../../domain/ids.ts";
import { StoredDataUnreadable } from "../../domain/stored.ts";
import { imageKey, isFinished } from "../../domain/task.ts";
import { deliveryLogMs } from "../../domain/webhooks.ts";
import { callBinding } from "../../platform/binding.ts";
import { connections } from "../../platform/connections.ts";
import { inParallel } from "../../platform/in-parallel.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { describe } from "../../platform/log.ts";
import { logUnreadable, skipUnreadable } from "../../platform/unreadable.ts";
import { copyAddress, dropCopies } from "../images/edge-copy.ts";
import { type Actor, auditEntry } from "../tenants/audit-entry.ts";
import { pushConfig } from "../tenants/push-config.ts";
import { expireFiles, tombstoneFiles, tombstoneFilesOf } from "./erase-files.ts";

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
  return "deleted";
}

export type EraseResult = "erased" | "not_finished" | "not_found" | "deleted";

/** Erases one task of a tenant that has ended: its text at once, its pictures before this returns. */
export async function eraseTask(
  invocation: Invocation,
  tenantId: string,
  task: ErasedTask | undefined,
): Promise<EraseResult> {
  if (!task) return "not_found";
  if (task.erased) return "deleted";
  if (!isFinished(task)) return "not_finished";
  const ids = await redactTasks(invocation.db, tenantId, { task: task.id }, 1);
  await dropDeliveriesOf(invocation.db, ids);
  await tombstone(invocation, await picturesToTombstone(invocation.db, 1, ids));
  await tombstoneFilesOf(invocation, tenantId);
  return "erased";
}

const tasksAtOnce = 50;

/** Has all of an end user's tasks erased; those that still run are erased once they have ended. */
export async function eraseEndUser(invocation: Invocation, tenantId: string, endUser: string): Promise<void> {
  // An erasure is over once D1 has no task of that user that runs: what D1 lacks of them comes first.
  await invocation.tenant(tenantId).flush();
  const erasure = { tenantId, endUser, atMs: invocation.now() };
  await insertErasure(invocation.db, erasure);
  invocation.defer("erase", () => eraseUsersTasks(invocation, erasure));
}

const roundsATick = 10;
/** A deleted tenant's last task ends within so long. */
const stragglersMs = 25 * 3_600_000;

/** Erases what is marked: a bounded part of it each tick. */
export async function eraseSome(invocation: Invocation, maintenance: MaintenanceWork): Promise<void> {
  await byItself(invocation, null, () => tombstone(invocation, maintenance.toTombstone));
  await byItself(invocation, null, () => tombstoneFiles(invocation, maintenance.filesToTombstone));
  await byItself(invocation, null, () => expireFiles(invocation, maintenance.expiredFiles));
  for (const erasure of maintenance.erasures) {
    await byItself(invocation, erasure.tenantId, () => eraseUsersTasks(invocation, erasure));
  }
  for (const deleted of maintenance.deleted) {
    await byItself(invocation, deleted.id, () => eraseTenant(invocation, deleted));
  }
}

/** Where one erasure fails, those behind it go on, and the next sweep tries it again. */
async function byItself(
  invocation: Invocation,
  tenant: string | null,
  erase: () => Promise<void>,
): Promise<void> {
  try {
    await erase();
  } catch (error) {
    if (error instanceof StoredDataUnreadable) logUnreadable(invocation, error);
    else invocation.log({ event: "not_erased", level: "error", tenant, problem: describe(error) });
  }
}

async function eraseTenant(
  invocation: Invocation,
  { id, deletedMs }: MaintenanceWork["deleted"][number],
): Promise<void> {
  await eraseFiles(invocation.db, id, { upToMs: invocation.now() }).run();
  const left = await eraseRounds(invocation, id, { beforeId: lastId, afterId: "" });
  if (!left && invocation.now() - deletedMs > stragglersMs)
    await markErased(invocation.db, id, invocation.now());
}

const dayMs = 86_400_000;
/** Behind every id of a task. */
const lastId = "task-~";

/** Erases tasks older than their tenant's retention, and old lines of the delivery log. Retention counts days, so once an hour is enough. */
export async function eraseAged(invocation: Invocation): Promise<void> {
  if (Math.floor(invocation.now() / 60_000) % 60 !== 0) return;
  await pruneDeliveries(invocation.db, idBound("delivery", invocation.now() - deliveryLogMs));
  for (const retention of await listRetentions(invocation.db, skipUnreadable(invocation))) {
    await byItself(invocation, retention.id, () => eraseOld(invocation, retention));
  }
}

async function eraseOld(invocation: Invocation, { id, days, retentionCursor }: Retention): Promise<void> {
  const upToMs = invocation.now() - days * dayMs;
  const beforeId = idBound("task", upToMs);
  await eraseFiles(invocation.db, id, { upToMs }).run();
  // A cursor that age has not reached is no cursor of these days: it would hide what is left before it.
  const afterId = retentionCursor < beforeId ? retentionCursor : "";
  const left = await eraseRounds(invocation, id, { beforeId, afterId });
  // A task lives for a day and a few hours at the most, so nothing that old still runs.
  if (!left && days > 1) await moveRetentionCursor(invocation.db, id, beforeId);
}

async function eraseUsersTasks(invocation: Invocation, erasure: Erasure): Promise<void> {
  const { tenantId, endUser, atMs } = erasure;
  await eraseFiles(invocation.db, tenantId, { endUser, upToMs: atMs }).run();
  const left = await eraseRounds(invocation, tenantId, { endUser, upToMs: atMs });
  if (!left) await endErasure(invocation.db, erasure);
}

/** @returns whether there may be more. */
async function eraseRounds(invocation: Invocation, tenantId: string, which: ErasureScope): Promise<boolean> {
  let left = true;
  for (let round = 0; left && round < roundsATick; round++) {
    const ids = await redactTasks(invocation.db, tenantId, which, tasksAtOnce);
    if (ids.length > 0) {
      await dropDeliveriesOf(invocation.db, ids);
      const skip = skipUnreadable(invocation);
      await tombstone(invocation, await picturesToTombstone(invocation.db, tasksAtOnce, ids, skip));
    }
    left = ids.length === tasksAtOnce;
  }
  await tombstoneFilesOf(invocation, tenantId);
  return left;
}

/** Puts tombstones in the places of pictures, and then drops the copies at this edge. */
async function tombstone(invocation: Invocation, tasks: TombstoneTarget[]): Promise<void> {
  if (tasks.length === 0) return;
  const images = tasks.flatMap((task) => task.images);
  await inParallel(
    images,
    ({ id, stored }) =>
      callBinding("storage", () =>
        invocation.bucket.put(
          imageKey(id),
          new Uint8Array(),
          stored ? { httpMetadata: { contentType: stored.contentType } } : {},
        ),
      ),
    { concurrency: connections },
  );
  const copies = tasks.flatMap(({ origin, images: drawn }) =>
    drawn.flatMap(({ id, stored }) =>
      stored ? [copyAddress(invocation, origin, id, stored.contentType)] : [],
    ),
  );
  await dropCopies(invocation, copies);
  await markTombstoned(
    invocation.db,
    tasks.map(({ id }) => id),
  );
}
