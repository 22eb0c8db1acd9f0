/**
 * A tenant's object that was there before its state went with its newest hold or entry: its money, its ledger and its open
 * holds are the same afterwards, and what was open is ended once.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { expect, it } from "vitest";
import {
  admitOne,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  settle,
  summaryOf,
} from "../helpers/tenant-object.ts";

const stateStep = 3;
const checkOf = (id: string) => runInDurableObject(objectOf(id), (object) => object.check());

/** Puts an object back to how the code of before would have left it. */
const takeBack = (id: string) =>
  runInDurableObject(objectOf(id), (_object, { storage }) => {
    const { sql } = storage;
    const rows = (table: string) => sql.exec(`SELECT * FROM ${table} ORDER BY seq`).toArray();
    const [holds, entries] = [rows("holds"), rows("entries")];
    const newest = [...holds, ...entries].toSorted((a, b) => Number(b.seq) - Number(a.seq))[0];
    const { open, counters, lowBalanceNotified, ...rest } = JSON.parse(String(newest?.state)) as {
      open: [number, number][];
      counters: object;
      lowBalanceNotified: boolean;
    };
    const state = { ...rest, meters: counters, lowTold: lowBalanceNotified };
    const isOpen = (seq: number) => open.some(([first, last]) => first <= seq && seq <= last);
    const ended = holds.filter(({ seq }) => !isOpen(Number(seq)));
    for (const { seq } of ended) sql.exec("UPDATE holds SET settled = 1 WHERE seq = ?", Number(seq));
    for (const table of ["holds", "entries"]) {
      sql.exec(`ALTER TABLE ${table} DROP COLUMN state`);
      sql.exec(`ALTER TABLE ${table} RENAME COLUMN task_id TO task`);
    }
    sql.exec("DELETE FROM scopes WHERE scope = ''");
    sql.exec("INSERT INTO scopes (scope, body) VALUES ('', ?)", JSON.stringify(state));
    sql.exec("ALTER TABLE scopes RENAME TO books");
    sql.exec("DELETE FROM steps WHERE done > ?", stateStep);
  });

it("keeps its money and its ledger, and ends what is open once", async () => {
  const id = freshId();
  await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: 1_000 });
  const holds = [];
  for (let i = 0; i < 6; i++) holds.push((await admitOne(id, { images: 2 })).holdNumber);
  const [first = 0, second = 0, third = 0, ...rest] = holds;
  await settle(id, second, { images: 2 });
  await settle(id, third, { images: 1 });
  const before = [await summaryOf(id), await ledgerOf(id)];

  await takeBack(id);
  await evictDurableObject(objectOf(id));
  expect([await summaryOf(id), await ledgerOf(id)]).toEqual(before);
  expect(await checkOf(id)).toMatchObject({ problems: [], openHolds: { length: 4 } });

  expect(await settle(id, second, { images: 2 })).toBe(false);
  for (const hold of [first, ...rest]) expect(await settle(id, hold, { images: 2 })).toBe(true);
  for (const hold of holds) expect(await settle(id, hold, { images: 2 })).toBe(false);
  expect(await summaryOf(id)).toMatchObject({ balance: 1_000 - 11 * 30, held: 0 });
  expect(await checkOf(id)).toEqual({ problems: [], unreadable: [], openHolds: [] });
});
