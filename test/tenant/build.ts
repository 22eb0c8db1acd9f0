/** A tenant's object as a Worker reaches it, and tenants and keys in D1 for it to load. */
import { env } from "cloudflare:workers";
import type { TenantConfig } from "../../src/domain/tenant.ts";
import { insertKey, type ListedKey } from "../../src/store/keys.ts";
import { insertTenant, type Tenant as TenantRecord } from "../../src/store/tenants.ts";
import type { AdmitDecision, AdmitRequest, Tenant } from "../../src/tenant/object.ts";

export const t0 = 1_900_000_000_000;

export interface Stub {
  admit(request: AdmitRequest): Promise<AdmitDecision>;
  configure(config: TenantConfig): Promise<number>;
  ping(): Promise<boolean>;
}

const namespace = env.TENANTS as unknown as DurableObjectNamespace<Tenant>;

/** The runtime's stub, for what a test does to the object itself. */
export const objectOf = (tenantId: string) => namespace.getByName(tenantId);
export const stubOf = (tenantId: string) => objectOf(tenantId) as unknown as Stub;

let made = 0;

/** An id that no other test has. */
export function freshId(): string {
  made += 1;
  return `tenant-${made}`;
}

export function keyOf(id = "key-0000000000000001", over: Partial<ListedKey> = {}): ListedKey {
  return {
    id,
    kind: "secret",
    name: "a key",
    hash: id.padEnd(64, "f"),
    scopes: ["images", "manage"],
    createdMs: t0,
    expiresMs: null,
    revokedMs: null,
    ...over,
  };
}

export function configOf(over: Partial<TenantConfig> = {}): TenantConfig {
  return {
    version: 1,
    status: "active",
    limits: { requests_per_minute: 37 },
    keys: [keyOf()],
    ...over,
  };
}

/** Writes a tenant and its keys to D1, and to nowhere else. */
export async function storeTenant(
  id: string,
  over: Partial<TenantRecord> = {},
  keys = [keyOf()],
): Promise<void> {
  const limits = { requests_per_minute: 37 };
  await insertTenant(env.DB, { id, name: id, status: "active", limits, createdMs: t0, ...over });
  for (const key of keys) await insertKey(env.DB, id, key).run();
}

export function requestOf(tenantId: string, over: Partial<AdmitRequest> = {}): AdmitRequest {
  const { id, hash } = keyOf();
  return { tenantId, keyId: id, keyHash: hash, scope: "images", nowMs: t0, ...over };
}

/** Sends so many requests at once. */
export function admitMany(
  tenantId: string,
  count: number,
  over: Partial<AdmitRequest> = {},
): Promise<AdmitDecision[]> {
  return Promise.all(Array.from({ length: count }, () => stubOf(tenantId).admit(requestOf(tenantId, over))));
}

export const admitted = (decisions: AdmitDecision[]) => decisions.filter((one) => one.admitted).length;
