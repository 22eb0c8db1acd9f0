/**
 * Counting a request before its body is read, where that is large: one that the limits refuse is not read at all. What
 * is wrong with the body is found afterwards, and the request stays counted.
 */
import { type Action, type Caller, checkAccess, type KeyRefusal } from "../domain/access.ts";
import { checkRequestLimit, type LimitRefusal, type PolicyState } from "../domain/admission.ts";
import { idempotencyLifeMs } from "../domain/replay-life.ts";
import { readAdmissionRows } from "./admission-rows.ts";
import { checkScopes, keepScopes, policiesFor, readAdmissionContext } from "./counted-scopes.ts";
import { findReplays } from "./earlier-requests.ts";
import { writeState } from "./tenant-state.ts";

export interface RequestToCount {
  caller: Caller;
  action: Action;
  /** What a replay is found by, before its body is known; null: it is a new request. */
  replayValue: string | null;
  /** The Worker's clock, unix milliseconds. */
  nowMs: number;
}

export type CountDecision =
  | { kind: "key_refused"; refusal: KeyRefusal }
  | ({ kind: "limited"; policies: PolicyState[] } & LimitRefusal)
  /** `isCounted`: false for what may be a replay, which costs nothing. */
  | { kind: "let_in"; isCounted: boolean; policies: PolicyState[] };

/** Counts one of the minute's requests, or refuses it and counts nothing. */
export function countRequest(sql: SqlStorage, request: RequestToCount): CountDecision {
  const { caller, action, replayValue, nowMs } = request;
  const { settings, key, state } = readAdmissionRows(sql, caller.keyId);
  if (!settings || !key) return { kind: "key_refused", refusal: "invalid_key" };
  const refusal = checkAccess(caller, key, settings, { action }, nowMs);
  if (refusal) return { kind: "key_refused", refusal };

  const context = readAdmissionContext(sql, request, { settings, key, state });
  const policies = policiesFor(request, context);
  if (replayValue !== null && findReplays(sql, replayValue, nowMs - idempotencyLifeMs).length > 0)
    return { kind: "let_in", isCounted: false, policies };
  const { shared, own, limited } = checkScopes(context, ({ counters, limits }, keepsReserve) =>
    checkRequestLimit(counters, limits, nowMs, keepsReserve),
  );
  if (limited) return { kind: "limited", ...limited, policies };
  const after = { ...state, counters: shared.after };
  writeState(sql, after);
  const now = keepScopes(context, own, { images: 0, files: 0 }, after);
  return { kind: "let_in", isCounted: true, policies: policiesFor(request, now) };
}
