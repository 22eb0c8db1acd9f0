/**
 * Keys that storage has refused, remembered by an isolate for seconds, so that who sends one again and again does not
 * have each request read by D1 or the tenant's object. A revoked or expired key stays so. One that storage lacked may be
 * there later, which is why it is for seconds.
 */
import type { Caller } from "../domain/access.ts";
import { setNewest } from "./newest.ts";

export interface BadKeys {
  has(caller: Caller, nowMs: number): boolean;
  keep(caller: Caller, nowMs: number): void;
}

const rememberedMs = 10_000;
const mostKeys = 1_000;

/** The memory of one isolate. */
export function createBadKeys(): BadKeys {
  const known = new Map<string, number>();
  const isOld = (nowMs: number) => (atMs: number) => atMs + rememberedMs <= nowMs;
  return {
    has(caller, nowMs) {
      const atMs = known.get(nameOf(caller));
      return atMs !== undefined && !isOld(nowMs)(atMs);
    },
    keep(caller, nowMs) {
      setNewest(known, nameOf(caller), nowMs, mostKeys, isOld(nowMs));
    },
  };
}

/** A key with another secret is another one, and a token that runs out says nothing of the others that its key has made. */
function nameOf({ tenantId, keyId, keyHash, token }: Caller): string {
  return `${tenantId} ${keyId} ${keyHash ?? token?.id}`;
}
