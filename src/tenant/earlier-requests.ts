/** Finding the requests that a replay may be of, among open tasks and those that the ledger has settled. */
import { type SettledHold, selectSettledHolds, settleType } from "./ledger.ts";
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

/** Workers' clocks differ by less: an entry so much older than another one's time may stand behind it. */
const clocksDifferMs = 60_000;
/** Entries that are compared one by one, rather than halved again. */
const fewEntries = 200;

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
      lastBefore(sql, sinceMs - clocksDifferMs),
    ),
  );
}

/** A number up to which entries are older: found by halves, since they were numbered as they came. */
function lastBefore(sql: SqlStorage, ms: number): number {
  let older = 0;
  let younger = Number(sql.exec("SELECT coalesce(max(seq), 0) AS seq FROM entries").one().seq);
  while (younger - older > fewEntries) {
    const middle = Math.floor((older + younger) / 2);
    const [row] = sql
      .exec<{ at_ms: number }>("SELECT at_ms FROM entries WHERE seq <= ? ORDER BY seq DESC LIMIT 1", middle)
      .toArray();
    if (row && row.at_ms > ms) younger = middle;
    else older = middle;
  }
  return older;
}

/** Notes which retry was last answered with a request's task. */
export function markAnswered(sql: SqlStorage, { seq }: EarlierRequest, retry: number): void {
  const { rowsWritten } = sql.exec("UPDATE open_tasks SET answered = ? WHERE seq = ?", retry, seq);
  if (rowsWritten === 0)
    sql.exec("UPDATE entries SET answered = ?1 WHERE seq > ?2 AND hold_seq = ?2", retry, seq);
}
