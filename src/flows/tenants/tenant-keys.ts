/**
 * Making, rotating and revoking a tenant's keys: in D1, in one transaction with the entry of the audit log, and then in
 * the tenant's object. Where the push to the object fails cron repeats it.
 */
import {
  findKey,
  hasKey,
  insertKey,
  isRotated,
  type ListedKey,
  markRotated,
  revokeKey,
} from "../../d1/tenants/keys.ts";
import { findTenant } from "../../d1/tenants/tenants.ts";
import { formatKey, keySecretBytes, type StoredKey } from "../../domain/keys.ts";
import { sha256Hex } from "../../domain/signing.ts";
import type { Invocation } from "../../platform/invocation.ts";
import { noteForRestore } from "../erasure/restore-notes.ts";
import { type Actor, changeWithEntry, keyOfActor } from "./audit-entry.ts";
import { close, pushConfig } from "./push-config.ts";

/** A key as it is to be made. */
export type WantedKey = Omit<ListedKey, "id" | "hash" | "createdMs" | "revokedMs">;
export interface MadeKey {
  /** The key's text, which is stored nowhere. */
  key: string;
  stored: ListedKey;
}

/** Why a key was not made or revoked. `key_gone`: the key that was to do it has been stopped meanwhile, or its tenant. */
type NotDone = "full" | "key_gone";

/** Makes a key; undefined when there is no such tenant. `full`: it has as many as it may. */
export async function createKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  wanted: WantedKey,
): Promise<MadeKey | NotDone | undefined> {
  const tenant = await findTenant(invocation.db, tenantId);
  if (!tenant) return undefined;
  const made = await makeKey(invocation, tenantId, wanted);
  const { id, name, kind } = made.stored;
  const what = { action: "key.create", tenantId, subject: id, details: { name, kind } };
  const isMade = await changeWithEntry(invocation, by, what, [
    insertKey(invocation.db, tenantId, made.stored, null, keyOfActor(by)),
  ]);
  if (!isMade) {
    if (await isGone(invocation, by, tenantId)) return "key_gone";
    return (await findTenant(invocation.db, tenantId))?.deletedMs === null ? "full" : undefined;
  }
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
): Promise<MadeKey | "rotated" | NotDone | undefined> {
  const old = await findKey(invocation.db, tenantId, keyId);
  if (!old || !isLive(old, invocation.now())) return undefined;
  const { id: _id, hash: _hash, createdMs: _createdMs, revokedMs: _revokedMs, ...wanted } = old;
  const made = await makeKey(invocation, tenantId, wanted);
  const details = { new_key: made.stored.id, overlap_seconds: overlapMs / 1000 };
  const what = { action: "key.rotate", tenantId, subject: keyId, details };
  const isMade = await changeWithEntry(invocation, by, what, [
    insertKey(invocation.db, tenantId, made.stored, keyId, keyOfActor(by), overlapMs === 0),
    markRotated(invocation.db, tenantId, keyId, invocation.now() + overlapMs),
  ]);
  if (!isMade) {
    if (await isGone(invocation, by, tenantId)) return "key_gone";
    return whyNotRotated(invocation, tenantId, keyId);
  }
  await pushConfig(invocation, tenantId);
  return made;
}

async function whyNotRotated(invocation: Invocation, tenantId: string, keyId: string) {
  const key = await findKey(invocation.db, tenantId, keyId);
  if (!key || key.revokedMs !== null) return undefined;
  return (await isRotated(invocation.db, tenantId, keyId)) ? "rotated" : "full";
}

/** Whether the tenant's key that was to change something may do so no more. */
async function isGone(invocation: Invocation, by: Actor, tenantId: string): Promise<boolean> {
  const id = keyOfActor(by);
  if (id === null) return false;
  const key = await findKey(invocation.db, tenantId, id);
  if (!key || !isLive(key, invocation.now())) return true;
  return (await findTenant(invocation.db, tenantId))?.status !== "active";
}

function isLive(key: StoredKey, nowMs: number): boolean {
  return key.revokedMs === null && (key.expiresMs === null || key.expiresMs > nowMs);
}

/**
 * Revokes a key from now on; false when there is none of that id. A second call changes nothing. The tenant's object has it
 * first, also where it does not take the rest of the tenant's settings.
 * @returns `last_manager`: the tenant, who asks for it itself, would have no key left that makes keys.
 */
export async function dropKey(
  invocation: Invocation,
  by: Actor,
  tenantId: string,
  keyId: string,
): Promise<boolean | "last_manager" | "key_gone"> {
  // Not read: one that cannot be is revoked as well.
  if (!(await hasKey(invocation.db, tenantId, keyId))) return false;
  const own = keyOfActor(by);
  const what = { action: "key.revoke", tenantId, subject: keyId, details: {} };
  const isRevoked = await changeWithEntry(invocation, by, what, [
    revokeKey(invocation.db, tenantId, keyId, invocation.now(), own),
  ]);
  if (!isRevoked && own !== null && (await isUnrevoked(invocation, tenantId, keyId)))
    return (await isGone(invocation, by, tenantId)) ? "key_gone" : "last_manager";
  await close(invocation, tenantId, { keyIds: [keyId] });
  invocation.defer("restore_note", () => noteForRestore(invocation, tenantId, keyId));
  await pushConfig(invocation, tenantId);
  return true;
}

async function isUnrevoked(invocation: Invocation, tenantId: string, keyId: string): Promise<boolean> {
  return (await findKey(invocation.db, tenantId, keyId))?.revokedMs === null;
}
