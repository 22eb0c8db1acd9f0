/**
 * Making, rotating and revoking a tenant's keys: in D1, in one transaction with the entry of the audit log, and then in
 * the tenant's object. Where the push to the object fails cron repeats it.
 */
import { findKey, hasKey, insertKey, type ListedKey, markRotated, revokeKey } from "../../d1/tenants/keys.ts";
import { bumpConfigVersion, findTenant } from "../../d1/tenants/tenants.ts";
import { formatKey, keySecretBytes, type StoredKey } from "../../domain/keys.ts";
import { sha256Hex } from "../../domain/signing.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { type Actor, auditEntry } from "./audit-entry.ts";
import { pushConfig } from "./push-config.ts";

/** A key as it is to be made. */
export type WantedKey = Omit<ListedKey, "id" | "hash" | "createdMs" | "revokedMs">;
export interface MadeKey {
  /** The key's text, which is stored nowhere. */
  key: string;
  stored: ListedKey;
}

/** Makes a key; undefined when there is no such tenant. */
export async function createKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  wanted: WantedKey,
): Promise<MadeKey | undefined> {
  // A key that is not made leaves no entry in the audit log either.
  if (!(await findTenant(invocation.db, tenantId))) return undefined;
  const made = await makeKey(invocation, tenantId, wanted);
  const { id, name, kind } = made.stored;
  const [inserted] = await invocation.db.batch([
    insertKey(invocation.db, tenantId, made.stored),
    bumpConfigVersion(invocation.db, tenantId),
    auditEntry(invocation, by, { action: "key.create", tenantId, subject: id, details: { name, kind } }),
  ]);
  if (!inserted?.meta.changes) return undefined;
  await pushConfig(invocation, tenantId);
  return made;
}

async function makeKey(invocation: Invocation, tenantId: string, wanted: WantedKey): Promise<MadeKey> {
  const [signer] = invocation.signers.keys;
  if (!signer) throw new Error("no signing secret");
  const id = invocation.newId("key");
  const claims = { kind: wanted.kind, tenantId, keyId: id };
  const key = await formatKey(signer, claims, invocation.randomBytes(keySecretBytes));
  const hash = await sha256Hex(key);
  return { key, stored: { ...wanted, id, hash, createdMs: invocation.now(), revokedMs: null } };
}

/**
 * Replaces a key, once, by one with the same settings. The old one works on for the overlap.
 * @returns undefined when there is no such key, or it is revoked or expired; "rotated" when it was replaced before.
 */
export async function rotateKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  keyId: string,
  overlapMs: number,
): Promise<MadeKey | "rotated" | undefined> {
  const old = await findKey(invocation.db, tenantId, keyId);
  if (!old || !isLive(old, invocation.now())) return undefined;
  const { id: _id, hash: _hash, createdMs: _createdMs, revokedMs: _revokedMs, ...wanted } = old;
  const made = await makeKey(invocation, tenantId, wanted);
  const details = { new_key: made.stored.id, overlap_seconds: overlapMs / 1000 };
  const [inserted] = await invocation.db.batch([
    insertKey(invocation.db, tenantId, made.stored, keyId),
    markRotated(invocation.db, tenantId, keyId, invocation.now() + overlapMs),
    bumpConfigVersion(invocation.db, tenantId),
    auditEntry(invocation, by, { action: "key.rotate", tenantId, subject: keyId, details }),
  ]);
  if (!inserted?.meta.changes) return "rotated";
  await pushConfig(invocation, tenantId);
  return made;
}

function isLive(key: StoredKey, nowMs: number): boolean {
  return key.revokedMs === null && (key.expiresMs === null || key.expiresMs > nowMs);
}

/** Revokes a key from now on; false when there is none of that id. A second call changes nothing. */
export async function dropKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  keyId: string,
): Promise<boolean> {
  // Not read: one that cannot be is revoked as well.
  if (!(await hasKey(invocation.db, tenantId, keyId))) return false;
  await invocation.db.batch([
    revokeKey(invocation.db, tenantId, keyId, invocation.now()),
    bumpConfigVersion(invocation.db, tenantId),
    auditEntry(invocation, by, { action: "key.revoke", tenantId, subject: keyId, details: {} }),
  ]);
  await pushConfig(invocation, tenantId);
  return true;
}
