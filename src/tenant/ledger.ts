/**
 * The ledger of a tenant's object, and the codec of `entries`. Open tasks and entries are numbered from one sequence. An
 * entry is a credit, or the end of a task: what was held, at its own number and time, and what was charged and released.
 * So a settled task is one row, and its three lines come at two places of the ledger:
 *
 *   number   what is written            lines
 *   7        an open task               hold (read of the open task; once that has ended, of entry 9)
 *   8        an entry of a credit       topup
 *   9        an entry that ends 7       charge, release
 */
import { priceOf } from "../domain/account.ts";
import { type CreditType, creditTypes, type LedgerLine, type LedgerQuery } from "../domain/ledger-lines.ts";
import { type Columns, oneOf, orNull, rowCodec, text, whole } from "../domain/stored.ts";
import { type OpenTask, selectOpenTasks } from "./open-tasks.ts";
import { stateText, type TenantState } from "./tenant-state.ts";

export const settleType = "settle";

interface EntryBase {
  seq: number;
  atMs: number;
  note: string | null;
  /** Of the account, afterwards. */
  balance: number;
  held: number;
}

export interface CreditEntry extends EntryBase {
  type: CreditType;
  amount: number;
  reference: string;
}

/** The hold that a task's end has settled, as its lines and replays need it. */
export type SettledHold = Pick<
  OpenTask,
  | "seq"
  | "taskId"
  | "keyId"
  | "atMs"
  | "images"
  | "price"
  | "balance"
  | "held"
  | "replay"
  | "fingerprint"
  | "answered"
>;

export interface Settlement extends EntryBase {
  hold: SettledHold;
  charged: number;
  released: number;
}

const base = {
  seq: ["seq", whole],
  atMs: ["at_ms", whole],
  note: ["note", orNull(text)],
  balance: ["balance", whole],
  held: ["held", whole],
} as const satisfies Columns<EntryBase>;

const creditEntry = rowCodec<CreditEntry>(
  "entries",
  { ...base, type: ["type", oneOf(creditTypes)], amount: ["amount", whole], reference: ["reference", text] },
  "seq",
);

const settlement = rowCodec<Omit<Settlement, "hold">>(
  "entries",
  { ...base, charged: ["amount", whole], released: ["released", whole] },
  "seq",
);

const settledHold = rowCodec<SettledHold>(
  "entries",
  {
    seq: ["hold_seq", whole],
    taskId: ["task_id", text],
    keyId: ["key_id", text],
    atMs: ["hold_at_ms", whole],
    images: ["images", whole],
    price: ["price", whole],
    balance: ["hold_balance", whole],
    held: ["hold_held", whole],
    replay: ["replay", orNull(text)],
    fingerprint: ["fingerprint", orNull(text)],
    answered: ["answered", whole],
  },
  "hold_seq",
);

/** @param state As it is with the entry. */
export function insertCredit(sql: SqlStorage, entry: CreditEntry, state: TenantState): void {
  const { seq, type, atMs, amount, reference, note, balance, held } = entry;
  sql.exec(
    `INSERT INTO entries (seq, type, at_ms, amount, reference, note, balance, held, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[seq, type, atMs, amount, reference, note, balance, held, stateText(state)],
  );
}

/** @param oldest The number of the oldest task that is still open, or the entry's own. */
export function insertSettlement(
  sql: SqlStorage,
  { seq, atMs, note, balance, held, hold, charged, released }: Settlement,
  state: TenantState,
  oldest: number,
): void {
  sql.exec(
    `INSERT INTO entries (seq, type, at_ms, amount, released, note, balance, held, oldest_open, state, ${settledHold.columns})
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ...[seq, settleType, atMs, charged, released, note, balance, held, oldest, stateText(state)],
    ...[hold.seq, hold.taskId, hold.keyId, hold.atMs, hold.images, hold.price, hold.balance, hold.held],
    ...[hold.replay, hold.fingerprint, hold.answered],
  );
}

export function findCredit(sql: SqlStorage, reference: string): CreditEntry | undefined {
  const [row] = sql
    .exec(`SELECT ${creditEntry.columns} FROM entries WHERE reference = ?`, reference)
    .toArray();
  return row && creditEntry.read(row);
}

/** Reads settled holds. @param rest What follows `FROM entries`. @throws StoredDataUnreadable */
export function selectSettledHolds(
  sql: SqlStorage,
  rest: string,
  ...values: SqlStorageValue[]
): SettledHold[] {
  return sql
    .exec(`SELECT ${settledHold.columns} FROM entries ${rest}`, ...values)
    .toArray()
    .map(settledHold.read);
}

/** Whether an entry ends the hold of a task. It was written after the hold, mostly soon. */
export function hasSettled(sql: SqlStorage, holdSeq: number, taskId: string): boolean {
  const found = sql.exec(
    "SELECT 1 FROM entries WHERE seq > ?1 AND hold_seq = ?1 AND task_id = ?2 LIMIT 1",
    holdSeq,
    taskId,
  );
  return found.toArray().length > 0;
}

/** The latest tasks that were charged before a time, newest first, with how much. */
export function latestCharged(sql: SqlStorage, beforeMs: number, limit: number) {
  return sql
    .exec<{ taskId: string; credits: number }>(
      `SELECT task_id AS taskId, amount AS credits FROM entries
       WHERE type = '${settleType}' AND amount > 0 AND at_ms < ? ORDER BY seq DESC LIMIT ?`,
      beforeMs,
      limit,
    )
    .toArray();
}

/** Lines of one row, newest first. */
interface Place {
  seq: number;
  lines: LedgerLine[];
}

/**
 * Reads the ledger, newest first. A row may be two lines (a charge and a release), which are never torn apart: up to twice
 * `limit` lines.
 */
export function readLedger(sql: SqlStorage, query: LedgerQuery): LedgerLine[] {
  const { beforeSeq, fromMs, toMs, taskId, limit } = query;
  const bounds = [fromMs, toMs, taskId, limit] as const;
  const entries = sql
    .exec(
      `SELECT * FROM entries WHERE seq < ?5 AND at_ms >= ?1 AND at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY seq DESC LIMIT ?4`,
      ...bounds,
      beforeSeq,
    )
    .toArray()
    .map((row) =>
      row.type === settleType ? endPlace(settlement.read(row), row) : creditPlace(creditEntry.read(row)),
    );
  // An entry below the page's last one is of the next page, and its hold stands lower still.
  const afterSeq = entries.length === limit ? (entries.at(-1)?.seq ?? 0) : 0;
  const holds = [
    ...selectOpenTasks(
      sql,
      `WHERE seq > ?5 AND seq < ?6 AND at_ms >= ?1 AND at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY seq DESC LIMIT ?4`,
      ...bounds,
      afterSeq,
      beforeSeq,
    ),
    ...selectSettledHolds(
      sql,
      `WHERE seq > ?5 AND seq <= ?7 AND type = '${settleType}' AND hold_seq < ?6
         AND hold_at_ms >= ?1 AND hold_at_ms < ?2 AND (?3 IS NULL OR task_id = ?3)
       ORDER BY hold_seq DESC LIMIT ?4`,
      ...bounds,
      afterSeq,
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
      "SELECT seq FROM entries WHERE seq >= ?1 AND oldest_open >= ?1 ORDER BY seq LIMIT 1",
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
