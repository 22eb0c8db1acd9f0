/** What cron finds to do beside tasks, in one read at the start of a tick, and a call that takes up erasures where there are any. */
import type { SkipUnreadable } from "../../domain/stored.ts";
import {
  type Erasure,
  erasuresOf,
  selectPicturesToTombstone,
  type TombstoneTarget,
  takeDeleted,
  takeErasures,
  tombstoneTargets,
} from "../erasure/erasures.ts";
import { type FileTombstoneTarget, selectExpiredFiles, selectFilesToTombstone } from "../files/files.ts";
import { nextDeliveryMs, selectNextDelivery } from "../webhooks/deliveries.ts";

export interface MaintenanceWork {
  /** Tenants whose object has not acknowledged the newest copy. */
  unpushed: string[];
  /** Deleted tenants of which something may be left. */
  deleted: { id: string; deletedMs: number }[];
  /** Erased tasks whose pictures are still there. */
  toTombstone: TombstoneTarget[];
  erasures: Erasure[];
  /** Erased files whose bytes are still there. */
  filesToTombstone: FileTombstoneTarget[];
  /** Ids of files that have come to their end. */
  expiredFiles: string[];
  /** When the next webhook is due; null: none is open. */
  deliveryDueMs: number | null;
}

/** R2 deletes a thousand objects in one call at the most. */
const limits = { tenants: 20, tasks: 50, files: 100, expired: 1_000 };

/** @param skip Leaves out a task whose pictures cannot be read, and an erasure that cannot. */
export async function readMaintenance(
  db: D1Database,
  nowMs: number,
  skip?: SkipUnreadable,
): Promise<MaintenanceWork> {
  const [unpushed, toTombstone, next, files, expired, toErase] = await db.batch<Record<string, unknown>>([
    db.prepare(
      `SELECT id FROM tenants INDEXED BY tenants_unpushed WHERE pushed_version < config_version
       LIMIT ${limits.tenants}`,
    ),
    selectPicturesToTombstone(db, limits.tasks),
    selectNextDelivery(db),
    selectFilesToTombstone(db, limits.files),
    selectExpiredFiles(db, nowMs, limits.expired),
    db.prepare(
      `SELECT 1 FROM tenants INDEXED BY tenants_to_erase WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL
       UNION ALL SELECT 1 FROM erasures LIMIT 1`,
    ),
  ]);
  const take = [takeDeleted(db, limits.tenants, nowMs), takeErasures(db, limits.tenants, nowMs)];
  const [deleted, erasures] = toErase?.results.length ? await db.batch(take) : [];
  const rows = <Row>(result: D1Result | undefined) => (result?.results ?? []) as Row[];
  return {
    unpushed: rows<{ id: string }>(unpushed).map(({ id }) => id),
    deleted: rows<MaintenanceWork["deleted"][number]>(deleted),
    toTombstone: tombstoneTargets(toTombstone, skip),
    erasures: erasuresOf(erasures, skip),
    filesToTombstone: rows<FileTombstoneTarget>(files),
    expiredFiles: rows<{ id: string }>(expired).map(({ id }) => id),
    deliveryDueMs: nextDeliveryMs(next),
  };
}
