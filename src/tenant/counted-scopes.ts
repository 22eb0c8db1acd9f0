/**
 * What a request counts in. A tenant's own servers count in the tenant alone, and in their key where that has limits of its
 * own. A page's visitors, who hold a browser key or a client token, count in their key, their token and, for what the
 * upstream has refused, their network address as well. Each of these has a part of the tenant's limits, and of each limit
 * the tenant keeps a reserve that no visitor can use: what a visitor does stops that visitor long before it stops others.
 */
import type { Caller } from "../domain/access.ts";
import {
  emptyCounters,
  keyLimits,
  type LimitHolder,
  type LimitRefusal,
  type Limits,
  longest,
  type PolicyState,
  policiesOf,
  tightest,
  type UsageCounters,
} from "../domain/admission.ts";
import { hasOwnLimits, type StoredKey } from "../domain/keys.ts";
import { lowerLimits, visitorLimits } from "../domain/limit-sets.ts";
import type { Settings } from "./config-copy.ts";
import { addressScope, readKeyCounters, writeKeyCounters } from "./scopes.ts";
import type { TenantState } from "./tenant-state.ts";
import { readToken, type TokenUse, writeToken } from "./token-use.ts";

/** Whose files: a key's, a token's, or all of the tenant's. */
export interface FileOwner {
  keyId?: string | null;
  tokenId?: string | null;
}

/** What a request counts in, as far as it is checked. */
interface Countable {
  limits: Limits;
  counters: UsageCounters;
  /** Whose files count in it; absent where none do. */
  filesOf?: FileOwner;
}

/** A scope of the caller's own. */
interface OwnScope extends Countable {
  of: LimitHolder;
  /** @param taken Images and files, of which a token has so many for its life. */
  keep(after: UsageCounters, taken: { images: number; files: number }): void;
  /** Whether its limits are the caller's to see. */
  isShown: boolean;
  /** Whether its last part is for others: of a server's key, whose tokens visitors hold. */
  keepsReserve: boolean;
  /** In how many milliseconds all that is counted for its life is over; absent: days end by themselves. */
  endsInMs?: number;
}

/** What a request is checked against. */
export interface AdmissionContext {
  settings: Settings;
  key: StoredKey;
  state: TenantState;
  /** The caller is a page's visitor. */
  isVisitor: boolean;
  own: OwnScope[];
  /** What the caller's token has used; null without one. */
  used: TokenUse | null;
}

/** Of a page's refusals: its visitors share its key, and one of them is stopped before the page is. */
const addressPart = 4;

/**
 * Reads what a request is checked against.
 * @param asked `address`: names the visitor's network address; absent where it is not known.
 */
export function readAdmissionContext(
  sql: SqlStorage,
  { caller, address, nowMs }: { caller: Caller; address?: string | null | undefined; nowMs: number },
  { settings, key, state }: Pick<AdmissionContext, "settings" | "key" | "state">,
): AdmissionContext {
  const { kind, token } = caller;
  const isVisitor = kind !== "secret";
  const isPage = key.kind === "browser";
  const byKey = keyLimits(key.limits);
  const part = visitorLimits(isPage ? settings.limits : lowerLimits(settings.limits, byKey));
  const ofKey = isPage ? { ...part, ...key.limits } : byKey;
  const own: OwnScope[] = [];
  const countersOf = (scope: string) => readKeyCounters(sql, scope) ?? emptyCounters;
  if (isPage || hasOwnLimits(key))
    own.push({
      ...{ of: "key", limits: ofKey, counters: countersOf(key.id), isShown: isPage || !isVisitor },
      ...{ keepsReserve: isVisitor && !isPage, filesOf: { keyId: key.id } },
      keep: (after) => writeKeyCounters(sql, key.id, after),
    });
  const used = token && readToken(sql, token.id);
  if (token && used)
    own.push({
      ...{
        of: "token",
        limits: part,
        counters: used.counters,
        isShown: true,
        filesOf: { tokenId: token.id },
      },
      ...{ keepsReserve: false, endsInMs: Math.max(0, token.expiresMs - nowMs) },
      keep: (after, { images, files }) =>
        writeToken(
          sql,
          token,
          { images: used.images + images, files: used.files + files, counters: after },
          nowMs,
        ),
    });
  const refusals = ofKey.refusals_per_day ?? part.refusals_per_day;
  if (isVisitor && address != null && refusals !== null) {
    const limits = keyLimits({ refusals_per_day: Math.ceil(refusals / addressPart) });
    // Only what the upstream refuses is counted, at its end.
    own.push({
      ...{ of: "address", limits, counters: countersOf(addressScope(address)) },
      ...{ isShown: false, keepsReserve: false },
      keep: () => undefined,
    });
  }
  return { settings, key, state, isVisitor, own, used };
}

interface Checked {
  refusals: LimitRefusal[];
  after: UsageCounters;
}

/**
 * Checks all scopes.
 * @param check Of one scope. `keepsReserve`: its last part is for others than the caller.
 * @returns `own` in the order of the context's.
 */
export function checkScopes<Check extends Checked>(
  { settings: { limits }, state, isVisitor, own }: AdmissionContext,
  check: (scope: Countable, keepsReserve: boolean) => Check,
) {
  const checks = own.map((scope) => {
    const checked = check(scope, scope.keepsReserve);
    const refusals = checked.refusals.map((refusal) => ({
      ...lifelong(refusal, scope.endsInMs),
      of: scope.of,
    }));
    return { limits: scope.limits, keepsReserve: scope.keepsReserve, ...checked, refusals };
  });
  const checked = check({ limits, counters: state.counters, filesOf: {} }, isVisitor);
  const refusals = checked.refusals.map((refusal) => ({ ...refusal, of: "tenant" as const }));
  const shared = { limits, keepsReserve: isVisitor, ...checked, refusals };
  return {
    shared,
    own: checks,
    /** The one that takes longest to go away; undefined when all admit. */
    limited: longest([...checks, shared].flatMap(({ refusals }) => refusals)),
  };
}

/** What is counted for a life has no tomorrow. */
function lifelong(refusal: LimitRefusal, endsInMs = refusal.retryAfterMs): LimitRefusal {
  return refusal.code === "quota_exceeded" ? { ...refusal, retryAfterMs: endsInMs } : refusal;
}

/** Keeps what the caller's own scopes are after a request. @returns the context of then. */
export function keepScopes(
  context: AdmissionContext,
  checks: Checked[],
  taken: { images: number; files: number },
  state: TenantState,
): AdmissionContext {
  const own = context.own.map((scope, index) => {
    const { after } = checks[index] ?? { after: scope.counters };
    scope.keep(after, taken);
    return { ...scope, counters: after };
  });
  const { used } = context;
  const now = used && { ...used, images: used.images + taken.images, files: used.files + taken.files };
  return { ...context, state, own, used: now };
}

/**
 * The policies that a caller sees. Browser keys and tokens, which strangers hold, see their own only; a token's images are
 * what is left of them.
 */
export function policiesFor(
  { caller, nowMs }: { caller: Caller; nowMs: number },
  { settings, state, own, used }: AdmissionContext,
): PolicyState[] {
  const ours = own.flatMap(({ isShown, counters, limits }) =>
    isShown ? policiesOf(counters, limits, nowMs) : [],
  );
  if (caller.kind === "secret")
    return tightest([...ours, ...policiesOf(state.counters, settings.limits, nowMs)]);
  if (!caller.token || !used) return tightest(ours);
  const { maxImages, expiresMs } = caller.token;
  const seconds = Math.max(0, Math.ceil((expiresMs - nowMs) / 1000));
  const images: PolicyState = {
    name: "images",
    limit: maxImages,
    windowSeconds: seconds,
    remaining: Math.max(0, maxImages - used.images),
    resetSeconds: seconds,
  };
  return tightest([images, ...ours]);
}
