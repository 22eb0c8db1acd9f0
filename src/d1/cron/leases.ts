/** Claims of work that is not one task: the tick, and the pause that the upstream's account asked for. And whether D1 was restored. */

/** SQL: until when the upstream's account is to be left alone. A lease whose row is lost is free, and made again where it is taken. */
export const coolDownUntil = "coalesce((SELECT until_ms FROM leases WHERE name = 'cool_down'), 0)";

/** Takes the tick until `untilMs`, if no other invocation holds it. */
export async function takeTick(db: D1Database, nowMs: number, untilMs: number): Promise<boolean> {
  const { meta } = await db
    .prepare(
      `INSERT INTO leases (name, until_ms) VALUES ('tick', ?2)
       ON CONFLICT (name) DO UPDATE SET until_ms = ?2 WHERE until_ms <= ?1`,
    )
    .bind(nowMs, untilMs)
    .run();
  return meta.changes > 0;
}

/** Gives the tick back, if it is still the one that was taken until `untilMs`. */
export async function releaseTick(db: D1Database, nowMs: number, untilMs: number): Promise<void> {
  await db
    .prepare("UPDATE leases SET until_ms = ?1 WHERE name = 'tick' AND until_ms = ?2")
    .bind(nowMs, untilMs)
    .run();
}

/** Makes every sender and looker wait until `untilMs`; a shorter pause never cuts a longer one. */
export async function coolDown(db: D1Database, untilMs: number): Promise<void> {
  await db
    .prepare(
      `INSERT INTO leases (name, until_ms) VALUES ('cool_down', ?1)
       ON CONFLICT (name) DO UPDATE SET until_ms = max(until_ms, ?1)`,
    )
    .bind(untilMs)
    .run();
}

/** A tick comes later than this after the one before where cron was out, or D1 has gone back. */
const lateMs = 90_000;
/** For so long it is followed up: tasks that D1 has as running end meanwhile. */
const followsMs = 180 * 60_000;
const seenMs = "(SELECT until_ms FROM leases WHERE name = 'seen')";

/** The statement that notes that cron is here; it changes nothing where the note is older than it can be. */
export function noteCron(db: D1Database, nowMs: number): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO leases (name, until_ms) VALUES ('seen', ?1)
       ON CONFLICT (name) DO UPDATE SET until_ms = ?1 WHERE until_ms > ?1 - ${lateMs}`,
    )
    .bind(nowMs);
}

/** Has the note stay as old as it is, for a while. @returns the time to which D1 was restored; 0: before the first note. */
export async function readRestoredTo(db: D1Database, nowMs: number): Promise<number> {
  const [, seen] = await db.batch<{ ms: number }>([
    db
      .prepare(
        `INSERT INTO leases (name, until_ms) VALUES ('restored', ?1)
         ON CONFLICT (name) DO UPDATE SET until_ms = ?1 WHERE until_ms <= coalesce(${seenMs}, 0)`,
      )
      .bind(nowMs + followsMs),
    db.prepare(`SELECT coalesce(${seenMs}, 0) AS ms`),
    db
      .prepare(
        `INSERT INTO leases (name, until_ms) SELECT 'seen', ?1 FROM leases WHERE name = 'restored' AND until_ms <= ?1
         ON CONFLICT (name) DO UPDATE SET until_ms = ?1`,
      )
      .bind(nowMs),
  ]);
  return seen?.results[0]?.ms ?? 0;
}
