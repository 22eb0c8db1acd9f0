/** Claims of work that is not one task: the tick, and the pause that the upstream's account asked for. */

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
