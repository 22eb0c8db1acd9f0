/**
 * The tenant's object: the one place where it is decided whether a tenant's request may go ahead. Calls reach
 * it one after the other and each decides in one transaction, so that parallel requests cannot overrun a
 * limit; whatever counts is in its SQLite, so that an eviction neither forgets nor repeats anything.
 *
 * Refusals are values: a thrown error loses its shape between object and Worker.
 */
import { DurableObject } from "cloudflare:workers";
import type { KeyScope } from "../domain/keys.ts";
import { type PolicyState, takeFromBucket, windowMs } from "../domain/limits.ts";
import { checkKey, type KeyRefusal, type TenantConfig } from "../domain/tenant.ts";
import { loadTenantConfig } from "../store/tenants.ts";
import { migrate, readBucket, readKey, readSettings, writeBucket, writeConfig } from "./sql.ts";

export interface AdmitRequest {
  tenantId: string;
  keyId: string;
  /** SHA-256 of the key as it was presented. */
  keyHash: string;
  scope: KeyScope;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

export type AdmitDecision =
  | { admitted: true; policies: PolicyState[] }
  | { admitted: false; refusal: KeyRefusal }
  | {
      admitted: false;
      refusal: "rate_limited";
      policies: PolicyState[];
      policy: PolicyState["name"];
      retryAfterMs: number;
    };

export class Tenant extends DurableObject<Env> {
  readonly #storage: DurableObjectStorage;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#storage = ctx.storage;
    migrate(ctx.storage);
  }

  /**
   * Decides on one request, and counts it when it is admitted; a refusal consumes nothing.
   * @returns the decision, with the state of every limit in force once the key is known to be good.
   */
  async admit(request: AdmitRequest): Promise<AdmitDecision> {
    if (!readSettings(this.#storage.sql)) await this.#load(request.tenantId, request.nowMs);
    return this.#storage.transactionSync(() => this.#decide(request));
  }

  /**
   * Takes a copy of the tenant; an older one than it has is ignored.
   * @returns the version that it has afterwards.
   */
  configure(config: TenantConfig): number {
    return this.#storage.transactionSync(() => {
      const current = readSettings(this.#storage.sql);
      if (current && current.version >= config.version) return current.version;
      writeConfig(this.#storage.sql, config);
      return config.version;
    });
  }

  /** Answers, which says that the object and its storage are there. */
  ping(): boolean {
    readSettings(this.#storage.sql);
    return true;
  }

  async #load(tenantId: string, nowMs: number): Promise<void> {
    const config = await loadTenantConfig(this.env.DB, tenantId, nowMs);
    if (config) this.configure(config);
  }

  #decide(request: AdmitRequest): AdmitDecision {
    const { sql } = this.#storage;
    const settings = readSettings(sql);
    if (!settings) return { admitted: false, refusal: "invalid_key" };
    const presented = { hash: request.keyHash, scope: request.scope };
    const refusal = checkKey(readKey(sql, request.keyId), settings.status, presented, request.nowMs);
    if (refusal) return { admitted: false, refusal };

    const limit = settings.limits.requests_per_minute;
    if (limit === null) return { admitted: true, policies: [] };
    const take = takeFromBucket(readBucket(sql, "requests"), limit, 1, request.nowMs);
    const policy: PolicyState = {
      name: "requests",
      limit,
      windowSeconds: windowMs / 1000,
      remaining: take.remaining,
      resetSeconds: Math.ceil(take.resetMs / 1000),
    };
    if (!take.admitted) {
      return {
        admitted: false,
        refusal: "rate_limited",
        policies: [policy],
        policy: "requests",
        retryAfterMs: take.retryMs,
      };
    }
    writeBucket(sql, "requests", take.bucket);
    return { admitted: true, policies: [policy] };
  }
}
