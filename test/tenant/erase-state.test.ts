/** What erasing takes out of a tenant's object: fingerprints of erased tasks' requests, and of a deleted tenant all but its ledger. */
import { runInDurableObject } from "cloudflare:test";
import { describe, expect, it } from "vitest";
import { eraseState } from "../../src/tenant/erase-state.ts";
import type { Replay } from "../../src/tenant/replay.ts";
import {
  admitOne,
  beginTask,
  configOf,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  t0,
} from "../helpers/tenant-object.ts";

const byKey = (fingerprint: string): Replay => ({ by: "key", value: "order 7", fingerprint, retries: 0 });
const byBody = (retries: number): Replay => ({ by: "body", fingerprint: "a body", retries });

async function configured(): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: 1_000_000 });
  return id;
}

const inObject = <T>(id: string, work: (sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(objectOf(id), (_object, { storage }) => work(storage.sql));

const erase = (id: string, tasks: { id: string; holdNumber: number | null }[] | null) =>
  runInDurableObject(objectOf(id), (object) => object.erase(tasks));

/** Fingerprints that the object keeps, of open tasks and of settled ones. */
const fingerprints = (id: string) =>
  inObject(id, (sql) =>
    sql
      .exec(
        "SELECT fingerprint FROM open_tasks UNION ALL SELECT fingerprint FROM ledger_entries WHERE type = 'settle'",
      )
      .toArray()
      .map(({ fingerprint }) => fingerprint),
  );

describe("an erased task", () => {
  it.each([
    ["settled", true],
    ["not settled yet", false],
  ])(
    "that is %s has no fingerprint, and its idempotency key answers with it whatever the body is",
    async (_, settles) => {
      const id = await configured();
      const { holdNumber } = await admitOne(id, { taskId: "task-1", replay: byKey("a body") });
      if (settles) await settle(id, holdNumber, { images: 1 });
      expect(await beginTask(id, requestOf(id, { replay: byKey("other") }))).toMatchObject({
        kind: "other_body",
      });
      const before = await ledgerOf(id);
      // Another task's number, as after a restore, changes nothing.
      await erase(id, [{ id: "task-other", holdNumber }]);
      expect(await fingerprints(id)).toEqual(["a body"]);
      for (let time = 0; time < 2; time++)
        await erase(id, [
          { id: "task-1", holdNumber },
          { id: "task-2", holdNumber: null },
        ]);
      expect(await fingerprints(id)).toEqual([null]);
      expect(await ledgerOf(id)).toEqual(before);
      for (const body of ["a body", "other"]) {
        const again = await beginTask(id, requestOf(id, { replay: byKey(body) }));
        expect(again).toMatchObject({ kind: "replay", taskId: "task-1" });
      }
    },
  );

  it("is not found by its body any more: a retry of that makes a task", async () => {
    const id = await configured();
    const { holdNumber } = await admitOne(id, { taskId: "task-1", replay: byBody(0) });
    await settle(id, holdNumber);
    expect(await beginTask(id, requestOf(id, { replay: byBody(1) }))).toMatchObject({ kind: "replay" });
    await erase(id, [{ id: "task-1", holdNumber }]);
    expect(await beginTask(id, requestOf(id, { replay: byBody(1) }))).toMatchObject({ kind: "admitted" });
  });

  it("is found by what stands near its hold, however long the ledger is", async () => {
    const id = await configured();
    const holds = await Promise.all(
      Array.from({ length: 40 }, (_, i) => admitOne(id, { taskId: `task-${i}`, replay: byBody(0) })),
    );
    for (const { holdNumber } of holds.toReversed()) await settle(id, holdNumber);
    const tasks = holds.map(({ holdNumber }, i) => ({ id: `task-${i}`, holdNumber }));
    // Twenty thousand tasks that came later, and one of them that the ledger lacks.
    const rows = await inObject(id, (sql) => {
      // Half of the ends are in the table that is about to be closed.
      sql.exec("INSERT INTO older_entries SELECT * FROM entries WHERE seq <= 60");
      sql.exec("DELETE FROM entries WHERE seq <= 60");
      sql.exec(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO entries (seq, type, at_ms, amount, released, balance, held, hold_seq, task_id, key_id, hold_at_ms, images,
           price, hold_balance, hold_held, fingerprint, answered, oldest_open)
         SELECT 999 + 2 * i, 'settle', ${t0}, 0, 0, 0, 0, 998 + 2 * i, 'task-later-' || i, 'key-1', ${t0}, 1, 0, 0, 0, 'a body', 0,
           999 + 2 * i FROM n`,
      );
      let read = 0;
      const counting = {
        exec: (...args: Parameters<SqlStorage["exec"]>) => {
          const cursor = sql.exec(...args);
          const rowsOf = cursor.toArray();
          read += cursor.rowsRead;
          return Object.assign(cursor, { toArray: () => rowsOf });
        },
      } as unknown as SqlStorage;
      eraseState(counting, [...tasks, { id: "task-lost", holdNumber: 5_000 }]);
      return read;
    });
    expect(rows).toBeLessThan(40 * 50);
    expect((await fingerprints(id)).filter((one) => one === null)).toHaveLength(40);
  });
});

describe("a deleted tenant's object", () => {
  const suspended = (version = 2) =>
    stubOf(id).takeConfig(configOf({ version, status: "suspended", keys: [] }), t0);
  let id = "";
  const left = () =>
    inObject(id, (sql) =>
      Object.fromEntries(
        ["config", "keys", "scopes", "tokens", "files", "early_ends", "open_tasks", "entries"].map(
          (table) => [table, Number(sql.exec(`SELECT count(*) AS n FROM ${table}`).one().n)],
        ),
      ),
    );

  it("keeps its ledger and account, and nothing else", async () => {
    id = await configured();
    // Not while its keys work, and not while a task is open.
    expect(await erase(id, null)).toBe(false);
    const { holdNumber } = await admitOne(id, { taskId: "task-1", replay: byKey("a body") });
    await suspended();
    expect(await erase(id, null)).toBe(false);
    await settle(id, holdNumber, { images: 1 });
    await inObject(id, (sql) => {
      sql.exec("INSERT INTO tokens (id, images, expires_ms) VALUES ('tok-1', 1, 1)");
      sql.exec("INSERT INTO early_ends (task_id, at_ms) VALUES ('task-9', 1)");
      sql.exec("INSERT INTO scopes (scope, body) VALUES ('address 1', '{}')");
      sql.exec(
        "INSERT INTO files (id, key_id, bytes, date, uploaded, ends_ms) VALUES ('file-1', 'key-1', 1, '2030-03-17', 1, 1)",
      );
    });
    const before = await ledgerOf(id);
    for (let time = 0; time < 2; time++) expect(await erase(id, null)).toBe(true);
    expect(await left()).toEqual({
      ...{ config: 0, keys: 0, scopes: 1, tokens: 0, files: 0, early_ends: 0, open_tasks: 0 },
      entries: 2,
    });
    expect(await ledgerOf(id)).toEqual(before);
    expect(
      JSON.stringify(await inObject(id, (sql) => sql.exec("SELECT * FROM entries").toArray())),
    ).not.toContain("a body");
    // Who comes late is let in by nothing.
    expect(await beginTask(id, requestOf(id))).toEqual({ kind: "key_refused", refusal: "invalid_key" });
  });

  it("keeps the account of a ledger that is empty, and waits for an end that D1 lacks", async () => {
    id = freshId();
    await configure(id);
    await suspended();
    await inObject(id, (sql) => sql.exec("INSERT INTO early_ends VALUES ('task-9', 1, '{}')").toArray());
    expect(await erase(id, null)).toBe(false);
    await inObject(id, (sql) => sql.exec("UPDATE early_ends SET record = NULL").toArray());
    expect(await erase(id, null)).toBe(true);
    expect(await left()).toMatchObject({ scopes: 1, config: 0 });
  });
});
