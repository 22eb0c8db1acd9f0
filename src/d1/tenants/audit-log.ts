/** What operators and tenants have changed: the log behind the admin API. */

export interface Act {
  id: string;
  atMs: number;
  /** "admin", or the id of a tenant's key. */
  actor: string;
  /** Such as `key.revoke`. */
  act: string;
  tenantId: string | null;
  /** The id of what was changed. */
  subject: string | null;
  details: Record<string, unknown>;
  requestId: string;
}

interface ActRow {
  id: string;
  at_ms: number;
  actor: string;
  act: string;
  tenant_id: string | null;
  subject: string | null;
  details: string;
  request_id: string;
}

/** The statement that writes one down; goes into one transaction with the change itself. */
export function insertAct(db: D1Database, act: Act): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO acts (id, at_ms, actor, act, tenant_id, subject, details, request_id)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)`,
    )
    .bind(
      act.id,
      act.atMs,
      act.actor,
      act.act,
      act.tenantId,
      act.subject,
      JSON.stringify(act.details),
      act.requestId,
    );
}

/** Reads acts, newest first, those before `beforeId`. */
export async function listActs(db: D1Database, beforeId: string, limit: number): Promise<Act[]> {
  const { results } = await db
    .prepare("SELECT * FROM acts WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
    .bind(beforeId, limit)
    .all<ActRow>();
  return results.map((row) => ({
    id: row.id,
    atMs: row.at_ms,
    actor: row.actor,
    act: row.act,
    tenantId: row.tenant_id,
    subject: row.subject,
    details: JSON.parse(row.details) as Record<string, unknown>,
    requestId: row.request_id,
  }));
}
