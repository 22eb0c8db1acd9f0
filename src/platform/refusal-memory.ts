/**
 * Refusals by rates and quotas, remembered by an isolate for a second at most, so that clients which send a refused request
 * again and again do not reach the tenant's object. These refusals have an exact end; those for want of credits or of room
 * for another task may end at any moment, and are never remembered.
 *
 * A remembered refusal answers a request that the object would refuse for the same reason: of the same key or token, page
 * and network address, for the same model and as many images. One that may have a task already, by its idempotency key or
 * as a retry, is answered only where just that request was refused. A change of the tenant by this isolate drops all of the
 * tenant's; one elsewhere is late by the second.
 */
import type { AdmitDecision, AdmitRequest } from "../tenant/decide.ts";
import { setNewest } from "./newest.ts";

export type LimitedDecision = Extract<AdmitDecision, { kind: "limited" }>;

export interface RefusalMemory {
  find(request: AdmitRequest): LimitedDecision | undefined;
  keep(request: AdmitRequest, decision: AdmitDecision): void;
  /** Drops what is known of a tenant, whose settings have changed. */
  drop(tenantId: string): void;
}

const rememberedMs = 1_000;
/** Some hundred bytes each. The oldest go first. */
const mostRefusals = 1_000;

interface Remembered {
  tenantId: string;
  atMs: number;
  decision: LimitedDecision;
}

/** The memory of one isolate. */
export function createRefusalMemory(): RefusalMemory {
  const known = new Map<string, Remembered>();
  return {
    find(request) {
      if (known.size === 0 || (request.onlyReplay && !request.onlyAsks)) return undefined;
      const found = known.get(nameOf(request));
      if (!found) return undefined;
      const agoMs = request.nowMs - found.atMs;
      const { decision } = found;
      if (agoMs < 0 || agoMs >= Math.min(rememberedMs, decision.retryAfterMs)) return undefined;
      return { ...decision, retryAfterMs: decision.retryAfterMs - agoMs };
    },
    keep(request, decision) {
      if (decision.kind !== "limited" || decision.code === "too_many_tasks") return;
      const refused = { tenantId: request.caller.tenantId, atMs: request.nowMs, decision };
      const isOld = ({ atMs }: Remembered) => atMs + rememberedMs <= request.nowMs;
      setNewest(known, nameOf(request), refused, mostRefusals, isOld);
    },
    drop(tenantId) {
      for (const [name, remembered] of known) if (remembered.tenantId === tenantId) known.delete(name);
    },
  };
}

function nameOf({ caller, model, images, replay, address }: AdmitRequest): string {
  const { tenantId, kind, keyId, keyHash, token, page } = caller;
  // A first attempt without an idempotency key is never a replay, whatever its body is.
  const known = replay && (replay.by === "key" || replay.retries > 0) ? replay : null;
  return JSON.stringify([tenantId, kind, keyId, keyHash, token, page, model, images, known, address]);
}
