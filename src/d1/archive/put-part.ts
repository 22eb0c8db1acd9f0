/** Moving rows of tasks between D1 and parts of the archive: all or nothing, by compare-and-set. */
import type { ArchivedRow, MadePart, TaskPart } from "../../domain/task-part.ts";
import { replacedMs } from "./leftovers.ts";

const taskIds = "SELECT value ->> 'id' FROM json_each(?1)";

/** Nothing that is about to be swept becomes a part: Workers' clocks differ by less. */
const sweepMarginMs = 300_000;

/** What a part that is written replaces. */
export interface Replaced {
  /** The part as it was read; undefined: it is a new one. */
  part: TaskPart | undefined;
  /** Rows of `tasks` that go, as they were read. */
  rows: ArchivedRow[];
  /** Rows that `tasks` gets, where it lacks them. */
  added?: ArchivedRow[];
}

/**
 * Makes what was written the part, in the place of the rows, and of the part, that it was made of. It is all or nothing: where
 * one of those has changed meanwhile, nothing is.
 * @returns whether it is the part now.
 */
export async function putPart(
  db: D1Database,
  made: MadePart,
  { part, rows, added = [] }: Replaced,
  nowMs: number,
): Promise<boolean> {
  const seen = JSON.stringify(rows.map(({ id, version, erasure }) => ({ id, version, erasure })));
  const isSame = `(SELECT count(*) FROM json_each(?1) AS seen JOIN tasks ON tasks.id = seen.value ->> 'id'
      AND tasks.version = seen.value ->> 'version' AND tasks.erasure = seen.value ->> 'erasure'
      AND tasks.open = 0) = json_array_length(?1)`;
  const isMade = "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?2 AND last_id = ?3 AND key = ?4)";
  const place = [made.tenantId, made.lastId, made.key] as const;
  const [written] = await db.batch([
    db
      .prepare(
        `INSERT INTO task_parts (tenant_id, last_id, key, first_id, tasks, oldest_text_id, id_tags, end_user_tags)
         SELECT ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE ${isSame} AND EXISTS (SELECT 1 FROM leftovers WHERE key = ?4 AND due_ms > ?12)
           AND ${part ? "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?2 AND last_id = ?10 AND key = ?11)" : "?10 IS ?11"}
         ON CONFLICT (tenant_id, last_id) DO UPDATE SET key = excluded.key, first_id = excluded.first_id,
           tasks = excluded.tasks, oldest_text_id = excluded.oldest_text_id, id_tags = excluded.id_tags,
           end_user_tags = excluded.end_user_tags`,
      )
      .bind(
        ...[seen, ...place, made.firstId, made.tasks, made.oldestTextId, made.idTags, made.endUserTags],
        ...[part?.lastId ?? null, part?.key ?? null, nowMs + sweepMarginMs],
      ),
    db.prepare(`DELETE FROM tasks WHERE id IN (${taskIds}) AND ${isMade}`).bind(seen, ...place),
    db.prepare(`DELETE FROM leftovers WHERE key = ?4 AND ${isMade} AND ?1 IS NOT NULL`).bind(seen, ...place),
    ...(part
      ? [
          db
            .prepare(`INSERT OR IGNORE INTO leftovers (key, due_ms) SELECT ?1, ${replacedMs} WHERE ${isMade}`)
            .bind(part.key, ...place),
        ]
      : []),
    ...insertRows(db, made, added),
  ]);
  return (written?.meta.changes ?? 0) > 0;
}

/** Of the texts that one statement binds: D1 takes two million bytes in a value. */
const mostBytesAtOnce = 1_000_000;
const mostRowsAtOnce = 50;

const isPart = "EXISTS (SELECT 1 FROM task_parts WHERE tenant_id = ?1 AND last_id = ?2 AND key = ?3)";
const isColumn = (name: string) => /^\w+$/.test(name);
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** The statements that write rows of a part to `tasks`, those that it lacks, while that is the part. */
function insertRows(
  db: D1Database,
  { tenantId, lastId, key }: TaskPart,
  rows: ArchivedRow[],
): D1PreparedStatement[] {
  if (rows.length === 0) return [];
  // Rows of several versions of the table have several sets of columns; what one lacks gets the table's default.
  const alike = Map.groupBy(rows, (row) => Object.keys(row).filter(isColumn).join(", "));
  const inserts = [...alike].flatMap(([columns, group]) =>
    inChunks(group.map((row) => JSON.stringify(row))).map((texts) =>
      db
        .prepare(
          `INSERT INTO tasks (${columns}) SELECT ${columns.replace(/\w+/g, "value ->> '$&'")} FROM json_each(?4)
           WHERE ${isPart} ON CONFLICT (id) DO NOTHING`,
        )
        .bind(tenantId, lastId, key, `[${texts.join()}]`),
    ),
  );
  // The sums have had them since before they were a part.
  const summed = db
    .prepare(
      `DELETE FROM unsummed_tasks WHERE tenant_id = ?1 AND id IN (SELECT value FROM json_each(?4)) AND ${isPart}`,
    )
    .bind(tenantId, lastId, key, JSON.stringify(rows.map(({ id }) => id)));
  return [...inserts, summed];
}

function inChunks(texts: string[]): string[][] {
  const chunks: string[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const text of texts) {
    bytes += bytesOf(text);
    const last = chunks.at(-1);
    if (last && last.length < mostRowsAtOnce && bytes <= mostBytesAtOnce) last.push(text);
    else {
      chunks.push([text]);
      bytes = bytesOf(text);
    }
  }
  return chunks;
}

/**
 * Writes a part's rows to D1 again, those that it lacks, and ends the part. Erasers that have gone past begin anew.
 * @param keptMs For so long its object is kept: D1 may be restored to before this.
 * @returns false when the part has changed.
 */
export async function restorePart(
  db: D1Database,
  part: TaskPart,
  rows: ArchivedRow[],
  { nowMs, keptMs }: { nowMs: number; keptMs: number },
): Promise<boolean> {
  const place = [part.tenantId, part.lastId, part.key] as const;
  const results = await db.batch([
    ...insertRows(db, part, rows),
    db
      .prepare(`INSERT OR IGNORE INTO leftovers (key, due_ms) SELECT ?3, ?4 WHERE ${isPart}`)
      .bind(...place, nowMs + keptMs),
    db
      .prepare(
        `UPDATE erasure_turns SET cursor = '', due_ms = min(due_ms, ?4) WHERE tenant_id = ?1 AND ${isPart}`,
      )
      .bind(...place, nowMs),
    db.prepare("DELETE FROM task_parts WHERE tenant_id = ?1 AND last_id = ?2 AND key = ?3").bind(...place),
  ]);
  return (results.at(-1)?.meta.changes ?? 0) > 0;
}
