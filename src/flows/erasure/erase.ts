/**
 * Erasing: a task, all of an end user's, what is older than its tenant wants to keep, or all of a deleted tenant's. The
 * text goes first and at once, in D1; from then on the task answers 410. Then each picture becomes an empty tombstone
 * under its own key, so that a storer that comes late cannot bring it back (its put is create-only) and its URL answers
 * 410 as well; the files that it was made from go in the same way. Whatever dies in between is gone on with by cron. The figures stay: they were charged.
 */

import type { Chores } from "../../d1/cron/maintenance.ts";
import {
  deleteTenant,
  type Erased,
  type Erasure,
  endErasure,
  insertErasure,
  listRetentions,
  markBuried,
  markErased,
  markErasedTo,
  picturesToBury,
  revokeKeysOfDeleted,
  type ToBury,
  wipeTasks,
} from "../../d1/erasure/erasures.ts";
import { eraseFiles } from "../../d1/files/files.ts";
import { insertAct } from "../../d1/tenants/audit-log.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { dropDeliveriesOf, pruneDeliveries } from "../../d1/webhooks/attempts.ts";
import { idBound } from "../../domain/ids.ts";
import { imageKey, isFinished, type Task } from "../../domain/task.ts";
import { deliveryLogMs } from "../../domain/webhooks.ts";
import { type Deps, reach } from "../../platform/invocation.ts";
import { connections, inParallel } from "../../platform/parallel.ts";
import { copyAddress, dropCopies } from "../images/edge-copy.ts";
import { pushConfig } from "../tenants/push-config.ts";
import type { Actor } from "../tenants/tenants.ts";
import { buryFiles, buryFilesOf, expireFiles } from "./erase-files.ts";

export type DropResult = "deleted" | "busy" | "no_tenant";

/**
 * Deletes a tenant: its keys stop at once, what it made is erased by cron. A submit that was admitted before the keys
 * stopped still ends by itself, and is erased after that.
 */
export async function dropTenant(deps: Deps, by: Actor, id: string): Promise<DropResult> {
  const tenant = await findTenant(deps.db, id);
  if (!tenant) return "no_tenant";
  if (tenant.deletedMs !== null) return "deleted";
  const [deleted] = await deps.db.batch([
    deleteTenant(deps.db, id, deps.now()),
    revokeKeysOfDeleted(deps.db, id, deps.now()),
  ]);
  if (!deleted?.meta.changes) return "busy";
  const act = { act: "tenant.delete", tenantId: id, subject: id, details: {} };
  await insertAct(deps.db, { ...by, ...act, id: deps.newId("act"), atMs: deps.now() }).run();
  await pushConfig(deps, id);
  return "deleted";
}

export type EraseResult = "erased" | "not_finished" | "not_found" | "deleted";

/** Erases one task of a tenant that has ended: its text at once, its pictures before this returns. */
export async function eraseTask(deps: Deps, tenantId: string, task: Task | undefined): Promise<EraseResult> {
  if (!task) return "not_found";
  if (task.erased) return "deleted";
  if (!isFinished(task)) return "not_finished";
  const ids = await wipeTasks(deps.db, tenantId, { task: task.id }, 1);
  await dropDeliveriesOf(deps.db, ids);
  await bury(deps, await picturesToBury(deps.db, 1, ids));
  await buryFilesOf(deps, tenantId);
  return "erased";
}

const tasksAtOnce = 50;

/** Has all of an end user's tasks erased, those that still run once they have ended. */
export async function eraseEndUser(deps: Deps, tenantId: string, endUser: string): Promise<void> {
  const erasure = { tenantId, endUser, atMs: deps.now() };
  await insertErasure(deps.db, erasure);
  deps.defer("erase", () => eraseUsersTasks(deps, erasure));
}

const roundsATick = 10;
/** So long after its deletion something of a tenant may still come to its end. */
const stragglersMs = 25 * 3_600_000;

/** What cron does of all this, a bounded part of it a tick. */
export async function eraseSome(deps: Deps, chores: Chores): Promise<void> {
  await bury(deps, chores.toBury);
  await buryFiles(deps, chores.filesToBury);
  await expireFiles(deps, chores.expiredFiles);
  for (const erasure of chores.erasures) await eraseUsersTasks(deps, erasure);
  for (const { id, deletedMs } of chores.deleted) {
    await eraseFiles(deps.db, id, { upToMs: deps.now() }).run();
    const left = await eraseRounds(deps, id, { beforeId: lastId, afterId: "" });
    if (!left && deps.now() - deletedMs > stragglersMs) await markErased(deps.db, id, deps.now());
  }
}

const dayMs = 86_400_000;
/** Behind every id of a task. */
const lastId = "task-~";

/** Erases what is older than its tenant wants to keep, and old lines of the log of deliveries; once an hour is often enough for days. */
export async function eraseAged(deps: Deps): Promise<void> {
  if (Math.floor(deps.now() / 60_000) % 60 !== 0) return;
  await pruneDeliveries(deps.db, idBound("delivery", deps.now() - deliveryLogMs));
  for (const { id, days, erasedTo } of await listRetentions(deps.db)) {
    const beforeId = idBound("task", deps.now() - days * dayMs);
    await eraseFiles(deps.db, id, { upToMs: deps.now() - days * dayMs }).run();
    const left = await eraseRounds(deps, id, { beforeId, afterId: erasedTo });
    // A task lives for a day and a few hours at the most, so nothing that old still runs.
    if (!left && days > 1) await markErasedTo(deps.db, id, beforeId);
  }
}

async function eraseUsersTasks(deps: Deps, erasure: Erasure): Promise<void> {
  const { tenantId, endUser, atMs } = erasure;
  await eraseFiles(deps.db, tenantId, { endUser, upToMs: atMs }).run();
  const left = await eraseRounds(deps, tenantId, { endUser, upToMs: atMs });
  if (!left) await endErasure(deps.db, erasure);
}

/** @returns whether there may be more. */
async function eraseRounds(deps: Deps, tenantId: string, which: Erased): Promise<boolean> {
  let left = true;
  for (let round = 0; left && round < roundsATick; round++) {
    const ids = await wipeTasks(deps.db, tenantId, which, tasksAtOnce);
    if (ids.length > 0) {
      await dropDeliveriesOf(deps.db, ids);
      await bury(deps, await picturesToBury(deps.db, tasksAtOnce, ids));
    }
    left = ids.length === tasksAtOnce;
  }
  await buryFilesOf(deps, tenantId);
  return left;
}

/** Puts tombstones in the places of pictures, and then drops the copies at this edge. */
async function bury(deps: Deps, tasks: ToBury[]): Promise<void> {
  if (tasks.length === 0) return;
  const images = tasks.flatMap((task) => task.images);
  await inParallel(images, connections, ({ id, stored }) =>
    reach("storage", () =>
      deps.bucket.put(
        imageKey(id),
        new Uint8Array(),
        stored ? { httpMetadata: { contentType: stored.contentType } } : {},
      ),
    ),
  );
  const copies = tasks.flatMap(({ origin, images: drawn }) =>
    drawn.flatMap(({ id, stored }) => (stored ? [copyAddress(deps, origin, id, stored.contentType)] : [])),
  );
  await dropCopies(deps, copies);
  await markBuried(
    deps.db,
    tasks.map(({ id }) => id),
  );
}
