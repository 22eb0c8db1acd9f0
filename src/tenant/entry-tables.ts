/** The two tables of a ledger's entries, and the view by which they are read as one. */

const columns = `seq INTEGER PRIMARY KEY, type TEXT NOT NULL, at_ms INTEGER NOT NULL,
  amount INTEGER NOT NULL, released INTEGER, reference TEXT, note TEXT,
  balance INTEGER NOT NULL, held INTEGER NOT NULL,
  hold_seq INTEGER, task_id TEXT, key_id TEXT, hold_at_ms INTEGER, images INTEGER, price INTEGER,
  hold_balance INTEGER, hold_held INTEGER, replay TEXT, fingerprint TEXT, answered INTEGER,
  oldest_open INTEGER, state TEXT`;

/** SQL. @param seq Distinguishes the indexes from those of the other table, which keep their names when that is renamed. */
export const entriesTable = (table: "entries" | "older_entries", seq: number): string =>
  `CREATE TABLE ${table} (${columns});
   CREATE UNIQUE INDEX entries_reference_${seq} ON ${table} (reference) WHERE reference IS NOT NULL;
   CREATE INDEX entries_replay_${seq} ON ${table} (replay) WHERE replay IS NOT NULL;`;

export const entriesView =
  "CREATE VIEW ledger_entries AS SELECT * FROM older_entries UNION ALL SELECT * FROM entries;";

export function createEntries(sql: SqlStorage, table: "entries" | "older_entries", seq: number): void {
  sql.exec(entriesTable(table, seq));
}

export function viewEntries(sql: SqlStorage): void {
  sql.exec(entriesView);
}

/** A table is renamed or dropped without it. */
export function dropView(sql: SqlStorage): void {
  sql.exec("DROP VIEW ledger_entries");
}
