/** Finding the requests that a replay may be of, among open tasks and those that the ledger has settled. */
import { clocksDifferMs } from "../domain/ledger-lines.ts";
import { entryTables, numbersAt, type SettledHold, selectSettledHolds, settleType } from "./ledger.ts";
import { selectOpenTasks } from "./open-tasks.ts";

/** A request that was admitted before. */
export type EarlierRequest = Pick<SettledHold, "seq" | "taskId" | "fingerprint" | "answered"> & {
  isOpen: boolean;
};

type Found = Omit<EarlierRequest, "isOpen">;
const newestFirst = (open: Found[], settled: Found[]): EarlierRequest[] =>
  [
    ...open.map((one) => ({ ...one, isOpen: true })),
    ...settled.map((one) => ({ ...one, isOpen: false })),
  ].toSorted((a, b) => b.seq - a.seq);

/** Requests found by `replay`, made after `sinceMs`, newest first. */
export function findReplays(sql: SqlStorage, replay: string, sinceMs: number): EarlierRequest[] {
  return newestFirst(
    selectOpenTasks(sql, "WHERE replay = ? AND at_ms > ?", replay, sinceMs),
    selectSettledHolds(sql, "WHERE replay = ? AND hold_at_ms > ?", replay, sinceMs),
  );
}

/** Requests without an idempotency key, of a body that was sent with a key, made after `sinceMs`, newest first. */
export function findRetriedBodies(
  sql: SqlStorage,
  keyId: string,
  fingerprint: string,
  sinceMs: number,
): EarlierRequest[] {
  const same = [fingerprint, keyId, sinceMs] as const;
  return newestFirst(
    selectOpenTasks(sql, "WHERE replay IS NULL AND fingerprint = ? AND key_id = ? AND at_ms > ?", ...same),
    // A task ends after it was admitted, so its entry is no older.
    selectSettledHolds(
      sql,
      `WHERE seq > ?4 AND type = '${settleType}' AND replay IS NULL AND fingerprint = ?1 AND key_id = ?2 AND hold_at_ms > ?3`,
      ...same,
      numbersAt(sql, sinceMs - clocksDifferMs).older,
    ),
  );
}

/** Notes which retry was last answered with a request's task. */
export function markAnswered(sql: SqlStorage, { seq }: EarlierRequest, retry: number): void {
  const isIn = (table: string, hold: string) =>
    sql.exec(`UPDATE ${table} SET answered = ?1 WHERE ${hold}`, retry, seq).rowsWritten > 0;
  if (isIn("open_tasks", "seq = ?2")) return;
  // Of entries the end of a hold stands behind it.
  for (const table of entryTables) if (isIn(table, "seq > ?2 AND hold_seq = ?2")) return;
}
