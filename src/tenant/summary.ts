/** What a tenant has, holds and may still use. */
import { availableOf, balanceOf } from "../domain/account.ts";
import { type LimitName, type Limits, remainingOf } from "../domain/admission.ts";
import { remainingFiles } from "../domain/file-limits.ts";
import { readSettings } from "./config-copy.ts";
import { dropEnded } from "./file-admission.ts";
import { readFileCounters } from "./scopes.ts";
import { readState } from "./tenant-state.ts";

export interface Summary {
  /** Null: not prepaid, metered only. */
  prepaid: boolean;
  balance: number;
  held: number;
  available: number;
  limits: Limits;
  remaining: Record<LimitName, number | null>;
}

/** Undefined for a tenant that does not exist. Files that have ended are no longer counted. */
export function summarize(sql: SqlStorage, nowMs: number): Summary | undefined {
  const settings = readSettings(sql);
  if (!settings) return undefined;
  dropEnded(sql, nowMs);
  const { account, counters } = readState(sql);
  return {
    prepaid: settings.prepaid,
    balance: balanceOf(account),
    held: account.held,
    available: availableOf(account),
    limits: settings.limits,
    remaining: {
      ...remainingOf(counters, settings.limits, nowMs),
      ...remainingFiles(readFileCounters(sql, null), settings.limits, nowMs),
    },
  };
}
