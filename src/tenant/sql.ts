/**
 * The tables of a tenant's object, as steps that are only ever added to, and what it keeps of its tenant. All of
 * it is synchronous: what runs between two awaits is one transaction.
 */
import { type Account, emptyAccount } from "../domain/account.ts";
import { emptyMeters, type Meters } from "../domain/admission.ts";
import type { StoredKey } from "../domain/keys.ts";
import type { TenantConfig } from "../domain/tenant.ts";
import type { OpenHolds } from "./open-holds.ts";

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
];

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

export type Settings = Omit<TenantConfig, "keys">;

export function readSettings(sql: SqlStorage): Settings | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM config").toArray();
  return row && (JSON.parse(row.body) as Settings);
}

/** Whether the object has a copy of its tenant. */
export function hasSettings(sql: SqlStorage): boolean {
  return sql.exec("SELECT 1 FROM config").toArray().length > 0;
}

/** Replaces the object's copy of the tenant. */
export function writeConfig(sql: SqlStorage, { keys, ...settings }: TenantConfig): void {
  sql.exec("INSERT OR REPLACE INTO config (one, body) VALUES (1, ?)", JSON.stringify(settings));
  sql.exec("DELETE FROM keys");
  for (const key of keys) sql.exec("INSERT INTO keys (id, body) VALUES (?, ?)", key.id, JSON.stringify(key));
}

/** What the object keeps of its tenant as a whole. */
export interface Book {
  meters: Meters;
  account: Account;
  /** The number of the latest hold or entry. */
  seq: number;
  /** Whether the opening balance is in the account. */
  opened: boolean;
  /** When the alarm is due, by the Workers' clock; null: none is set. */
  alarmMs: number | null;
  /** Holds up to here have a row in D1, or were released for want of one. */
  confirmedSeq: number;
  /** Up to here the alarm will look. */
  alarmSeq: number;
  /** Holds that have not ended. */
  open: OpenHolds;
  /** That the balance is low has been told. Absent: never. */
  lowTold?: boolean;
}

const newBook: Book = {
  meters: emptyMeters,
  account: emptyAccount,
  seq: 0,
  opened: false,
  alarmMs: null,
  confirmedSeq: 0,
  alarmSeq: 0,
  open: [],
};

/** The book is in the newest hold or entry; of a tenant that has none, or none since books are there, by itself. */
const newestBook = `coalesce(
  (SELECT book FROM (SELECT * FROM (SELECT seq, book FROM holds ORDER BY seq DESC LIMIT 1)
     UNION ALL SELECT * FROM (SELECT seq, book FROM entries ORDER BY seq DESC LIMIT 1))
   ORDER BY seq DESC LIMIT 1),
  (SELECT body FROM scopes WHERE scope = ''))`;

export function readBook(sql: SqlStorage): Book {
  return bookFrom(sql.exec<{ book: string | null }>(`SELECT ${newestBook} AS book`).one().book);
}

function bookFrom(text: string | null): Book {
  return text === null ? newBook : (JSON.parse(text) as Book);
}

/** What every decision on a request of a key begins with. One statement: most of a small read is the call. */
export function readGround(sql: SqlStorage, keyId: string) {
  const { config, key, book } = sql
    .exec<Record<"config" | "key" | "book", string | null>>(
      `SELECT (SELECT body FROM config) AS config, (SELECT body FROM keys WHERE id = ?) AS key, ${newestBook} AS book`,
      keyId,
    )
    .one();
  return {
    settings: config === null ? undefined : (JSON.parse(config) as Settings),
    key: key === null ? undefined : (JSON.parse(key) as StoredKey),
    book: bookFrom(book),
  };
}

/** Writes a book that no new hold or entry goes with; those carry theirs. */
export function writeBook(sql: SqlStorage, book: Book): void {
  const body = JSON.stringify(book);
  const isIn = (table: "holds" | "entries") =>
    sql.exec(`UPDATE ${table} SET book = ? WHERE seq = ?`, body, book.seq).rowsWritten > 0;
  if (!isIn("holds") && !isIn("entries")) writeScope(sql, "", book);
}

/** What a key with limits of its own has used. */
export function readKeyMeters(sql: SqlStorage, keyId: string): Meters | undefined {
  return readScope<Meters>(sql, keyId);
}

export function writeKeyMeters(sql: SqlStorage, keyId: string, meters: Meters): void {
  writeScope(sql, keyId, meters);
}

export function readScope<T>(sql: SqlStorage, scope: string): T | undefined {
  const [row] = sql.exec<{ body: string }>("SELECT body FROM scopes WHERE scope = ?", scope).toArray();
  return row && (JSON.parse(row.body) as T);
}

export function writeScope(sql: SqlStorage, scope: string, body: object): void {
  sql.exec("INSERT OR REPLACE INTO scopes (scope, body) VALUES (?, ?)", scope, JSON.stringify(body));
}

/** Images that a client token has used. */
export function readTokenImages(sql: SqlStorage, id: string): number {
  const [row] = sql.exec<{ images: number }>("SELECT images FROM tokens WHERE id = ?", id).toArray();
  return row?.images ?? 0;
}

/** Adds to what a token has used. Tokens that have expired a day ago are forgotten on the way. */
export function addTokenImages(
  sql: SqlStorage,
  token: { id: string; expiresMs: number },
  images: number,
  nowMs: number,
): void {
  sql.exec("DELETE FROM tokens WHERE expires_ms < ?", nowMs - 86_400_000);
  sql.exec(
    `INSERT INTO tokens (id, images, expires_ms) VALUES (?1, ?2, ?3)
     ON CONFLICT (id) DO UPDATE SET images = images + ?2`,
    token.id,
    images,
    token.expiresMs,
  );
}

/** Gives images back to a token that is still known. */
export function returnTokenImages(sql: SqlStorage, id: string, images: number): void {
  sql.exec("UPDATE tokens SET images = max(0, images - ?) WHERE id = ?", images, id);
}
