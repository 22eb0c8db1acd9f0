/**
 * Pieces of work between the tick that hands them over and the consumer that does them. A message may come twice, late
 * or never, so it only names a row: the row says whether there is anything left to do.
 */

export interface Piece {
  name: string;
  /** Ids of the tasks to be looked at. */
  tasks: string[];
}

/** A piece that is the caller's until `untilMs`. */
export interface ClaimedPiece extends Piece {
  untilMs: number;
}

/** Writes down those that nobody has yet, and sweeps what was lost. @returns the names of those written. */
export async function insertPieces(
  db: D1Database,
  pieces: Piece[],
  nowMs: number,
  untilMs: number,
): Promise<Set<string>> {
  const [, inserted] = await db.batch<{ name: string }>([
    db.prepare("DELETE FROM pieces WHERE until_ms <= ?1").bind(nowMs),
    db
      .prepare(
        `INSERT OR IGNORE INTO pieces (name, tasks, until_ms)
         SELECT value ->> 'name', value -> 'tasks', ?2 FROM json_each(?1) RETURNING name`,
      )
      .bind(JSON.stringify(pieces), untilMs),
  ]);
  return new Set(inserted?.results.map(({ name }) => name));
}

/** Takes a piece, once: undefined when it is done, being done or lost. */
export async function claimPiece(
  db: D1Database,
  name: string,
  nowMs: number,
  untilMs: number,
): Promise<ClaimedPiece | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE pieces SET claimed = 1, until_ms = ?3
       WHERE name = ?1 AND claimed = 0 AND until_ms > ?2 RETURNING tasks`,
    )
    .bind(name, nowMs, untilMs)
    .all<{ tasks: string }>();
  const [row] = results;
  return row && { name, tasks: JSON.parse(row.tasks) as string[], untilMs };
}

/** Removes a piece, if it is still the one that was claimed: a place may be somebody else's by now. */
export async function endPiece(db: D1Database, { name, untilMs }: ClaimedPiece): Promise<void> {
  await db
    .prepare("DELETE FROM pieces WHERE name = ?1 AND until_ms = ?2 AND claimed = 1")
    .bind(name, untilMs)
    .run();
}

/** Takes back what no consumer has begun. @returns the names of those taken back. */
export async function withdrawPieces(db: D1Database, names: string[]): Promise<Set<string>> {
  const { results } = await db
    .prepare(
      "DELETE FROM pieces WHERE name IN (SELECT value FROM json_each(?1)) AND claimed = 0 RETURNING name",
    )
    .bind(JSON.stringify(names))
    .all<{ name: string }>();
  return new Set(results.map(({ name }) => name));
}
