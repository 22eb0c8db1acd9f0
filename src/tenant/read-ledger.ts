/**
 * The lines of a tenant's ledger, of the rows that its object has. Those of closed parts are in R2.
 *
 *   number   what is written            lines
 *   7        an open task               hold (read of the open task; once that has ended, of entry 9)
 *   8        an entry of a credit       topup
 *   9        an entry that ends 7       charge, release
 */
import { priceOf } from "../domain/account.ts";
import { clocksDifferMs, type LedgerLine, type LedgerQuery } from "../domain/ledger-lines.ts";
import {
  type CreditEntry,
  creditEntry,
  numbersAt,
  type SettledHold,
  type Settlement,
  selectSettledHolds,
  settledHold,
  settlement,
  settleType,
} from "./ledger.ts";
import { closedSeq } from "./ledger-parts.ts";
import { selectOpenTasks } from "./open-tasks.ts";

/** Lines of one row, newest first. */
interface Place {
  seq: number;
  lines: LedgerLine[];
}

/**
 * Reads the ledger, newest first. A row may be two lines (a charge and a release), which are never torn apart: up to twice
 * `limit` lines.
 * @param afterSeq Only numbers above it: at least those that the object still has.
 */
export function readLedger(sql: SqlStorage, query: LedgerQuery, afterSeq = closedSeq(sql)): LedgerLine[] {
  const { fromMs, toMs, taskId, limit } = query;
  const bounds = [fromMs, toMs, taskId, limit] as const;
  // The lines of a period are among few rows, however long the ledger is.
  const firstSeq = Math.max(afterSeq, numbersAt(sql, fromMs - clocksDifferMs).older);
  const beforeSeq = Math.min(query.beforeSeq, numbersAt(sql, toMs + clocksDifferMs).younger);
  const entries = sql
    .exec(
      `SELECT * FROM ledger_entries WHERE seq < ?5 AND seq > ?6 AND at_ms >= ?1 AND at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY seq DESC LIMIT ?4`,
      ...bounds,
      beforeSeq,
      firstSeq,
    )
    .toArray()
    .map((row) =>
      row.type === settleType ? endPlace(settlement.read(row), row) : creditPlace(creditEntry.read(row)),
    );
  // An entry below the page's last one is of the next page, and its hold stands lower still.
  const lastSeq = entries.length === limit ? (entries.at(-1)?.seq ?? 0) : firstSeq;
  const holds = [
    ...selectOpenTasks(
      sql,
      `WHERE seq > ?5 AND seq < ?6 AND at_ms >= ?1 AND at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY seq DESC LIMIT ?4`,
      ...bounds,
      lastSeq,
      beforeSeq,
    ),
    ...selectSettledHolds(
      sql,
      `WHERE seq > ?5 AND seq <= ?7 AND type = '${settleType}' AND hold_seq < ?6 AND hold_seq > ?5
         AND hold_at_ms >= ?1 AND hold_at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY hold_seq DESC LIMIT ?4`,
      ...bounds,
      lastSeq,
      beforeSeq,
      lastEndOf(sql, beforeSeq),
    ),
  ].map(holdPlace);
  return [...entries, ...holds]
    .toSorted((a, b) => b.seq - a.seq)
    .slice(0, limit)
    .flatMap(({ lines }) => lines);
}

/** The number from which on no entry ends a hold that stands before `beforeSeq`: none of those was open any more. */
function lastEndOf(sql: SqlStorage, beforeSeq: number): number {
  const [row] = sql
    .exec<{ seq: number }>(
      "SELECT seq FROM ledger_entries WHERE seq >= ?1 AND oldest_open >= ?1 ORDER BY seq LIMIT 1",
      beforeSeq,
    )
    .toArray();
  return row?.seq ?? Number.MAX_SAFE_INTEGER;
}

const noLine = { reference: null, note: null };

function holdPlace({ seq, atMs, taskId, images, price, balance, held }: SettledHold): Place {
  const amount = priceOf({ images, price });
  return { seq, lines: [{ seq, atMs, type: "hold", amount, taskId, ...noLine, balance, held }] };
}

const creditPlace = (entry: CreditEntry): Place => ({ seq: entry.seq, lines: [{ ...entry, taskId: null }] });

function endPlace(
  { seq, atMs, note, balance, held, charged, released }: Omit<Settlement, "hold">,
  row: object,
): Place {
  const { taskId } = settledHold.read(row);
  const line = { seq, atMs, taskId, reference: null, note, balance };
  const release: LedgerLine = { ...line, type: "release", amount: released, held };
  const charge: LedgerLine = { ...line, type: "charge", amount: charged, held: held + released };
  // Newest first: what was charged was charged before the rest was released.
  return {
    seq,
    lines: [...(released > 0 || charged === 0 ? [release] : []), ...(charged > 0 ? [charge] : [])],
  };
}
