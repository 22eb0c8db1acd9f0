/** Adding a tenant's states up again from the rows behind them: what should be equal by construction is shown to be. */
import { type Account, availableOf, priceOf } from "../domain/account.ts";
import type { LedgerPart } from "../domain/ledger-part.ts";
import type { StoredDataUnreadable } from "../domain/stored.ts";
import { readSettings } from "./config-copy.ts";
import { settleType } from "./ledger.ts";
import { closedSeq, newestClosed } from "./ledger-parts.ts";
import { openTasksBetween } from "./open-tasks.ts";
import { readFileCounters } from "./scopes.ts";
import { readState } from "./tenant-state.ts";

export interface OpenHold {
  holdNumber: number;
  taskId: string;
  atMs: number;
}

/** Entries that are still to be added up, and the sums of those before. */
export interface Unsummed extends Pick<LedgerPart, "credited" | "charged"> {
  /** Of the account, when the check began. */
  account: Pick<Account, "toppedUp" | "charged">;
  afterSeq: number;
  upToSeq: number;
  /** Where the checkpoint was that it began with. */
  closedSeq: number;
}

export interface Check {
  /** What does not add up, in words; empty when all is sound. */
  problems: string[];
  /** Holds that have not ended and cannot be read; they are in no sum. */
  unreadable: Pick<StoredDataUnreadable, "place" | "expected">[];
  /** Oldest first. */
  openHolds: OpenHold[];
  /** Entries are more than one call adds up: the check goes on with this. */
  unsummed?: Unsummed;
}

/** Entries that one call adds up, in some tens of milliseconds: the tenant's requests wait meanwhile. */
const entriesAtOnce = 20_000;

/** Checks the account, from the ledger's checkpoint on. @param rest What the call before has left; absent: a check begins. */
export function checkState(sql: SqlStorage, rest?: Unsummed): Check {
  if (rest) return { unreadable: [], openHolds: [], ...addEntries(sql, rest) };
  const { account, counters, seq: upToSeq } = readState(sql);
  const unreadable: Check["unreadable"] = [];
  const open = openTasksBetween(sql, 0, upToSeq, ({ place, expected }) =>
    unreadable.push({ place, expected }),
  );
  const held = open.reduce((total, hold) => total + priceOf(hold), 0);
  const bytes = Number(sql.exec("SELECT coalesce(sum(bytes), 0) AS bytes FROM files").one().bytes);
  const { upToSeq: closedSeq, credited, charged } = newestClosed(sql);
  const { problems, unsummed } = addEntries(sql, {
    ...{ account, credited, charged, upToSeq, closedSeq },
    afterSeq: closedSeq,
  });
  problems.push(
    ...differencesOf({
      held: [account.held, held],
      "tasks in flight": [counters.open, open.length],
      "bytes of files": [readFileCounters(sql, null).bytes, bytes],
    }),
  );
  if (readSettings(sql)?.prepaid && availableOf(account) < 0) {
    problems.push(`a prepaid balance of which ${availableOf(account)} credits are available`);
  }
  const openHolds = open.map(({ seq, taskId, atMs }) => ({ holdNumber: seq, taskId, atMs }));
  return { problems, unreadable, openHolds, ...(unsummed && { unsummed }) };
}

/** Adds up some entries. Where the ledger was closed meanwhile nothing is said: the next check says it. */
function addEntries(sql: SqlStorage, rest: Unsummed): Pick<Check, "problems" | "unsummed"> {
  const { account, afterSeq, upToSeq } = rest;
  if (closedSeq(sql) !== rest.closedSeq) return { problems: [] };
  const sums = sql
    .exec<Record<"entries" | "lastSeq" | "credited" | "charged", number>>(
      `SELECT count(*) AS entries, coalesce(max(seq), 0) AS lastSeq,
         coalesce(sum(iif(type = '${settleType}', 0, amount)), 0) AS credited,
         coalesce(sum(iif(type = '${settleType}', amount, 0)), 0) AS charged
       FROM (SELECT seq, type, amount FROM ledger_entries WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${entriesAtOnce})`,
      ...[afterSeq, upToSeq],
    )
    .one();
  const [credited, charged] = [rest.credited + sums.credited, rest.charged + sums.charged];
  if (sums.entries === entriesAtOnce)
    return { problems: [], unsummed: { ...rest, credited, charged, afterSeq: sums.lastSeq } };
  const pairs = { "topped up": [account.toppedUp, credited], charged: [account.charged, charged] } as const;
  return { problems: differencesOf(pairs) };
}

function differencesOf(pairs: Record<string, readonly [kept: number, counted: number]>): string[] {
  return Object.entries(pairs)
    .filter(([, [kept, counted]]) => kept !== counted)
    .map(([what, [kept, counted]]) => `${what}: ${kept} in the account, ${counted} by its entries`);
}
