/** The tables of a tenant's object, as steps that are only ever added to. */
import { entriesTable, entriesView } from "./entry-tables.ts";

const steps = [
  `CREATE TABLE config (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
   CREATE TABLE keys (id TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE buckets (name TEXT PRIMARY KEY, level INTEGER NOT NULL, at_ms INTEGER NOT NULL) WITHOUT ROWID;`,
  // Counters and sums are one row a scope, since each admission moves most of them. A hold and what becomes of
  // it are never deleted: they are the ledger, and what a replay is found by.
  `DROP TABLE buckets;
   CREATE TABLE books (scope TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE holds (
     seq INTEGER PRIMARY KEY, task TEXT NOT NULL, key_id TEXT NOT NULL, token_id TEXT, at_ms INTEGER NOT NULL,
     date TEXT NOT NULL, images INTEGER NOT NULL, price INTEGER NOT NULL,
     balance INTEGER NOT NULL, held INTEGER NOT NULL,
     replay TEXT, fingerprint TEXT, answered INTEGER NOT NULL DEFAULT 0,
     settled INTEGER NOT NULL DEFAULT 0);
   CREATE INDEX holds_replay ON holds (replay) WHERE replay IS NOT NULL;
   CREATE TABLE entries (
     seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, type TEXT NOT NULL, task TEXT,
     amount INTEGER NOT NULL, released INTEGER NOT NULL DEFAULT 0, reference TEXT, note TEXT,
     balance INTEGER NOT NULL, held INTEGER NOT NULL);
   CREATE UNIQUE INDEX entries_reference ON entries (reference) WHERE reference IS NOT NULL;
   CREATE TABLE tokens (id TEXT PRIMARY KEY, images INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;`,
  // Uploads, each until its end; their sums are books like the others.
  `CREATE TABLE files (
     id TEXT PRIMARY KEY, key_id TEXT NOT NULL, token_id TEXT, bytes INTEGER NOT NULL, date TEXT NOT NULL,
     uploaded INTEGER NOT NULL, ends_ms INTEGER NOT NULL) WITHOUT ROWID;
   CREATE INDEX files_ending ON files (ends_ms);
   CREATE INDEX files_of_token ON files (token_id) WHERE token_id IS NOT NULL;`,
  // The book goes with the newest hold or entry, in the same row, and says which holds are open: `settled` is of use no
  // more. Code from before must not take a book that has stayed behind for the book, hence the table's new name.
  `ALTER TABLE holds ADD COLUMN book TEXT;
   ALTER TABLE entries ADD COLUMN book TEXT;
   UPDATE books SET body = json_set(body, '$.open', json((
     SELECT json_group_array(json_array(seq, seq)) FROM (SELECT seq FROM holds WHERE settled = 0 ORDER BY seq))))
   WHERE scope = '';
   ALTER TABLE books RENAME TO scopes;`,
  // The field's names, in columns and in the state of the tenant, which is in the newest row or in `scopes`.
  `ALTER TABLE holds RENAME COLUMN task TO task_id;
   ALTER TABLE entries RENAME COLUMN task TO task_id;
   ALTER TABLE holds RENAME COLUMN book TO state;
   ALTER TABLE entries RENAME COLUMN book TO state;
   ${["holds", "entries", "scopes"].map(renameStateFields).join("\n")}`,
  // A task that has not ended is a row of its own, which goes when it ends: the entry of that says what was held as well.
  // The state has no list of open holds any more, and is a list itself, since each entry keeps a copy.
  `CREATE TABLE open_tasks (
     seq INTEGER PRIMARY KEY, task_id TEXT NOT NULL, key_id TEXT NOT NULL, token_id TEXT, at_ms INTEGER NOT NULL,
     date TEXT NOT NULL, images INTEGER NOT NULL, price INTEGER NOT NULL,
     balance INTEGER NOT NULL, held INTEGER NOT NULL,
     replay TEXT, fingerprint TEXT, answered INTEGER NOT NULL DEFAULT 0, state TEXT);
   CREATE INDEX open_tasks_replay ON open_tasks (replay) WHERE replay IS NOT NULL;
   INSERT INTO open_tasks
     SELECT seq, task_id, key_id, token_id, at_ms, date, images, price, balance, held, replay, fingerprint, answered, NULL
     FROM holds WHERE task_id NOT IN (SELECT task_id FROM entries WHERE type = 'settle');
   DROP INDEX entries_reference;
   ALTER TABLE entries RENAME TO former_entries;
   CREATE TABLE entries (
     seq INTEGER PRIMARY KEY, type TEXT NOT NULL, at_ms INTEGER NOT NULL,
     amount INTEGER NOT NULL, released INTEGER, reference TEXT, note TEXT,
     balance INTEGER NOT NULL, held INTEGER NOT NULL,
     hold_seq INTEGER, task_id TEXT, key_id TEXT, hold_at_ms INTEGER, images INTEGER, price INTEGER,
     hold_balance INTEGER, hold_held INTEGER, replay TEXT, fingerprint TEXT, answered INTEGER,
     oldest_open INTEGER, state TEXT);
   CREATE UNIQUE INDEX entries_reference ON entries (reference) WHERE reference IS NOT NULL;
   CREATE INDEX entries_replay ON entries (replay) WHERE replay IS NOT NULL;
   INSERT INTO entries
     SELECT e.seq, e.type, e.at_ms, e.amount, e.released, e.reference, e.note, e.balance, e.held,
       h.seq, h.task_id, h.key_id, h.at_ms, h.images, h.price, h.balance, h.held, h.replay, h.fingerprint, h.answered,
       min(e.seq,
         coalesce(min(h.seq) OVER (ORDER BY e.seq ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING), e.seq),
         coalesce((SELECT min(seq) FROM open_tasks), e.seq)), NULL
     FROM former_entries AS e LEFT JOIN holds AS h ON e.type = 'settle' AND h.task_id = e.task_id;
   ${["open_tasks", "entries"].map(listNewestState).join("\n")}
   UPDATE scopes SET body = ${stateList("body")} WHERE scope = '';
   DROP TABLE holds;
   DROP TABLE former_entries;`,
  // The outbox: a task is all there from its admission on, and D1 follows.
  `ALTER TABLE open_tasks ADD COLUMN record TEXT;
   ALTER TABLE open_tasks ADD COLUMN outcome TEXT;
   ALTER TABLE open_tasks ADD COLUMN is_shown INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE open_tasks ADD COLUMN is_taken INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE early_ends (task_id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, record TEXT) WITHOUT ROWID;`,
  // What a page's visitor counts in beside its key: its token, for its life, and its network address.
  `ALTER TABLE open_tasks ADD COLUMN address TEXT;
   ALTER TABLE tokens ADD COLUMN files INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE tokens ADD COLUMN counters TEXT;`,
  // The ledger is closed: its old lines go to R2.
  `${entriesTable("older_entries", 0)}
   ${entriesView}
   CREATE TABLE ledger_parts (
     number INTEGER PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL,
     after_seq INTEGER, up_to_seq INTEGER NOT NULL, from_ms INTEGER, to_ms INTEGER, lines INTEGER,
     credited INTEGER, charged INTEGER, held INTEGER, sha256 TEXT);
   CREATE TABLE closed_credits (
     reference TEXT PRIMARY KEY, seq INTEGER NOT NULL, type TEXT NOT NULL, at_ms INTEGER NOT NULL, amount INTEGER NOT NULL,
     note TEXT, balance INTEGER NOT NULL, held INTEGER NOT NULL) WITHOUT ROWID;`,
];

/** The state as a list, of its fields by name. */
function stateList(column: string): string {
  const of = (path: string, otherwise = "0") => `coalesce(${column} ->> '$.${path}', ${otherwise})`;
  const counted = ["requests.level", "requests.atMs", "images.level", "images.atMs", "open"];
  return `json_array(${[
    ...["account.toppedUp", "account.charged", "account.held", "seq", "opened"].map((path) => of(path)),
    ...counted.map((path) => of(`counters.${path}`)),
    ...[of("counters.day.date", "''"), of("counters.day.images"), of("counters.day.refusals")],
    ...[of("counters.month.month", "''"), of("counters.month.images")],
    ...["alarmMs", "confirmedSeq", "alarmSeq", "lowBalanceNotified"].map((path) => of(path)),
  ].join(", ")})`;
}

/** Gives the newest row the state that the newest row of before had. */
function listNewestState(table: string): string {
  const rows = "(SELECT seq, state FROM holds UNION ALL SELECT seq, state FROM former_entries)";
  return `UPDATE ${table} SET state = (
      SELECT ${stateList("state")} FROM ${rows} WHERE state IS NOT NULL ORDER BY seq DESC LIMIT 1)
    WHERE seq = (SELECT max(seq) FROM ${rows}) AND EXISTS (SELECT 1 FROM ${rows} AS r WHERE r.seq = ${table}.seq AND r.state IS NOT NULL);`;
}

function renameStateFields(table: string): string {
  const [column, where] =
    table === "scopes"
      ? ["body", "scope = ''"]
      : ["state", `seq = (SELECT max(seq) FROM ${table}) AND state IS NOT NULL`];
  return `UPDATE ${table} SET ${column} = json_remove(json_set(${column},
      '$.counters', json_extract(${column}, '$.meters'),
      '$.lowBalanceNotified', json(iif(json_extract(${column}, '$.lowTold'), 'true', 'false'))), '$.meters', '$.lowTold')
    WHERE ${where};`;
}

/** Brings the object's tables up to date; each step runs once. */
export function migrate(storage: DurableObjectStorage): void {
  const { sql } = storage;
  storage.transactionSync(() => {
    sql.exec("CREATE TABLE IF NOT EXISTS steps (done INTEGER NOT NULL)");
    const done = Number(sql.exec("SELECT coalesce(max(done), 0) AS done FROM steps").one().done);
    for (const [index, step] of steps.entries()) {
      if (index < done) continue;
      sql.exec(step);
      sql.exec("INSERT INTO steps (done) VALUES (?)", index + 1);
    }
  });
}
