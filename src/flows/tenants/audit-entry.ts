/** Entries of the audit log: who changed what. */
import { type AuditEntry, insertAuditEntry, trimAuditLog } from "../../d1/tenants/audit-log.ts";
import { bumpConfigVersion } from "../../d1/tenants/tenants.ts";
import type { Invocation } from "../../platform/invocation.ts";

/** Who changes something: the operator, or a tenant by one of its keys. */
export interface Actor {
  /** "admin", or a key's id. */
  actor: string;
  requestId: string;
}

type What = Omit<AuditEntry, keyof Actor | "id" | "atMs">;
type Parts = Pick<Invocation, "db" | "newId" | "now">;

/** The id of the tenant's key that changes something; null: the operator does. */
export const keyOfActor = ({ actor }: Actor): string | null => (actor === "admin" ? null : actor);

/** The statement that writes an entry of now. */
export function auditEntry(invocation: Parts, by: Actor, what: What, ifChanged = false): D1PreparedStatement {
  const [id, atMs] = [invocation.newId("auditEntry"), invocation.now()];
  return insertAuditEntry(invocation.db, { ...by, ...what, id, atMs }, ifChanged);
}

/**
 * Changes a tenant's keys or settings in one transaction with its entry: `statements`, then what says that they did, each
 * only where the one before it has changed a row.
 * @returns whether they did.
 */
export async function changeWithEntry(
  invocation: Parts,
  by: Actor,
  what: What & { tenantId: string },
  statements: D1PreparedStatement[],
): Promise<boolean> {
  const results = await invocation.db.batch([
    ...statements,
    auditEntry(invocation, by, what, true),
    bumpConfigVersion(invocation.db, what.tenantId),
    ...(keyOfActor(by) === null ? [] : [trimAuditLog(invocation.db, what.tenantId)]),
  ]);
  return results[statements.length]?.meta.changes === 1;
}
