/** The parts of a tenant's limit: a visitor's share, and the reserve that no visitor can use. Null is no limit. */

const part = 10;

/** What a page's visitors have of a limit, by key and by token, unless it is set: a tenth. */
export function visitorShare(limit: number | null): number | null {
  return limit === null ? null : Math.max(1, Math.floor(limit / part));
}

/** What a limit keeps for its tenant's secret keys, whatever its visitors do. One alone cannot be divided. */
export function reserveOf(limit: number): number {
  return limit === 1 ? 0 : Math.ceil(limit / part);
}

/** What a caller may use of a limit; infinite where there is none. */
export function usableOf(limit: number | null, keepsReserve: boolean): number {
  if (limit === null) return Number.POSITIVE_INFINITY;
  return keepsReserve ? limit - reserveOf(limit) : limit;
}
