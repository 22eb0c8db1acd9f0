/** The table `tokens`, and its codec: what each client token has used, from its first use to a day after its end. */
import { afterTask, type Ended, lifelongCounters, type UsageCounters } from "../domain/admission.ts";
import { json, orNull, rowCodec, StoredDataUnreadable, text, whole } from "../domain/stored.ts";
import { usageCounters } from "../domain/stored-counters.ts";

export interface TokenUse {
  images: number;
  /** Uploads, also those that came to nothing or were deleted. */
  files: number;
  counters: UsageCounters;
}

const unused: TokenUse = { images: 0, files: 0, counters: lifelongCounters };

const used = rowCodec<{ id: string } & Omit<TokenUse, "counters"> & { counters: UsageCounters | null }>(
  "tokens",
  {
    id: ["id", text],
    images: ["images", whole],
    files: ["files", whole],
    counters: ["counters", orNull(json(usageCounters))],
  },
);

function findToken(sql: SqlStorage, id: string): TokenUse | undefined {
  const [row] = sql.exec(`SELECT ${used.columns} FROM tokens WHERE id = ?`, id).toArray();
  if (!row) return undefined;
  const { images, files, counters } = used.read(row);
  return { images, files, counters: counters ?? lifelongCounters };
}

/** What a client token has used. @throws StoredDataUnreadable */
export function readToken(sql: SqlStorage, id: string): TokenUse {
  return findToken(sql, id) ?? unused;
}

/** Drops tokens that have expired a day ago. */
export function dropOldTokens(sql: SqlStorage, nowMs: number): void {
  sql.exec("DELETE FROM tokens WHERE expires_ms < ?", nowMs - 86_400_000);
}

/** Old tokens are dropped on the way. */
export function writeToken(
  sql: SqlStorage,
  { id, expiresMs }: { id: string; expiresMs: number },
  { images, files, counters }: TokenUse,
  nowMs: number,
): void {
  dropOldTokens(sql, nowMs);
  sql.exec(
    "INSERT OR REPLACE INTO tokens (id, images, files, counters, expires_ms) VALUES (?, ?, ?, ?, ?)",
    ...[id, images, files, JSON.stringify(counters), expiresMs],
  );
}

/** Gives a token one of its uploads back, whose request came to nothing. */
export function returnTokenFile(sql: SqlStorage, id: string): void {
  sql.exec(
    "UPDATE tokens SET files = files - 1 WHERE id = ? AND typeof(files) = 'integer' AND files > 0",
    id,
  );
}

/** Takes an ended task out of what a token has used, if that is still there and can be read. */
export function endTokenTask(sql: SqlStorage, id: string, ended: Ended, nowMs: number): void {
  try {
    const use = findToken(sql, id);
    if (!use) return;
    sql.exec(
      "UPDATE tokens SET images = ?, counters = ? WHERE id = ?",
      Math.max(0, use.images - ended.unmade),
      JSON.stringify(afterTask(use.counters, { ...ended, date: lifelongCounters.day.date }, nowMs)),
      id,
    );
  } catch (error) {
    // Its task ends all the same.
    if (!(error instanceof StoredDataUnreadable)) throw error;
  }
}
