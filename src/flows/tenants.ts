/**
 * Making and changing tenants and keys. D1 is the truth; the tenant's object decides by a copy. A change is
 * answered once both have it, and where the push fails cron repeats it.
 */
import type { Deps } from "../deps.ts";
import { formatKey, keySecretBytes, type StoredKey } from "../domain/keys.ts";
import { sha256Hex } from "../domain/signing.ts";
import { insertKey, type ListedKey, listKeys, revokeKey } from "../store/keys.ts";
import {
  bumpConfigVersion,
  insertTenant,
  type Tenant,
  type TenantChange,
  updateTenant,
} from "../store/tenants.ts";
import { pushConfig } from "./push-config.ts";

/** @returns false when the id is taken, or ever was. */
export async function createTenant(deps: Deps, tenant: Tenant): Promise<boolean> {
  if (!(await insertTenant(deps.db, tenant))) return false;
  await pushConfig(deps, tenant.id);
  return true;
}

/** @returns the tenant as it is now, or undefined when there is none of that id. */
export async function changeTenant(
  deps: Deps,
  id: string,
  change: TenantChange,
): Promise<Tenant | undefined> {
  const tenant = await updateTenant(deps.db, id, change);
  if (tenant) await pushConfig(deps, id);
  return tenant;
}

/** Makes a key; undefined when there is no such tenant. The key's text is in the result and nowhere else. */
export async function createKey(
  deps: Deps,
  tenantId: string,
  wanted: Pick<StoredKey, "kind" | "scopes" | "expiresMs"> & { name: string },
): Promise<{ key: string; stored: ListedKey } | undefined> {
  const [signer] = deps.keySigners;
  if (!signer) throw new Error("no signing secret");
  const id = deps.newId("key");
  const claims = { kind: wanted.kind, tenantId, keyId: id };
  const key = await formatKey(signer, claims, deps.randomBytes(keySecretBytes));
  const stored = { ...wanted, id, hash: await sha256Hex(key), createdMs: deps.now(), revokedMs: null };
  const [inserted] = await deps.db.batch([
    insertKey(deps.db, tenantId, stored),
    bumpConfigVersion(deps.db, tenantId),
  ]);
  if (!inserted?.meta.changes) return undefined;
  await pushConfig(deps, tenantId);
  return { key, stored };
}

/** Revokes a key from now on; false when there is none of that id. A second time changes nothing. */
export async function dropKey(deps: Deps, tenantId: string, keyId: string): Promise<boolean> {
  const [revoked] = await deps.db.batch([
    revokeKey(deps.db, tenantId, keyId, deps.now()),
    bumpConfigVersion(deps.db, tenantId),
  ]);
  await pushConfig(deps, tenantId);
  return (revoked?.meta.changes ?? 0) > 0 || (await keyExists(deps, tenantId, keyId));
}

async function keyExists(deps: Deps, tenantId: string, keyId: string): Promise<boolean> {
  const [key] = await listKeys(deps.db, tenantId, keyId.slice(0, -1), 1);
  return key?.id === keyId;
}
