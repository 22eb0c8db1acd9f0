/**
 * Erasing in turns: the codec and the statements of `erasure_turns`. Erasers side by side:
 *
 *   eraser A                               eraser B
 *   1. takes a turn: its lease is `due_ms`
 *                                          2. takes another one, the next in order
 *   3. puts it back behind all others      4. may take A's: A still erases what it has redacted, B redacts the next tasks
 *   (dies, or fails)                       the lease runs out, and then it is taken again
 *
 *   eraser                                 caller
 *   1. takes a turn
 *                                          2. asks again, or changes the tenant's retention
 *   3. ends a person's: only where its lease and what was asked are as it took them; else it goes on. A tenant's ends by
 *      itself, with its retention (a trigger), or for good, when it is deleted
 */
import { orNull, readable, rowCodec, type SkipUnreadable, text, whole } from "../../domain/stored.ts";
import { retentionDays } from "../tenants/tenant-row.ts";

const dayMs = 86_400_000;

/** All of a person's tasks, made up to a time. */
export interface Erasure {
  tenantId: string;
  endUser: string;
  atMs: number;
}

/** A turn that is the caller's until `leaseUntilMs`. */
export interface ErasureTurn extends Erasure {
  /** Empty: the tenant itself. */
  endUser: string;
  leaseUntilMs: number;
  cursor: string;
}

/** Of the turn's tenant: what of it is to go. */
export interface TurnOwner {
  retentionDays: number | null;
  deletedMs: number | null;
}

const turn = rowCodec<ErasureTurn>(
  "erasure_turns",
  {
    tenantId: ["tenant_id", text],
    endUser: ["end_user", text],
    atMs: ["at_ms", whole],
    leaseUntilMs: ["due_ms", whole],
    cursor: ["cursor", text],
  },
  "tenant_id",
);
const ofTenant = (column: string) => `(SELECT ${column} FROM tenants WHERE id = erasure_turns.tenant_id)`;
const owner = rowCodec<TurnOwner>(
  "tenants",
  {
    retentionDays: ["retention_days", orNull(retentionDays), ofTenant("retention_days")],
    deletedMs: ["deleted_ms", orNull(whole), ofTenant("deleted_ms")],
  },
  "tenant_id",
);

/** Writes down that a person's tasks are to be erased, those that still run included. */
export async function insertErasure(db: D1Database, { tenantId, endUser, atMs }: Erasure): Promise<void> {
  await db
    .prepare(
      `INSERT INTO erasure_turns (tenant_id, end_user, at_ms, since_ms, due_ms) VALUES (?1, ?2, ?3, ?3, ?3)
       ON CONFLICT (tenant_id, end_user) DO UPDATE SET at_ms = max(at_ms, ?3)`,
    )
    .bind(tenantId, endUser, atMs)
    .run();
}

/**
 * Takes the turn that has waited longest, or a person's, where it is due.
 * @param skip Takes note of one that cannot be read: it comes again when the lease has run out, as one that fails does.
 * @returns undefined when none is due, and no turn where it cannot be read.
 */
export async function takeTurn(
  db: D1Database,
  nowMs: number,
  leaseUntilMs: number,
  skip: SkipUnreadable,
  of: Omit<Erasure, "atMs"> | null = null,
): Promise<{ turn: (ErasureTurn & TurnOwner) | undefined } | undefined> {
  const { results } = await db
    .prepare(
      `UPDATE erasure_turns SET due_ms = ?2, since_ms = coalesce(since_ms, ?1)
       WHERE (tenant_id, end_user) IN (
         SELECT tenant_id, end_user FROM erasure_turns
         WHERE due_ms <= ?1 ${of ? "AND tenant_id = ?3 AND end_user = ?4" : ""} ORDER BY due_ms LIMIT 1)
       RETURNING ${turn.columns}, ${owner.columns}`,
    )
    .bind(nowMs, leaseUntilMs, ...(of ? [of.tenantId, of.endUser] : []))
    .all();
  if (results.length === 0) return undefined;
  const [read] = readable(results, (row) => ({ ...turn.read(row), ...owner.read(row) }), skip);
  return { turn: read };
}

const isMine = "tenant_id = ?1 AND end_user = ?2 AND due_ms = ?3";
const keyOf = ({ tenantId, endUser, leaseUntilMs }: ErasureTurn) =>
  [tenantId, endUser, leaseUntilMs] as const;

/** Puts a turn behind all others: more of it is to be erased. */
export async function putBehind(
  db: D1Database,
  one: ErasureTurn,
  nowMs: number,
  cursor: string,
): Promise<void> {
  await db
    .prepare(`UPDATE erasure_turns SET due_ms = ?4, cursor = ?5 WHERE ${isMine}`)
    .bind(...keyOf(one), nowMs, cursor)
    .run();
}

/** The statement that has a turn wait, with nothing to erase until then; at once where more was asked meanwhile. */
export function waitUntil(db: D1Database, one: ErasureTurn, untilMs: number): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE erasure_turns SET due_ms = iif(at_ms = ?4, ?5, at_ms), since_ms = iif(at_ms = ?4, ?5, at_ms)
       WHERE ${isMine}`,
    )
    .bind(...keyOf(one), one.atMs, untilMs);
}

/** Ends a person's turn of which nothing is left; it waits until `againMs` where a task that it means still runs. */
export async function endTurn(db: D1Database, one: ErasureTurn, againMs: number): Promise<void> {
  await db.batch([
    db
      .prepare(
        `DELETE FROM erasure_turns WHERE ${isMine} AND at_ms = ?4 AND NOT EXISTS (
           SELECT 1 FROM tasks INDEXED BY tasks_of_end_user
           WHERE tenant_id = ?1 AND end_user = ?2 AND open = 1 AND created_ms <= ?4)`,
      )
      .bind(...keyOf(one), one.atMs),
    waitUntil(db, one, againMs),
  ]);
}

/**
 * Has a tenant's retention wait until the next of its tasks is old enough.
 * @param earliestMs No earlier than that: an hour's tasks go together.
 * @param cursor Nothing up to there is left, and nothing there still runs.
 */
export async function waitForNext(
  db: D1Database,
  one: ErasureTurn,
  next: { nowMs: number; daysMs: number; earliestMs: number; cursor: string },
): Promise<void> {
  // The archive is gone through day by day.
  const nextDay = `(SELECT ?7 + ${dayMs} FROM task_parts INDEXED BY task_parts_with_text
    WHERE tenant_id = ?1 AND oldest_text_id IS NOT NULL LIMIT 1)`;
  const nextTask = `?6 + coalesce((SELECT created_ms FROM tasks INDEXED BY tasks_of_tenant
    WHERE tenant_id = ?1 AND id > ?4 AND erasure = 'none' ORDER BY id LIMIT 1), ?7)`;
  const nextMs = `max(?5, min(${nextTask}, coalesce(${nextDay}, ${nextTask})))`;
  await db
    .prepare(
      `UPDATE erasure_turns SET cursor = ?4, (due_ms, since_ms) = (SELECT at, at FROM (SELECT ${nextMs} AS at)) WHERE ${isMine}`,
    )
    .bind(...keyOf(one), next.cursor, next.earliestMs, next.daysMs, next.nowMs)
    .run();
}

/**
 * Ends the turn of a deleted tenant of which nothing is left but its tombstone, its ledger and its audit entries; `againMs`:
 * while a picture or file is still to go, it is taken again then.
 */
export async function endTenant(
  db: D1Database,
  one: ErasureTurn,
  nowMs: number,
  againMs: number,
): Promise<void> {
  const { results } = await db
    .prepare(
      `SELECT 1 FROM tasks INDEXED BY tasks_erasing WHERE erasure = 'pending' AND tenant_id = ?1
       UNION ALL SELECT 1 FROM files INDEXED BY files_erasing WHERE erasure = 'pending' AND tenant_id = ?1`,
    )
    .bind(one.tenantId)
    .all();
  if (results.length > 0) return void (await waitUntil(db, one, againMs).run());
  // Its object admits nothing any more, so nothing comes after this.
  await db.batch([
    ...["keys", "endpoints", "gone_urls", "erasure_turns"].map((table) =>
      db.prepare(`DELETE FROM ${table} WHERE tenant_id = ?1`).bind(one.tenantId),
    ),
    db
      .prepare(
        `UPDATE tenants SET erased_ms = ?2, webhook_secret = '', webhook_secrets_before = '[]'
         WHERE id = ?1 AND deleted_ms IS NOT NULL`,
      )
      .bind(one.tenantId, nowMs),
  ]);
}

/** Age of what has been to erase for longest, and is not erased; 0 when nothing is. Milliseconds. */
export async function oldestErasureMs(db: D1Database, nowMs: number): Promise<number> {
  const { results } = await db
    .prepare(
      `SELECT min(since) AS since FROM (
         SELECT min(since_ms) AS since FROM erasure_turns INDEXED BY erasure_turns_since WHERE since_ms IS NOT NULL
         UNION ALL SELECT min(due_ms) FROM tasks INDEXED BY tasks_erasing WHERE erasure = 'pending')`,
    )
    .all<{ since: number | null }>();
  return Math.max(0, nowMs - (results[0]?.since ?? nowMs));
}
