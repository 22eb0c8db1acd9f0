/** What is read of a ledger of a hundred thousand tasks, all of them in the object: a period's lines, and sums in calls that are short. */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { type Check, checkState, type Unsummed } from "../../src/tenant/check-state.ts";
import { entriesBefore } from "../../src/tenant/ledger.ts";
import { readLedger } from "../../src/tenant/read-ledger.ts";
import {
  admitOne,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  settle,
  t0,
} from "../helpers/tenant-object.ts";

const tasks = 100_000;
const everyMs = 25_000;
const id = freshId();

/** Tasks of one image of 30 credits, each of which ended before the next one came, by the row of one that did. */
async function fill(): Promise<void> {
  await configure(id, { limits: limitsOf({}) });
  const { holdNumber } = await admitOne(id, { images: 1 });
  await settle(id, holdNumber, { images: 1, nowMs: t0 });
  await runInDurableObject(objectOf(id), (_object, { storage: { sql } }) => {
    sql.exec(
      `INSERT INTO entries
       SELECT seq + 2 * i, type, at_ms + ?1 * i, amount, released, reference, note, balance - 30 * i, held, hold_seq + 2 * i,
         'task-' || i, key_id, hold_at_ms + ?1 * i, images, price, hold_balance - 30 * i, hold_held, replay, fingerprint, answered,
         oldest_open + 2 * i, json_set(state, '$[1]', 30 * (i + 1), '$[3]', seq + 2 * i)
       FROM entries, (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2) SELECT i FROM n)`,
      everyMs,
      tasks - 1,
    );
  });
}

interface Counted<T> {
  result: T;
  rows: number;
  /** Of one statement. */
  most: number;
}

/** Does something with the object's tables, and counts the rows that its statements read. */
function counting<T>(does: (sql: SqlStorage) => T): Promise<Counted<T>> {
  return runInDurableObject(objectOf(id), (_object, { storage }) => {
    const cursors: SqlStorageCursor<Record<string, SqlStorageValue>>[] = [];
    const exec: SqlStorage["exec"] = (query, ...values) => {
      const cursor = storage.sql.exec(query, ...values);
      cursors.push(cursor);
      return cursor as never;
    };
    const result = does({ exec } as SqlStorage);
    const read = cursors.map(({ rowsRead }) => rowsRead);
    return { result, rows: read.reduce((sum, one) => sum + one, 0), most: Math.max(...read) };
  });
}

beforeAll(fill, 60_000);

describe("a ledger of a hundred thousand tasks", () => {
  it("has its latest entries read for themselves", async () => {
    const { result, rows } = await counting((sql) => entriesBefore(sql, 2 * tasks, 100));
    expect([result.length, rows <= 110]).toEqual([100, true]);
  });

  const dayMs = 86_400_000;
  const all = { fromMs: 0, toMs: Number.MAX_SAFE_INTEGER, taskId: null, beforeSeq: Number.MAX_SAFE_INTEGER };

  it.each([
    ["its newest day", t0 + (tasks * everyMs - dayMs)],
    ["a day in the middle", t0 + 14 * dayMs],
    ["its first day", t0],
  ])("reads few rows beside those of a period: %s", async (_what, fromMs) => {
    const limit = 10_000;
    const asked = { ...all, fromMs, toMs: fromMs + dayMs, limit };
    const { result, rows } = await counting((sql) => readLedger(sql, asked));
    expect(result.length).toBeGreaterThanOrEqual((2 * dayMs) / everyMs - 2);
    expect(rows).toBeLessThanOrEqual(2 * result.length + 3_000);
  });

  it("reads few rows where a period has none", async () => {
    const { result, rows } = await counting((sql) =>
      readLedger(sql, { ...all, toMs: t0 - dayMs, limit: 100 }),
    );
    expect([result, rows <= 3_000]).toEqual([[], true]);
  });

  it("is added up in calls of some thousand rows, and a wrong amount is found in each", async () => {
    const addUp = async () => {
      const problems: string[] = [];
      let calls = 0;
      for (let rest: Unsummed | undefined | "first" = "first"; rest; calls++) {
        const asked: Unsummed | undefined = rest === "first" ? undefined : rest;
        const added: Counted<Check> = await counting((sql) => checkState(sql, asked));
        expect(added.most).toBeLessThanOrEqual(20_010);
        problems.push(...added.result.problems);
        rest = added.result.unsummed;
      }
      return { problems, calls };
    };
    expect(await addUp()).toEqual({ problems: [], calls: 6 });
    const add = (amount: number, at: number) =>
      counting((sql) => sql.exec("UPDATE entries SET amount = amount + ? WHERE seq = ?", amount, 2 * at));
    for (const at of [1, 30_000, tasks]) {
      await add(7, at);
      const charged = 30 * tasks;
      expect((await addUp()).problems).toEqual([
        `charged: ${charged} in the account, ${charged + 7} by its entries`,
      ]);
      await add(-7, at);
    }
    expect((await ledgerOf(id, { limit: 1 }))[0]).toMatchObject({ balance: -30 * tasks });
  });

  it("is said nothing of where it is closed while it is added up", async () => {
    const { result } = await counting((sql) => checkState(sql));
    const closedMeanwhile = { ...(result.unsummed as Unsummed), closedSeq: 9, credited: 5 };
    const { result: next } = await counting((sql) => checkState(sql, closedMeanwhile));
    expect(next).toEqual({ problems: [], unreadable: [], openHolds: [] });
  });
});
