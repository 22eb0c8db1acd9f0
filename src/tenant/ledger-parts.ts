/** What a tenant's object keeps of its ledger's closed parts, and the codec of `ledger_parts`. Their lines are in R2. */
import { beforeFirstPart, type LedgerPart, type PartBefore } from "../domain/ledger-part.ts";
import { rowCodec, text, whole } from "../domain/stored.ts";

const ledgerPart = rowCodec<LedgerPart>(
  "ledger_parts",
  {
    number: ["number", whole],
    key: ["key", text],
    afterSeq: ["after_seq", whole],
    upToSeq: ["up_to_seq", whole],
    fromMs: ["from_ms", whole],
    toMs: ["to_ms", whole],
    lines: ["lines", whole],
    credited: ["credited", whole],
    charged: ["charged", whole],
    held: ["held", whole],
    sha256: ["sha256", text],
  },
  "number",
);

const newestOf = (sql: SqlStorage, states: string): LedgerPart | undefined => {
  const [row] = sql
    .exec(
      `SELECT ${ledgerPart.columns} FROM ledger_parts WHERE state IN (${states}) ORDER BY number DESC LIMIT 1`,
    )
    .toArray();
  return row && ledgerPart.read(row);
};

/** The newest part that is in R2, whether or not the object still has its lines too. */
export const newestWritten = (sql: SqlStorage): PartBefore =>
  newestOf(sql, "'written', 'closed'") ?? beforeFirstPart;

/** The newest part whose lines the object has no more: a checkpoint. */
export const newestClosed = (sql: SqlStorage): PartBefore => newestOf(sql, "'closed'") ?? beforeFirstPart;

/** The number up to which the ledger's lines are in R2 alone. */
export function closedSeq(sql: SqlStorage): number {
  return newestClosed(sql).upToSeq;
}

export interface PartsQuery {
  /** Of lines: inclusive, unix milliseconds; `toMs`: exclusive. */
  fromMs: number;
  toMs: number;
  /** Only parts with lines before this number, and after another. */
  beforeSeq: number;
  afterSeq?: number;
  isOldestFirst?: boolean;
  limit: number;
}

/** Closed parts that may have lines of a period, newest first unless asked for the oldest. */
export function closedParts(
  sql: SqlStorage,
  { fromMs, toMs, beforeSeq, afterSeq = 0, isOldestFirst = false, limit }: PartsQuery,
): LedgerPart[] {
  return sql
    .exec(
      `SELECT ${ledgerPart.columns} FROM ledger_parts
       WHERE state = 'closed' AND after_seq + 1 < ?1 AND after_seq >= ?2 AND to_ms >= ?3 AND from_ms < ?4
       ORDER BY number ${isOldestFirst ? "ASC" : "DESC"} LIMIT ?5`,
      ...[beforeSeq, afterSeq, fromMs, toMs, limit],
    )
    .toArray()
    .map(ledgerPart.read);
}

/** A part that is to be written: how far it goes, and where. */
export type PlannedPart = Pick<LedgerPart, "number" | "key" | "upToSeq">;

const plannedPart = rowCodec<PlannedPart>(
  "ledger_parts",
  { number: ["number", whole], key: ["key", text], upToSeq: ["up_to_seq", whole] },
  "number",
);

export function findPlanned(sql: SqlStorage): PlannedPart | undefined {
  const [row] = sql.exec(`SELECT ${plannedPart.columns} FROM ledger_parts WHERE state = 'planned'`).toArray();
  return row && plannedPart.read(row);
}

export function insertPlanned(sql: SqlStorage, { number, key, upToSeq }: PlannedPart): void {
  sql.exec(
    "INSERT INTO ledger_parts (number, key, up_to_seq, state) VALUES (?, ?, ?, 'planned')",
    ...[number, key, upToSeq],
  );
}

/** Notes that a part is in R2. @returns false when that is noted already. */
export function markWritten(sql: SqlStorage, part: LedgerPart): boolean {
  const { number, afterSeq, fromMs, toMs, lines, credited, charged, held, sha256 } = part;
  return (
    sql.exec(
      `UPDATE ledger_parts SET state = 'written', after_seq = ?2, from_ms = ?3, to_ms = ?4, lines = ?5, credited = ?6,
         charged = ?7, held = ?8, sha256 = ?9
       WHERE number = ?1 AND state = 'planned'`,
      ...[number, afterSeq, fromMs, toMs, lines, credited, charged, held, sha256],
    ).rowsWritten > 0
  );
}

/** Notes that the object has the lines of what was written no more. */
export function markClosed(sql: SqlStorage): void {
  sql.exec("UPDATE ledger_parts SET state = 'closed' WHERE state = 'written'");
}
