/** Rows that have come to the end of their life (`src/domain/lives.ts`), oldest first. */
import { idBound } from "../../domain/ids.ts";
import { livesMs } from "../../domain/lives.ts";

interface AgedRows {
  /** The columns that name a row. */
  key: string;
  /** Those up to the bound, which stands as `$`, in the order of an index. */
  from: string;
  bound: (nowMs: number) => string | number;
}

/** When a key was revoked or expired, as the index has it. */
const keyEnd = "min(coalesce(revoked_ms, expires_ms), coalesce(expires_ms, revoked_ms))";

/** By table. */
const aged: Record<string, AgedRows> = {
  deliveries: {
    key: "id",
    from: "deliveries WHERE id < $ AND open = 0 ORDER BY id",
    bound: (nowMs) => idBound("delivery", nowMs - livesMs.deliveries),
  },
  audit_log: {
    key: "id",
    from: "audit_log WHERE id < $ ORDER BY id",
    bound: (nowMs) => idBound("auditEntry", nowMs - livesMs.auditEntries),
  },
  keys: {
    key: "tenant_id, id",
    from: `keys INDEXED BY keys_by_end WHERE ${keyEnd} <= $ ORDER BY ${keyEnd}`,
    bound: (nowMs) => nowMs - livesMs.endedKeys,
  },
  endpoints: {
    key: "tenant_id, endpoint",
    from: `endpoints AS one INDEXED BY endpoints_by_age WHERE backoff_until_ms <= $ AND NOT EXISTS (
         SELECT 1 FROM deliveries INDEXED BY deliveries_open
         WHERE open = 1 AND tenant_id = one.tenant_id AND endpoint = one.endpoint) ORDER BY backoff_until_ms`,
    bound: (nowMs) => nowMs - livesMs.failingEndpoints,
  },
  gone_urls: {
    key: "tenant_id, url",
    from: "gone_urls INDEXED BY gone_urls_by_age WHERE at_ms <= $ ORDER BY at_ms",
    bound: (nowMs) => nowMs - livesMs.goneUrls,
  },
};

const tables = Object.entries(aged);
const perTable = 1_000;

/** Deletes up to a thousand rows of each table. @returns whether there may be more. */
export async function deleteAged(db: D1Database, nowMs: number): Promise<boolean> {
  const results = await db.batch(
    tables.map(([table, { key, from, bound }]) =>
      db
        .prepare(
          `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${from.replace("$", "?1")} LIMIT ${perTable})`,
        )
        .bind(bound(nowMs)),
    ),
  );
  return results.some(({ meta }) => meta.changes >= perTable);
}

/**
 * The statement that says whether anything is to be erased or has come to its end; its result goes through
 * {@link isErasingDue}.
 */
export function selectErasingDue(db: D1Database, nowMs: number): D1PreparedStatement {
  const due = [
    "erasure_turns INDEXED BY erasure_turns_due WHERE due_ms <= ?1",
    "tasks INDEXED BY tasks_erasing WHERE erasure = 'pending' AND due_ms <= ?1",
    "files INDEXED BY files_erasing_due WHERE erasure = 'pending' AND due_ms <= ?1",
    "files INDEXED BY files_expiring WHERE expires_ms <= ?1",
    ...tables.map(([, { from }], index) => from.replace("$", `?${index + 2}`)),
  ];
  return db
    .prepare(`SELECT ${due.map((from) => `EXISTS (SELECT 1 FROM ${from})`).join(" OR ")} AS due`)
    .bind(nowMs, ...tables.map(([, { bound }]) => bound(nowMs)));
}

export function isErasingDue(result: D1Result | undefined): boolean {
  return (result?.results[0] as { due?: number } | undefined)?.due === 1;
}
