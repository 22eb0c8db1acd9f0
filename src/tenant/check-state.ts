/** Adding a tenant's states up again from the rows behind them: what should be equal by construction is shown to be. */
import { availableOf, priceOf } from "../domain/account.ts";
import type { StoredDataUnreadable } from "../domain/stored.ts";
import { readSettings } from "./config-copy.ts";
import { settleType } from "./ledger.ts";
import { openTasksBetween } from "./open-tasks.ts";
import { readFileCounters } from "./scopes.ts";
import { readState } from "./tenant-state.ts";

export interface OpenHold {
  holdNumber: number;
  taskId: string;
  atMs: number;
}

export interface Check {
  /** What does not add up, in words; empty when all is sound. */
  problems: string[];
  /** Holds that have not ended and cannot be read; they are in no sum. */
  unreadable: Pick<StoredDataUnreadable, "place" | "expected">[];
  /** Oldest first. */
  openHolds: OpenHold[];
}

export function checkState(sql: SqlStorage): Check {
  const state = readState(sql);
  const { account, counters } = state;
  const sum = (query: string) => Number(sql.exec(query).one().sum);
  const credited = sum(`SELECT coalesce(sum(amount), 0) AS sum FROM entries WHERE type <> '${settleType}'`);
  const charged = sum(`SELECT coalesce(sum(amount), 0) AS sum FROM entries WHERE type = '${settleType}'`);
  const unreadable: Check["unreadable"] = [];
  const open = openTasksBetween(sql, 0, state.seq, ({ place, expected }) =>
    unreadable.push({ place, expected }),
  );
  const held = open.reduce((total, hold) => total + priceOf(hold), 0);
  const pairs = {
    "topped up": [account.toppedUp, credited],
    charged: [account.charged, charged],
    held: [account.held, held],
    "tasks in flight": [counters.open, open.length],
    "bytes of files": [
      readFileCounters(sql, null).bytes,
      sum("SELECT coalesce(sum(bytes), 0) AS sum FROM files"),
    ],
  };
  const problems = Object.entries(pairs)
    .filter(([, [kept, counted]]) => kept !== counted)
    .map(([what, [kept, counted]]) => `${what}: ${kept} in the account, ${counted} by its entries`);
  if (readSettings(sql)?.prepaid && availableOf(account) < 0) {
    problems.push(`a prepaid balance of which ${availableOf(account)} credits are available`);
  }
  return {
    problems,
    unreadable,
    openHolds: open.map(({ seq, taskId, atMs }) => ({ holdNumber: seq, taskId, atMs })),
  };
}
