/** A tenant's object as a Worker calls it, and tenants and keys in D1 for it to load. */
import { env } from "cloudflare:workers";
import { insertKey, type ListedKey } from "../../src/d1/tenants/keys.ts";
import { insertTenant, type Tenant as TenantRecord } from "../../src/d1/tenants/tenants.ts";
import type { Caller } from "../../src/domain/access.ts";
import { keyLimits, type Limits } from "../../src/domain/admission.ts";
import type { LedgerLine, LedgerQuery } from "../../src/domain/ledger-lines.ts";
import { readPart } from "../../src/domain/ledger-part.ts";
import type { TenantConfig } from "../../src/domain/tenant.ts";
import type { AdmitRequest, BeginDecision, RowWanted } from "../../src/tenant/decide.ts";
import type { Tenant } from "../../src/tenant/object.ts";
import type { Settlement } from "../../src/tenant/settlement.ts";
import type { Summary } from "../../src/tenant/summary.ts";

export const t0 = 1_900_000_000_000;

type Method =
  | ("begin" | "noteOutcome" | "writeRow" | "endEarly" | "giveUp" | "takeOver" | "readYoung" | "flush")
  | ("settle" | "credit" | "setBalance" | "summary" | "ledgerPage" | "takeConfig" | "ping" | "check")
  | ("closedParts" | "closeBooks" | "openBefore");

/** The object's methods, which over RPC are all asynchronous. */
export type Stub = {
  [Name in Method]: (...args: Parameters<Tenant[Name]>) => Promise<Awaited<ReturnType<Tenant[Name]>>>;
};

const namespace = env.TENANTS as unknown as DurableObjectNamespace<Tenant>;

/** The runtime's stub, for what a test does to the object itself. */
export const objectOf = (tenantId: string) => namespace.getByName(tenantId);

/** A tenant's object as a Worker calls it. */
export const stubOf = (tenantId: string) => objectOf(tenantId) as unknown as Stub;

/** Gives the tenant's object a copy, as of t0. */
export const configure = async (tenantId: string, over: Partial<TenantConfig> = {}) =>
  (await stubOf(tenantId).takeConfig(configOf(over), t0)).version;

let made = 0;

/** An id that no other test has. */
export function freshId(): string {
  made += 1;
  return `tenant-${made}`;
}

/** No limits but these. */
export const limitsOf = (own: Partial<Limits>): Limits => keyLimits(own);

export function keyOf(id = "key-0000000000000001", over: Partial<ListedKey> = {}): ListedKey {
  return {
    id,
    kind: "secret",
    name: "a key",
    hash: id.padEnd(64, "f"),
    scopes: ["images", "manage"],
    allowedOrigins: [],
    models: null,
    limits: {},
    token: { ttlSeconds: 600, maxImages: 10 },
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
    limits: limitsOf({ requests_per_minute: 37 }),
    prices: {},
    models: null,
    prepaid: false,
    openingBalance: 0,
    lowBalance: null,
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
  const { version: _version, keys: _keys, ...settings } = configOf();
  await insertTenant(
    env.DB,
    {
      ...settings,
      id,
      name: id,
      turnstileSecret: null,
      retentionDays: null,
      maxKeys: 100,
      locationHint: null,
      webhook: { url: null, events: null, notifyUrl: null, off: null },
      createdMs: t0,
      deletedMs: null,
      ...over,
    },
    "whsec_c2VjcmV0IG9mIGEgdGVzdCB0ZW5hbnQu",
  );
  for (const key of keys) await insertKey(env.DB, id, key).run();
}

export type Asked = Partial<AdmitRequest> & Partial<Pick<Caller, "keyId" | "keyHash">>;

let asked = 0;

export function requestOf(tenantId: string, { keyId, keyHash, ...over }: Asked = {}): AdmitRequest {
  const { id, hash } = keyOf();
  asked += 1;
  return {
    caller: {
      kind: "secret",
      tenantId,
      keyId: keyId ?? id,
      keyHash: keyHash ?? hash,
      token: null,
      page: { origin: null, sameOrigin: false },
    },
    taskId: `task-${String(asked).padStart(31, "0")}`,
    model: "wan-2.7-image",
    images: 1,
    price: 30,
    replay: null,
    isRepeated: false,
    nowMs: t0,
    ...over,
  };
}

/** What D1 is to have of a request's task. */
export function rowOf({ caller: { tenantId, keyId }, nowMs }: AdmitRequest): RowWanted {
  return {
    task: {
      ...{
        tenantId,
        keyId,
        tokenId: null,
        requestId: "req-1",
        origin: "https://gateway.example",
        endUser: null,
      },
      ...{ input: { prompt: "a lighthouse", n: 1 }, metadata: {} },
      ...{ createdMs: nowMs, deadlineMs: nowMs + 3_600_000, dueMs: nowMs + 60_000 },
    },
    lowId: `msg-${String(asked).padStart(31, "0")}`,
  };
}

/** Begins a task, or is refused. */
export const beginTask = (tenantId: string, request: AdmitRequest) =>
  stubOf(tenantId).begin(request, rowOf(request));

/** Sends so many requests at once. */
export function admitMany(tenantId: string, count: number, over: Asked = {}): Promise<BeginDecision[]> {
  return Promise.all(Array.from({ length: count }, () => beginTask(tenantId, requestOf(tenantId, over))));
}

export const admitted = (decisions: BeginDecision[]) =>
  decisions.filter((one) => one.kind === "admitted").length;

export type Admitted = Extract<BeginDecision, { kind: "admitted" }>;

/** The admissions among decisions. */
export const admissionsOf = (decisions: BeginDecision[]): Admitted[] =>
  decisions.filter((one) => one.kind === "admitted");

/** Admits one request, or fails. */
export async function admitOne(tenantId: string, over: Asked = {}): Promise<Admitted> {
  const decision = await beginTask(tenantId, requestOf(tenantId, over));
  if (decision.kind !== "admitted") throw new Error(`not admitted: ${JSON.stringify(decision)}`);
  return decision;
}

/** Ends a hold, of which nothing was made unless given otherwise. */
export const settle = (tenantId: string, hold: number, over: Partial<Settlement> = {}) =>
  stubOf(tenantId).settle({
    holdNumber: hold,
    images: 0,
    refused: false,
    deleteReplay: false,
    nowMs: t0,
    ...over,
  });

export async function summaryOf(tenantId: string, nowMs = t0): Promise<Summary> {
  const summary = await stubOf(tenantId).summary(tenantId, nowMs);
  if (!summary) throw new Error(`no tenant ${tenantId}`);
  return summary;
}

/** The tenant's ledger, newest first; all of it unless given otherwise. */
export async function ledgerOf(tenantId: string, over: Partial<LedgerQuery> = {}): Promise<LedgerLine[]> {
  const { lines } = await stubOf(tenantId).ledgerPage({
    fromMs: 0,
    toMs: Number.MAX_SAFE_INTEGER,
    taskId: null,
    beforeSeq: Number.MAX_SAFE_INTEGER,
    limit: 10_000,
    ...over,
  });
  return lines;
}

const allParts = {
  fromMs: 0,
  toMs: Number.MAX_SAFE_INTEGER,
  beforeSeq: Number.MAX_SAFE_INTEGER,
  limit: 1_000,
};

/** What is closed of the tenant's ledger, newest first. */
export const partsOf = (tenantId: string) => stubOf(tenantId).closedParts(allParts);

/** The tenant's whole ledger, newest first, out of its object and R2. */
export async function wholeLedgerOf(tenantId: string): Promise<LedgerLine[]> {
  const lines = await ledgerOf(tenantId);
  for (const part of await partsOf(tenantId)) {
    const stored = await env.IMAGES.get(part.key);
    if (!stored) throw new Error(`part ${part.number} is not in R2`);
    lines.push(...(await readPart(part, await stored.arrayBuffer())).toReversed());
  }
  return lines;
}
