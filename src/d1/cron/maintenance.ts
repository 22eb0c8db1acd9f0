/** What cron finds to do beside tasks, in one read at the start of a tick. */

import { type Erasure, type ToBury, type ToBuryRow, toBuryFromRow } from "../erasure/erasures.ts";
import { type FileToBury, selectExpiredFiles, selectFilesToBury } from "../files/files.ts";
import { nextDeliveryMs, selectNextDelivery } from "../webhooks/deliveries.ts";

export interface Chores {
  /** Tenants whose object has not acknowledged the newest copy. */
  unpushed: string[];
  /** Deleted tenants of which something may be left. */
  deleted: { id: string; deletedMs: number }[];
  /** Erased tasks whose pictures are still there. */
  toBury: ToBury[];
  erasures: Erasure[];
  /** Erased files whose bytes are still there. */
  filesToBury: FileToBury[];
  /** Ids of files that have come to their end. */
  expiredFiles: string[];
  /** When the next webhook is due; null: none is open. */
  deliveryDueMs: number | null;
}

/** R2 deletes a thousand objects in one call at the most. */
const limits = { tenants: 20, tasks: 50, files: 100, expired: 1_000 };

export async function readChores(db: D1Database, nowMs: number): Promise<Chores> {
  const [unpushed, deleted, toBury, erasures, next, files, expired] = await db.batch<Record<string, unknown>>(
    [
      db.prepare(
        `SELECT id FROM tenants INDEXED BY tenants_unpushed WHERE pushed_version < config_version
       LIMIT ${limits.tenants}`,
      ),
      db.prepare(
        `SELECT id, deleted_ms AS deletedMs FROM tenants INDEXED BY tenants_to_erase
       WHERE deleted_ms IS NOT NULL AND erased_ms IS NULL LIMIT ${limits.tenants}`,
      ),
      db.prepare(
        `SELECT id, origin, images FROM tasks INDEXED BY tasks_erasing WHERE erased = 2 LIMIT ${limits.tasks}`,
      ),
      db.prepare(
        `SELECT tenant_id AS tenantId, end_user AS endUser, at_ms AS atMs FROM erasures LIMIT ${limits.tenants}`,
      ),
      selectNextDelivery(db),
      selectFilesToBury(db, limits.files),
      selectExpiredFiles(db, nowMs, limits.expired),
    ],
  );
  const rows = <Row>(result: D1Result | undefined) => (result?.results ?? []) as Row[];
  return {
    unpushed: rows<{ id: string }>(unpushed).map(({ id }) => id),
    deleted: rows<Chores["deleted"][number]>(deleted),
    toBury: rows<ToBuryRow>(toBury).map(toBuryFromRow),
    erasures: rows<Erasure>(erasures),
    filesToBury: rows<FileToBury>(files),
    expiredFiles: rows<{ id: string }>(expired).map(({ id }) => id),
    deliveryDueMs: nextDeliveryMs(next),
  };
}
