/** Entries of the audit log: who changed what. */
import { type AuditEntry, insertAuditEntry } from "../../d1/tenants/audit-log.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** Who changes something: the operator, or a tenant by one of its keys. */
export interface Actor {
  /** "admin", or a key's id. */
  actor: string;
  requestId: string;
}

/** The statement that writes an entry of now. */
export function auditEntry(
  invocation: Pick<Invocation, "db" | "newId" | "now">,
  by: Actor,
  what: Omit<AuditEntry, keyof Actor | "id" | "atMs">,
): D1PreparedStatement {
  const [id, atMs] = [invocation.newId("auditEntry"), invocation.now()];
  return insertAuditEntry(invocation.db, { ...by, ...what, id, atMs });
}
