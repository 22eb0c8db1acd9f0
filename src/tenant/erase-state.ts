/**
 * What erasing takes out of a tenant's object: of an erased task the fingerprint of its request, which a guessed prompt could
 * be held against; of a deleted tenant all but its ledger. A hash of the `Idempotency-Key` stays with a task's entry, so that
 * a replay still answers that the task was deleted. A line that is closed has neither.
 */
import { hasSettings, isSuspended } from "./config-copy.ts";
import { entryTables } from "./ledger.ts";
import { closedSeq } from "./ledger-parts.ts";
import { readState } from "./tenant-state.ts";

/** A task that is erased, by its hold; null: admitted before there were holds. */
export interface ErasedTask {
  id: string;
  holdNumber: number | null;
}

/**
 * Erases what there is of tasks, or of the whole tenant, which admits nothing any more. Twice does no harm.
 * @param tasks Some hundred; null: the tenant's, which is deleted.
 * @returns false while a task of a deleted tenant is open, or D1 lacks one, or the object has not taken the end of its keys.
 */
export function eraseState(sql: SqlStorage, tasks: ErasedTask[] | null): boolean {
  if (tasks === null) return eraseTenant(sql);
  for (const { id, holdNumber } of tasks) if (holdNumber !== null) eraseRequest(sql, holdNumber, id);
  return true;
}

/**
 * Tasks that have ended and whose request has its fingerprint, among `most` numbers of the ledger.
 * @param share 0 to 1: how far into the ledger. Where it has no more than `most` numbers these are all.
 */
export function keptRequests(sql: SqlStorage, share: number, most: number): ErasedTask[] {
  const closed = closedSeq(sql);
  const pages = Math.ceil((readState(sql).seq - closed) / most);
  const from = closed + most * Math.floor(share * pages);
  return sql
    .exec<{ id: string; holdNumber: number }>(
      `SELECT task_id AS id, hold_seq AS holdNumber FROM ledger_entries
       WHERE seq > ? AND seq <= ? AND fingerprint IS NOT NULL`,
      ...[from, from + most],
    )
    .toArray();
}

function eraseRequest(sql: SqlStorage, hold: number, taskId: string): void {
  const open = "UPDATE open_tasks SET fingerprint = NULL, record = NULL WHERE seq = ? AND task_id = ?";
  if (sql.exec(open, hold, taskId).rowsWritten > 0) return;
  // An entry that ends a hold comes after it, and before the first one that says that no task up to the hold was open.
  const [end] = sql
    .exec<{ seq: number; hold_seq: number }>(
      "SELECT seq, hold_seq FROM ledger_entries WHERE seq > ?1 AND (hold_seq = ?1 OR oldest_open > ?1) ORDER BY seq LIMIT 1",
      hold,
    )
    .toArray();
  if (end?.hold_seq !== hold) return;
  for (const table of entryTables)
    sql.exec(`UPDATE ${table} SET fingerprint = NULL WHERE seq = ? AND task_id = ?`, end.seq, taskId);
}

function eraseTenant(sql: SqlStorage): boolean {
  const lacking =
    "SELECT 1 FROM open_tasks UNION ALL SELECT 1 FROM early_ends WHERE record IS NOT NULL LIMIT 1";
  if (sql.exec(lacking).toArray().length > 0) return false;
  if (!hasSettings(sql)) return true;
  if (!isSuspended(sql)) return false;
  for (const table of ["config", "keys", "tokens", "files", "early_ends"]) sql.exec(`DELETE FROM ${table}`);
  // Under the empty name is the account of a tenant whose ledger is empty.
  sql.exec("DELETE FROM scopes WHERE scope <> ''");
  for (const table of entryTables)
    sql.exec(`UPDATE ${table} SET replay = NULL, fingerprint = NULL
      WHERE replay IS NOT NULL OR fingerprint IS NOT NULL`);
  return true;
}
