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
import { idTimeMs } from "../../domain/ids.ts";
import {
  type Decode,
  orNull,
  readable,
  rowCodec,
  type SkipUnreadable,
  text,
  whole,
} from "../../domain/stored.ts";
import { retentionDays } from "../tenants/tenant-row.ts";

/** All of a person's tasks, made up to a time. */
export interface Erasure {
  tenantId: string;
  endUser: string;
  atMs: number;
}

/** Where a turn goes on: in D1, or in the archive, which comes once nothing is left in D1. */
export type Position =
  /** `afterId`: nothing up to there is left. `isLast`: nothing is left in the archive, and nothing comes there any more. */
  | { in: "database"; afterId: string; isLast: boolean }
  /** `afterId`: parts up to there have been seen. `hasFailed`: some of them failed. */
  | { in: "archive"; afterId: string; hasFailed: boolean };

/** A turn that is the caller's until `leaseUntilMs`. */
export interface ErasureTurn extends Erasure {
  /** Empty: the tenant itself. */
  endUser: string;
  leaseUntilMs: number;
  at: Position;
}

const archiveWords = { went: "archive", failed: "archive!", last: "archived" } as const;

/** A task's id stands for D1. A version that knows no other positions takes these for the beginning. */
const position: Decode<Position> = (value) => {
  const [word, afterId = ""] = text(value).split(":");
  if (word === archiveWords.last) return { in: "database", afterId: "", isLast: true };
  if (word === archiveWords.went || word === archiveWords.failed)
    return { in: "archive", afterId, hasFailed: word === archiveWords.failed };
  return { in: "database", afterId: word ?? "", isLast: false };
};

function positionText(at: Position): string {
  if (at.in === "archive") return `${at.hasFailed ? archiveWords.failed : archiveWords.went}:${at.afterId}`;
  return at.isLast ? archiveWords.last : at.afterId;
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
    at: ["cursor", position],
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
       ON CONFLICT (tenant_id, end_user) DO UPDATE SET at_ms = max(at_ms, ?3), cursor = ''`,
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
  at: Position,
): Promise<void> {
  await db
    .prepare(`UPDATE erasure_turns SET due_ms = ?4, cursor = ?5 WHERE ${isMine}`)
    .bind(...keyOf(one), nowMs, positionText(at))
    .run();
}

/** The statement that has a turn wait, with nothing to erase until then; at once, and anew, where more was asked meanwhile. */
export function waitUntil(
  db: D1Database,
  one: ErasureTurn,
  untilMs: number,
  at: Position,
): D1PreparedStatement {
  return db
    .prepare(
      `UPDATE erasure_turns SET due_ms = iif(at_ms = ?4, ?5, at_ms), since_ms = iif(at_ms = ?4, ?5, at_ms),
         cursor = iif(at_ms = ?4, ?6, '') WHERE ${isMine}`,
    )
    .bind(...keyOf(one), one.atMs, untilMs, positionText(at));
}

/** The statement that has a turn begin anew at a time: some of what it should erase failed. */
export function beginAgain(db: D1Database, one: ErasureTurn, atMs: number): D1PreparedStatement {
  return db
    .prepare(`UPDATE erasure_turns SET due_ms = ?4, cursor = '' WHERE ${isMine}`)
    .bind(...keyOf(one), atMs);
}

/**
 * Ends a person's turn of which nothing is left in the archive; it waits until `againMs` where a task that it means is in D1
 * with its text: it runs, has just ended, or came back from the archive.
 */
export async function endTurn(db: D1Database, one: ErasureTurn, againMs: number): Promise<void> {
  await db.batch([
    db
      .prepare(
        `DELETE FROM erasure_turns WHERE ${isMine} AND at_ms = ?4 AND NOT EXISTS (
           SELECT 1 FROM tasks INDEXED BY tasks_of_end_user
           WHERE tenant_id = ?1 AND end_user = ?2 AND erasure = 'none' AND created_ms <= ?4)`,
      )
      .bind(...keyOf(one), one.atMs),
    waitUntil(db, one, againMs, { in: "database", afterId: "", isLast: true }),
  ]);
}

/**
 * Has a tenant's retention wait until the next of its tasks is old enough.
 * @param earliestMs No earlier than that: an hour's tasks go together.
 * @param afterId Nothing up to there is left in D1, and nothing there still runs.
 */
export async function waitForNext(
  db: D1Database,
  one: ErasureTurn,
  next: { nowMs: number; daysMs: number; earliestMs: number; afterId: string },
): Promise<void> {
  const [task, part] = await db.batch<{ next: string | number }>([
    db
      .prepare(
        `SELECT created_ms AS next FROM tasks INDEXED BY tasks_of_tenant
         WHERE tenant_id = ?1 AND id > ?2 AND erasure = 'none' ORDER BY id LIMIT 1`,
      )
      .bind(one.tenantId, next.afterId),
    db
      .prepare(
        `SELECT oldest_text_id AS next FROM task_parts INDEXED BY task_parts_with_text
         WHERE tenant_id = ?1 AND oldest_text_id IS NOT NULL ORDER BY oldest_text_id LIMIT 1`,
      )
      .bind(one.tenantId),
  ]);
  const taskMs = Number(task?.results[0]?.next ?? next.nowMs);
  const partMs = idTimeMs("task", String(part?.results[0]?.next)) ?? next.nowMs;
  const dueMs = Math.max(next.earliestMs, Math.min(taskMs, partMs) + next.daysMs);
  await db
    .prepare(`UPDATE erasure_turns SET cursor = ?4, due_ms = ?5, since_ms = ?5 WHERE ${isMine}`)
    .bind(...keyOf(one), next.afterId, dueMs)
    .run();
}

/**
 * Ends the turn of a deleted tenant of which nothing is left but its tombstone, its ledger and its audit entries; `againMs`:
 * while a picture, a file or a text is still to go, it is taken again then.
 */
export async function endTenant(
  db: D1Database,
  one: ErasureTurn,
  nowMs: number,
  againMs: number,
): Promise<void> {
  const { results } = await db
    .prepare(
      `SELECT 0 AS is_text FROM tasks INDEXED BY tasks_erasing WHERE erasure = 'pending' AND tenant_id = ?1
       UNION SELECT 0 FROM files INDEXED BY files_erasing WHERE erasure = 'pending' AND tenant_id = ?1
       UNION SELECT 1 FROM task_parts INDEXED BY task_parts_with_text
         WHERE tenant_id = ?1 AND oldest_text_id IS NOT NULL`,
    )
    .bind(one.tenantId)
    .all<{ is_text: number }>();
  if (results.some(({ is_text: isText }) => isText)) return void (await beginAgain(db, one, againMs).run());
  if (results.length > 0) return void (await waitUntil(db, one, againMs, one.at).run());
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
