/**
 * What is old of a tenant's ledger goes to R2, and nothing else changes: the lines, the account, what replays and late ends
 * get. A closing that dies at any step, or runs twice, is gone on with.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { makePart } from "../../src/domain/ledger-part.ts";
import { closeBooks, keepPart, planPart } from "../../src/tenant/closing.ts";
import {
  admitOne,
  beginTask,
  configure,
  freshId,
  ledgerOf,
  limitsOf,
  objectOf,
  partsOf,
  requestOf,
  settle,
  stubOf,
  summaryOf,
  t0,
  wholeLedgerOf,
} from "../helpers/tenant-object.ts";

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

async function configured(): Promise<string> {
  const id = freshId();
  await configure(id, { limits: limitsOf({}), prepaid: true, openingBalance: 10_000 });
  return id;
}

/** Some tasks of a moment, of which one image each is made, and a credit. */
async function work(id: string, nowMs: number, tasks = 3): Promise<void> {
  for (let i = 0; i < tasks; i++) {
    const { holdNumber } = await admitOne(id, { images: 2, nowMs });
    await settle(id, holdNumber, { images: 1, nowMs: nowMs + 30_000 });
  }
  await stubOf(id).credit(id, { type: "topup", amount: 50, reference: `at ${nowMs}`, note: "n" }, nowMs);
}

/** A tenant with two months of work, whose table of entries was begun anew at their end. */
async function twoMonths(): Promise<{ id: string; nowMs: number }> {
  const id = await configured();
  for (const day of [0, 10, 34, 36, 60]) await work(id, t0 + day * dayMs);
  await stubOf(id).closeBooks(t0 + 61 * dayMs);
  return { id, nowMs: t0 + 80 * dayMs };
}

/** The account, every line, and whether all of it adds up. */
async function booksOf(id: string, nowMs: number) {
  const { balance, held } = await summaryOf(id, nowMs);
  const { problems } = await stubOf(id).check();
  return { balance, held, problems, lines: await wholeLedgerOf(id) };
}

/** Gives the newest entry a higher number, as if many had come before it. */
const skipNumbers = (id: string) =>
  runInDurableObject(objectOf(id), (_object, { storage }) => {
    storage.sql.exec(
      `UPDATE entries SET seq = seq + 40000, state = json_set(state, '$[3]', seq + 40000)
       WHERE seq = (SELECT max(seq) FROM entries)`,
    );
  });

/** Rows of entries that the object still has. */
const entriesOf = (id: string) =>
  runInDurableObject(objectOf(id), (_object, { storage }) =>
    Number(storage.sql.exec("SELECT count(*) AS n FROM ledger_entries").one().n),
  );

describe("a ledger that is closed", () => {
  it("has the same lines and account, and keeps on in the object what is younger than 35 days", async () => {
    const { id, nowMs } = await twoMonths();
    const before = await booksOf(id, nowMs);
    await stubOf(id).closeBooks(t0 + 94 * dayMs);
    expect(await partsOf(id)).toEqual([]);
    const laterMs = t0 + 96 * dayMs;
    await work(id, laterMs);
    const grown = await booksOf(id, laterMs);
    await stubOf(id).closeBooks(laterMs);
    expect(await booksOf(id, laterMs)).toEqual(grown);
    expect(grown.lines.slice(-before.lines.length)).toEqual(before.lines);
    const parts = await partsOf(id);
    expect(parts.length).toBeGreaterThan(1);
    expect(await ledgerOf(id)).not.toHaveLength(grown.lines.length);
    expect(await entriesOf(id)).toBeLessThan(grown.lines.length / 3);
    await evictDurableObject(objectOf(id));
    expect(await booksOf(id, laterMs)).toEqual(grown);
  });

  it("is in parts by month, each with the sums up to its end and the hash of the one before", async () => {
    const { id } = await twoMonths();
    const nowMs = t0 + 120 * dayMs;
    await stubOf(id).closeBooks(nowMs);
    const parts = (await partsOf(id)).toReversed();
    const monthOf = (ms: number) => new Date(ms).toISOString().slice(0, 7);
    expect(parts.map(({ fromMs, toMs }) => [monthOf(fromMs), monthOf(toMs)])).toEqual(
      parts.map(({ key }) => [key.split("/")[2], key.split("/")[2]]),
    );
    expect(parts.map(({ number }) => number)).toEqual(parts.map((_, i) => i + 1));
    expect(parts.map(({ afterSeq }) => afterSeq)).toEqual([
      0,
      ...parts.slice(0, -1).map((one) => one.upToSeq),
    ]);
    for (const { key } of parts) expect(key).toMatch(/^ledger\/[^/]+\/\d{4}-\d\d\/[0-9a-z]{26}\.ndjson\.gz$/);
    const lines = await wholeLedgerOf(id);
    const sumOf = (...types: string[]) =>
      lines.filter(({ type }) => types.includes(type)).reduce((sum, { amount }) => sum + amount, 0);
    const open = await ledgerOf(id);
    const of = (type: string) =>
      open.filter((line) => line.type === type).reduce((sum, { amount }) => sum + amount, 0);
    expect(parts.at(-1)).toMatchObject({
      credited: sumOf("topup") - of("topup"),
      charged: sumOf("charge") - of("charge"),
    });
  });

  it("takes the end of a task whose hold is closed, once", async () => {
    const id = await configured();
    const { holdNumber } = await admitOne(id, { images: 4 });
    await work(id, t0 + hourMs);
    const nowMs = t0 + 80 * dayMs;
    await stubOf(id).closeBooks(nowMs);
    expect(await partsOf(id)).not.toEqual([]);
    expect(await settle(id, holdNumber, { images: 3, nowMs })).toBe("settled");
    expect(await settle(id, holdNumber, { images: 3, nowMs })).toBe("settled_before");
    const { held, problems, lines } = await booksOf(id, nowMs);
    expect([held, problems]).toEqual([0, []]);
    expect(lines.filter(({ seq }) => seq === holdNumber)).toHaveLength(1);
    expect(lines.slice(0, 2).map(({ type, amount }) => [type, amount])).toEqual([
      ["release", 30],
      ["charge", 90],
    ]);
  });

  it("knows ends and credits that it has closed when they come again", async () => {
    const id = await configured();
    const request = requestOf(id);
    const begun = await beginTask(id, request);
    const holdNumber = begun.kind === "admitted" ? begun.holdNumber : 0;
    await settle(id, holdNumber, { images: 1 });
    const wanted = { type: "topup", amount: 70, reference: "invoice-1", note: "n" } as const;
    const first = await stubOf(id).credit(id, wanted, t0);
    await work(id, t0);
    const nowMs = t0 + 80 * dayMs;
    await stubOf(id).closeBooks(nowMs);
    expect(await entriesOf(id)).toBe(1);
    const { taskId } = request;
    expect(await settle(id, holdNumber, { images: 1, taskId, nowMs })).toBe("settled_before");
    const again = await stubOf(id).credit(id, wanted, nowMs);
    expect(again).toEqual({ ...first, isReplay: true });
    const other = await stubOf(id).credit(id, { ...wanted, amount: 71 }, nowMs);
    expect(other.kind).toBe("reference_taken");
  });

  it("is not closed while a replay is found by it, however many numbers follow", async () => {
    const id = await configured();
    const replay = { by: "key", value: "a", fingerprint: "f", retries: 0 } as const;
    const { holdNumber } = await admitOne(id, { replay });
    await settle(id, holdNumber);
    await work(id, t0);
    await skipNumbers(id);
    await stubOf(id).closeBooks(t0 + 24 * hourMs);
    await skipNumbers(id);
    await stubOf(id).closeBooks(t0 + 24 * hourMs);
    expect(await partsOf(id)).toEqual([]);
    const { kind } = await beginTask(id, requestOf(id, { replay, nowMs: t0 + 23 * hourMs }));
    expect(kind).toBe("replay");
    // Then it is.
    for (const hours of [26, 52]) {
      await work(id, t0 + hours * hourMs);
      await skipNumbers(id);
      await stubOf(id).closeBooks(t0 + hours * hourMs);
    }
    expect(await partsOf(id)).not.toEqual([]);
    expect((await booksOf(id, t0)).problems).toEqual([]);
  });
});

describe("a closing that", () => {
  const nowMs = t0 + 120 * dayMs;
  const inside = <T>(id: string, does: (storage: DurableObjectStorage) => T | Promise<T>) =>
    runInDurableObject(objectOf(id), (_object, { storage }) => does(storage));
  const key = (month: string) => `ledger/test/${month}/1`;

  it.each<[string, (id: string) => Promise<unknown>]>([
    ["dies after its plan", (id) => inside(id, ({ sql }) => planPart(sql, nowMs, key)?.number)],
    [
      "cannot put",
      (id) =>
        inside(id, async (storage) => {
          const bucket = { put: () => Promise.reject(new Error("R2 is out")) } as unknown as R2Bucket;
          await expect(closeBooks({ storage, bucket, tenantId: id }, nowMs)).rejects.toThrow("R2 is out");
        }),
    ],
    [
      "finds something else than it has put",
      (id) =>
        inside(id, async (storage) => {
          const put = (at: string) => env.IMAGES.put(at, "something else");
          const bucket = { put, get: (at: string) => env.IMAGES.get(at) } as unknown as R2Bucket;
          await expect(closeBooks({ storage, bucket, tenantId: id }, nowMs)).rejects.toThrow(
            "not what was written",
          );
        }),
    ],
    [
      "dies between two parts",
      (id) =>
        inside(id, async ({ sql }) => {
          const plan = planPart(sql, nowMs, key);
          if (!plan) throw new Error("no plan");
          const { part, bytes } = await makePart(id, plan.before, plan, plan.lines);
          await env.IMAGES.put(part.key, bytes);
          keepPart(sql, part);
        }),
    ],
    [
      "runs twice at a time",
      async (id) => Promise.all([stubOf(id).closeBooks(nowMs), stubOf(id).closeBooks(nowMs)]),
    ],
  ])("%s is gone on with", async (_what, fails) => {
    const { id } = await twoMonths();
    await work(id, nowMs);
    const before = await booksOf(id, nowMs);
    await fails(id);
    expect(await booksOf(id, nowMs)).toEqual(before);
    await evictDurableObject(objectOf(id));
    await stubOf(id).closeBooks(nowMs);
    expect(await booksOf(id, nowMs)).toEqual(before);
    expect((await partsOf(id)).length).toBeGreaterThan(1);
    await work(id, nowMs);
    expect((await booksOf(id, nowMs)).problems).toEqual([]);
  });
});
