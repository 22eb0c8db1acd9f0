/** Claims of work that is not one task: the tick, and the pause that the upstream's account asked for. */

/** Takes the tick until `untilMs`, if no other invocation holds it. */
export async function takeTick(db: D1Database, nowMs: number, untilMs: number): Promise<boolean> {
  const { meta } = await db
    .prepare("UPDATE leases SET until_ms = ?2 WHERE name = 'tick' AND until_ms <= ?1")
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
    .prepare("UPDATE leases SET until_ms = max(until_ms, ?1) WHERE name = 'cool_down'")
    .bind(untilMs)
    .run();
}
