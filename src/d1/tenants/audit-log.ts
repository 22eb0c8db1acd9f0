/** What operators and tenants have changed: the log behind the admin API, and the codec of `audit_log`. */
import { json, mapOf, orNull, rowCodec, text, whole } from "../../domain/stored.ts";

export interface AuditEntry {
  id: string;
  atMs: number;
  /** "admin", or the id of a tenant's key. */
  actor: string;
  /** Such as `key.revoke`. */
  action: string;
  tenantId: string | null;
  /** The id of what was changed. */
  subject: string | null;
  details: Record<string, unknown>;
  requestId: string;
}

const row = rowCodec<AuditEntry>("audit_log", {
  id: ["id", text],
  atMs: ["at_ms", whole],
  actor: ["actor", text],
  action: ["action", text],
  tenantId: ["tenant_id", orNull(text)],
  subject: ["subject", orNull(text)],
  details: ["details", json(mapOf((value) => value))],
  requestId: ["request_id", text],
});

/**
 * The statement that writes one down; goes into one transaction with the change itself.
 * @param ifChanged Whether it is written only where the statement before it has changed a row.
 */
export function insertAuditEntry(db: D1Database, entry: AuditEntry, ifChanged: boolean): D1PreparedStatement {
  return db
    .prepare(
      `INSERT INTO audit_log (id, at_ms, actor, action, tenant_id, subject, details, request_id)
       SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 ${ifChanged ? "WHERE changes() > 0" : ""}`,
    )
    .bind(
      entry.id,
      entry.atMs,
      entry.actor,
      entry.action,
      entry.tenantId,
      entry.subject,
      JSON.stringify(entry.details),
      entry.requestId,
    );
}

/** Entries of changes that a tenant makes with its own keys: so many of the newest are kept. */
export const mostTenantEntries = 1_000;
/** More than one goes at a time, so that a bound that was lowered is met soon. */
const mostTrimmed = 10;

/** The statement that deletes a tenant's oldest entries beyond the bound. The operator's are kept. */
export function trimAuditLog(db: D1Database, tenantId: string): D1PreparedStatement {
  return db
    .prepare(
      `DELETE FROM audit_log WHERE id IN (
         SELECT id FROM audit_log INDEXED BY audit_log_of_tenant WHERE tenant_id = ?1 AND actor <> 'admin'
         ORDER BY id DESC LIMIT ${mostTrimmed} OFFSET ${mostTenantEntries})`,
    )
    .bind(tenantId);
}

/** Reads entries, newest first, those before `beforeId`. */
export async function listAuditEntries(
  db: D1Database,
  beforeId: string,
  limit: number,
): Promise<AuditEntry[]> {
  const { results } = await db
    .prepare("SELECT * FROM audit_log WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
    .bind(beforeId, limit)
    .all();
  return results.map(row.read);
}
