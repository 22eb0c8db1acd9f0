/**
 * What flows and routes reach the outside through: the only clock, randomness, global fetch and bindings.
 * Made anew for each request and each tick, so that what it counts belongs to that one alone.
 */
import type { Config } from "../config.ts";
import { addressGroup } from "../domain/address.ts";
import { formatId, type IdKind, randomBytesFor } from "../domain/ids.ts";
import { createSigner, type Signer } from "../domain/signing.ts";
import { StoredDataUnreadable } from "../domain/stored.ts";
import type { LinkBases } from "../domain/task.ts";
import type { Tenant } from "../tenant/object.ts";
import { createUpstream, type Upstream } from "../upstream/evolink.ts";
import { measureDatabase } from "./d1-meter.ts";

export type TimedStep = "auth" | "admit" | "db" | "upstream";

export interface LogEntry {
  event: string;
  level?: "error";
  [field: string]: unknown;
}

/** Work of a tick that runs in an invocation of its own, so that what hangs there holds up nothing here. */
export interface Lanes {
  /** Sends what is queued, until nothing is due or `untilMs`. */
  send(untilMs: number): Promise<void>;
  /** Stores finished pictures, until nothing is due or `untilMs`; what the tick has claimed until `leaseUntilMs` is due too. */
  store(untilMs: number, leaseUntilMs?: number): Promise<void>;
  /** Settles the holds of ended tasks, until nothing is due or `untilMs`. */
  settle(untilMs: number): Promise<void>;
  /** Sends webhooks, until none is due for a while or `untilMs`. */
  deliver(untilMs: number): Promise<void>;
}

export interface Invocation {
  config: Config;
  /** Unix milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
  newId(kind: IdKind): string;
  randomBytes(count: number): Uint8Array;
  /** 0 ≤ x < 1, for jitter only. */
  random(): number;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Writes one JSON line. */
  log(entry: LogEntry): void;
  /** Lets work go on beside the reply; its failure is logged, never thrown. */
  defer(name: string, work: () => Promise<unknown>): void;
  db: D1Database;
  bucket: R2Bucket;
  /** Of this data centre. It keeps nothing unless the gateway is on a domain of the operator's. */
  cache: Pick<Cache, "match" | "put" | "delete">;
  /** The pages as they were built. */
  assets: Pick<Fetcher, "fetch">;
  tenant(id: string): TenantStub;
  upstream: Upstream;
  signers: Signers;
  /** Whether one more of this is too many; never for an unknown address. Lenient: counted by data centre. */
  tooMany(what: EdgeLimit, by: string | null): Promise<boolean>;
  lanes: Lanes;
  /** Names of workItems of work, for consumers. Undefined: there is no Queue, and a tick does all of it. */
  work: Pick<Queue<string>, "sendBatch"> | undefined;
  spent: Spent;
}

const tenantMethods = [
  "begin",
  "submitted",
  "settle",
  "admitFile",
  "keepFile",
  "dropFile",
  "credit",
  "setBalance",
  "summary",
  "ledger",
  "check",
  "configure",
  "ping",
] as const;
type TenantMethod = (typeof tenantMethods)[number];

/** The tenant's object, as far as a Worker calls it. Every call may throw {@link BindingUnavailable}. */
export type TenantStub = {
  [Method in TenantMethod]: (
    ...args: Parameters<Tenant[Method]>
  ) => Promise<Awaited<ReturnType<Tenant[Method]>>>;
};

export interface Signers {
  /** For tenant keys: the current secret's, then the previous one's. */
  keys: readonly Signer[];
  /** For client tokens: the current secret's alone. */
  tokens: Signer;
  /** For signed links: the current secret's alone. */
  links: Signer;
}

/** What is limited at the edge: submissions from pages and failed authentication by network address, reads by key. */
export type EdgeLimit = "submissions" | "failures" | "reads";

/** What a request or a tick has used so far. */
export interface Spent {
  rowsRead: number;
  rowsWritten: number;
  /** Milliseconds by step. */
  ms: Partial<Record<TimedStep, number>>;
}

/** Measures one step of a request; steps of one name add up. */
export async function timed<T>(
  invocation: Pick<Invocation, "now" | "spent">,
  step: TimedStep,
  work: () => Promise<T>,
): Promise<T> {
  const startMs = invocation.now();
  try {
    return await work();
  } finally {
    invocation.spent.ms[step] = (invocation.spent.ms[step] ?? 0) + invocation.now() - startMs;
  }
}

/** Counts what D1 did on behalf of this request elsewhere. */
export function spendElsewhere(
  { spent }: Pick<Invocation, "spent">,
  cost: { rowsRead: number; rowsWritten: number; ms: number },
): void {
  spent.rowsRead += cost.rowsRead;
  spent.rowsWritten += cost.rowsWritten;
  spent.ms.db = Math.round((spent.ms.db ?? 0) + cost.ms);
}

/** What the platform gives; tests hand in others where they need a clock, faults or a simulator. */
export interface Platform {
  env: Env;
  waitUntil(work: Promise<unknown>): void;
  lanes: Lanes;
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
  fetch?: Invocation["fetch"];
  log?: Invocation["log"];
  cache?: Invocation["cache"];
}

export function createInvocation(config: Config, platform: Platform): Invocation {
  const { env } = platform;
  const now = platform.now ?? (() => Date.now());
  const log = platform.log ?? writeLog;
  const fetchAddress = platform.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  const spent: Spent = { rowsRead: 0, rowsWritten: 0, ms: {} };
  const clock = { now, spent };
  return {
    config,
    now,
    sleep: platform.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    newId: (kind) => newId(kind, now()),
    randomBytes,
    random: () => (randomBytes(1)[0] ?? 0) / 256,
    fetch: fetchAddress,
    log,
    defer: (name, work) => platform.waitUntil(logFailure(log, name, work)),
    db: measureDatabase(
      env.DB,
      (call) => timed(clock, "db", () => callBinding("database", call)),
      (cost) => {
        spent.rowsRead += cost.rowsRead;
        spent.rowsWritten += cost.rowsWritten;
      },
    ),
    bucket: env.IMAGES,
    cache: platform.cache ?? caches.default,
    assets: env.ASSETS,
    tenant: (id) => tenantStub(env, clock, id),
    upstream: createUpstream({
      fetch: (url, init) => timed(clock, "upstream", () => fetchAddress(url, init)),
      baseUrl: config.UPSTREAM_BASE_URL,
      key: config.UPSTREAM_API_KEY,
      timeoutMs: config.UPSTREAM_TIMEOUT_MS,
      now,
    }),
    signers: signersFor(config),
    tooMany: (what, by) => tooMany(env, what, by),
    lanes: platform.lanes,
    work: env.WORK,
    spent,
  };
}

/** Writes one JSON line, which is what the platform collects. */
export function writeLog(entry: LogEntry): void {
  console.log(JSON.stringify(entry));
}

function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** A new id; `nowMs` is when, for ids that sort by age. */
export function newId(kind: IdKind, nowMs: number): string {
  return formatId(kind, nowMs, randomBytes(randomBytesFor(kind)));
}

/**
 * A new stub for each call: after an exception an old one stays broken. Stored data that the object cannot read is no outage.
 */
function tenantStub(env: Env, clock: Pick<Invocation, "now" | "spent">, id: string): TenantStub {
  type Call = (...args: unknown[]) => Promise<unknown>;
  const call =
    (method: TenantMethod): Call =>
    (...args) =>
      timed(clock, "admit", () =>
        callBinding(
          "tenant",
          () => (env.TENANTS.getByName(id) as unknown as Record<TenantMethod, Call>)[method](...args),
          (error) => StoredDataUnreadable.from(error, id),
        ),
      );
  return Object.fromEntries(tenantMethods.map((method) => [method, call(method)])) as unknown as TenantStub;
}

/** The database, the bucket or a tenant's object did not answer as it should: nothing may be concluded from it. */
export class BindingUnavailable extends Error {
  override name = "BindingUnavailable";
}

/** Stalls of half a minute and more have been seen; nobody waits for them. */
const bindingTimeoutMs = 10_000;

/**
 * Makes whatever a binding throws, or does not answer in time, an {@link BindingUnavailable}. What was asked for may have
 * happened all the same.
 * @param known Tells errors that the binding answered with.
 */
export async function callBinding<T>(
  what: string,
  call: () => Promise<T>,
  known: (error: unknown) => Error | undefined = () => undefined,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("no answer in time")), bindingTimeoutMs);
  });
  try {
    return await Promise.race([call(), late]);
  } catch (error) {
    throw (
      known(error) ?? new BindingUnavailable(`${what}: ${error instanceof Error ? error.message : "failed"}`)
    );
  } finally {
    clearTimeout(timer);
  }
}

const signersOf = new WeakMap<Config, Signers>();

/** Deriving a signer costs more than using it, and depends on the configuration alone. */
function signersFor(config: Config): Signers {
  const known = signersOf.get(config);
  if (known) return known;
  const { KEY_SIGNING_SECRET: current, KEY_SIGNING_SECRET_PREVIOUS: previous } = config;
  const secrets = [current, ...(previous === undefined ? [] : [previous])];
  const signers = {
    keys: secrets.map((secret) => createSigner(secret, "tenant-key")),
    tokens: createSigner(current, "client-token"),
    links: createSigner(current, "signed-link"),
  };
  signersOf.set(config, signers);
  return signers;
}

async function tooMany(env: Env, what: EdgeLimit, by: string | null): Promise<boolean> {
  if (by === null) return false;
  const limiters = {
    submissions: env.SUBMISSIONS_BY_IP,
    failures: env.FAILURES_BY_IP,
    reads: env.READS_BY_KEY,
  };
  const { success } = await limiters[what].limit({ key: what === "reads" ? by : addressGroup(by) });
  return !success;
}

async function logFailure(log: Invocation["log"], name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log({ event: "deferred_failed", level: "error", name, problem: describe(error) });
  }
}

/** What may be logged of an error: its name and text without addresses and long words, which can be secrets. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const text = error.message.replace(/\w+:\/\/\S+/g, "[link]").replace(/[\w.-]{24,}/g, "[…]");
  return `${error.name}: ${text}`.slice(0, 300);
}

/** Where the links of a task that came through `origin` point to. */
export function linkBases(config: Config, origin: string): LinkBases {
  return { api: config.PUBLIC_BASE_URL ?? origin, imageDomain: config.PUBLIC_IMAGE_BASE_URL };
}
