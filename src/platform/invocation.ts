/**
 * All that flows and routes use of the outside: the only clock, randomness, global fetch and bindings. A request, a
 * tick, a lane and a consumer have an invocation of their own, so that what it counts and holds belongs to that one alone.
 */
import type { Config } from "../config.ts";
import { formatId, type IdKind, randomBytesFor } from "../domain/ids.ts";
import type { LocationHint } from "../domain/location-hints.ts";
import { createUpstream, type Upstream } from "../upstream/evolink.ts";
import { callBinding, limitedBucket, queueLimitMs } from "./binding.ts";
import { measureDatabase } from "./d1-usage.ts";
import { type EdgeLimit, tooMany } from "./edge-limits.ts";
import { createIsolateMemory, type IsolateMemory } from "./isolate-memory.ts";
import { createLaneStarter, type LaneStarter, type Lanes } from "./lanes.ts";
import { describe, type WriteLog, writeLog } from "./log.ts";
import { type Signers, signersFor } from "./signers.ts";
import { type Spent, timed } from "./spending.ts";
import { type TenantStub, tenantStub } from "./tenant-stub.ts";

export interface Invocation extends IsolateMemory {
  config: Config;
  /** Unix milliseconds. */
  now(): number;
  sleep(ms: number): Promise<void>;
  newId(kind: IdKind): string;
  randomBytes(count: number): Uint8Array;
  /** 0 ≤ x < 1, for jitter and samples only. */
  random(): number;
  fetch(url: string, init: RequestInit): Promise<Response>;
  /** Writes one line of JSON. */
  log: WriteLog;
  /** Lets work go on beside the reply; its failure is logged, never thrown. */
  defer(name: string, work: () => Promise<unknown>): void;
  db: D1Database;
  /** Every call may throw `BindingUnavailable`, as those of `db` and `work` may. */
  bucket: R2Bucket;
  /** Of this data centre. It keeps nothing unless the gateway is on a domain of the operator's. */
  cache: Pick<Cache, "match" | "put" | "delete">;
  /** The pages as they were built. */
  assets: Pick<Fetcher, "fetch">;
  /** @param hint Where the object is made, if it is not there yet; null: as the gateway is configured. */
  tenant(id: string, hint?: LocationHint | null): TenantStub;
  upstream: Upstream;
  signers: Signers;
  /** Whether one more is too many; never for an unknown address. Lenient: each data centre counts for itself. */
  tooMany(limit: EdgeLimit, by: string | null): Promise<boolean>;
  lanes: LaneStarter;
  /** Takes names of work items, for consumers. Undefined without a Queue: a tick does all work itself. */
  work: Pick<Queue<string>, "sendBatch"> | undefined;
  spent: Spent;
}

/** What the platform gives. Tests give others where they need a clock, faults or a simulator. */
export interface Platform {
  env: Env;
  waitUntil(work: Promise<unknown>): void;
  lanes: Lanes;
  /** What the isolate remembers from one invocation to the next; absent: nothing. */
  memory?: IsolateMemory;
  now?: () => number;
  sleep?: (ms: number) => Promise<void>;
  fetch?: Invocation["fetch"];
  log?: WriteLog;
  cache?: Invocation["cache"];
}

export function createInvocation(config: Config, platform: Platform): Invocation {
  const { env, memory = createIsolateMemory() } = platform;
  const { callCounts } = memory;
  const now = platform.now ?? (() => Date.now());
  const log = platform.log ?? writeLog;
  const fetchAddress = platform.fetch ?? ((url: string, init: RequestInit) => fetch(url, init));
  const spent: Spent = { rowsRead: 0, rowsWritten: 0, ms: {} };
  const spender = { now, spent };
  return {
    config,
    now,
    sleep: platform.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms))),
    newId: (kind) => newId(kind, now()),
    randomBytes,
    random: () => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32,
    fetch: fetchAddress,
    log,
    defer: (name, work) => platform.waitUntil(logFailure(log, name, work)),
    db: measureDatabase(
      env.DB,
      (call) => timed(spender, "db", () => callBinding("database", call)),
      ({ rowsRead, rowsWritten }) => {
        spent.rowsRead += rowsRead;
        spent.rowsWritten += rowsWritten;
      },
    ),
    bucket: limitedBucket(env.IMAGES),
    cache: platform.cache ?? caches.default,
    assets: env.ASSETS,
    tenant: (id, hint = null) => tenantStub(env, spender, id, hint ?? config.TENANT_LOCATION_HINT),
    upstream: createUpstream({
      fetch: (url, init) => timed(spender, "upstream", () => fetchAddress(url, init)),
      baseUrl: config.UPSTREAM_BASE_URL,
      key: config.UPSTREAM_API_KEY,
      timeoutMs: config.UPSTREAM_TIMEOUT_MS,
      now,
    }),
    signers: signersFor(config),
    tooMany: (limit, by) =>
      tooMany({ env, callCounts, perTenant: config.TENANT_CALLS_PER_MINUTE, nowMs: now() }, limit, by),
    ...memory,
    lanes: createLaneStarter(platform.lanes, log),
    work: env.WORK && {
      sendBatch: (messages) =>
        callBinding("queue", () => env.WORK.sendBatch(messages), undefined, queueLimitMs),
    },
    spent,
  };
}

function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/** A new id. @param nowMs For ids that sort by age. */
export function newId(kind: IdKind, nowMs: number): string {
  return formatId(kind, nowMs, randomBytes(randomBytesFor(kind)));
}

async function logFailure(log: WriteLog, name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    log({ event: "deferred_failed", level: "error", name, problem: describe(error) });
  }
}
