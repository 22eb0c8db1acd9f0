/**
 * Deleting a tenant: its keys stop at once, and cron erases what it made, a few tasks a round. A picture becomes an
 * empty tombstone under its own key, so that a storer that comes late cannot bring it back (its put is create-only)
 * and its URL says that it was deleted. A submit that was admitted before the keys stopped still ends by itself, and
 * is erased after that.
 */
import type { Deps } from "../deps.ts";
import { imageKey, type TaskImage } from "../domain/task.ts";
import { insertAct } from "../store/acts.ts";
import {
  deleteTenant,
  eraseTasks,
  listToErase,
  markErased,
  revokeKeysOfDeleted,
  tasksToErase,
} from "../store/erase.ts";
import { findTenant } from "../store/tenants.ts";
import { connections, inParallel } from "./parallel.ts";
import { pushConfig } from "./push-config.ts";
import type { Actor } from "./tenants.ts";

export type DropResult = "deleted" | "busy" | "no_tenant";

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

const tenantsATick = 5;
const tasksAtOnce = 50;
const roundsATick = 10;
/** So long after its deletion something of a tenant may still come to its end. */
const stragglersMs = 25 * 3_600_000;

/** Erases what is left of deleted tenants, a bounded part of it. */
export async function eraseDeleted(deps: Deps): Promise<void> {
  for (const { id, deletedMs } of await listToErase(deps.db, tenantsATick)) {
    let left = true;
    for (let round = 0; left && round < roundsATick; round++) left = await eraseSome(deps, id);
    if (!left && deps.now() - deletedMs > stragglersMs) await markErased(deps.db, id, deps.now());
  }
}

/** @returns whether there may be more. */
async function eraseSome(deps: Deps, tenantId: string): Promise<boolean> {
  const tasks = await tasksToErase(deps.db, tenantId, tasksAtOnce);
  await inParallel(
    tasks.flatMap(({ images }) => images),
    connections,
    (image) => buryImage(deps, image),
  );
  if (tasks.length > 0) {
    await eraseTasks(
      deps.db,
      tasks.map(({ id }) => id),
    );
  }
  return tasks.length === tasksAtOnce;
}

async function buryImage(deps: Deps, { id, stored }: TaskImage): Promise<void> {
  const contentType = stored?.contentType;
  await deps.bucket.put(imageKey(id), new Uint8Array(), contentType ? { httpMetadata: { contentType } } : {});
}
