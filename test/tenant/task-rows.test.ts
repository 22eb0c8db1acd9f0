/** Rows of many requests in a few statements: each as it was given, whatever is in it and however much there is. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { claimSends } from "../../src/d1/tasks/due-tasks.ts";
import type { FirstOutcome, NewTask } from "../../src/domain/new-task.ts";
import { type TaskRow, writeRows } from "../../src/tenant/task-rows.ts";
import { clearTasks } from "../helpers/gateway.ts";
import { newTask, t0, taskOf } from "../helpers/seed.ts";

beforeEach(clearTasks);

const rowOf = (over: Partial<NewTask> = {}, outcome: FirstOutcome | null = null): TaskRow => ({
  task: newTask(over),
  low: null,
  outcome,
});

const submitted: FirstOutcome = {
  kind: "submitted",
  upstreamId: "task-unified-1",
  submittedMs: t0 + 5,
  estimatedSeconds: 30,
};

/** D1, how many bytes each value has that it is given, and how many statements each call. */
function startRows(): { db: D1Database; bytes: number[]; calls: number[] } {
  const bytes: number[] = [];
  const calls: number[] = [];
  const prepare = (query: string) => {
    const statement = env.DB.prepare(query);
    const bind = (...values: unknown[]) => {
      bytes.push(...values.map((value) => new TextEncoder().encode(String(value)).length));
      return statement.bind(...values);
    };
    return { bind };
  };
  const batch = (statements: D1PreparedStatement[]) => {
    calls.push(statements.length);
    return env.DB.batch(statements);
  };
  return { db: { prepare, batch } as unknown as D1Database, bytes, calls };
}

describe("what a group of requests writes", () => {
  it.each([
    ['a "quoted" \\ back\\slash, a \n line, a \t tab'],
    ["漢字, 😀, e\u0301, \u2028 and \u202e"],
    ["'; DROP TABLE tasks; --"],
    ["$.id ? ?1 :name {} [] null"],
    ["a \u0000 in it"],
  ])("is kept letter by letter: %j", async (text) => {
    const row = rowOf({ input: { prompt: text, n: 1, image_urls: [text] }, metadata: { [text]: text } });
    row.task.endUser = text;
    await writeRows(env.DB, [rowOf(), row, rowOf()]);
    const { input, metadata, endUser } = await taskOf(row.task.id);
    expect({ input, metadata, endUser }).toEqual({
      input: row.task.input,
      metadata: row.task.metadata,
      endUser: text,
    });
  });

  it("is one statement, with outcomes and without, however many they are", async () => {
    const { db, calls } = startRows();
    const rows = Array.from({ length: 20 }, (_, i) => rowOf({}, i % 2 ? submitted : null));
    const written = await writeRows(db, rows);
    expect(written.map((row) => row?.state)).toEqual(
      rows.map(({ outcome }) => (outcome ? "submitted" : "submitting")),
    );
    expect(calls).toEqual([1]);
  });

  it("fits into what D1 takes as one value, also where all of them are as large as may be", async () => {
    const rows = Array.from({ length: 64 }, () =>
      rowOf({ input: { prompt: "漢".repeat(20_000), n: 1 }, metadata: {} }),
    );
    const { db, bytes } = startRows();
    const written = await writeRows(db, rows);
    expect(written.map((row) => row?.id)).toEqual(rows.map(({ task }) => task.id));
    expect(Math.max(...bytes)).toBeLessThan(2_000_000);
    expect(bytes.reduce((sum, one) => sum + one)).toBeGreaterThan(64 * 60_000);
  });
});

describe("a row that is written a second time", () => {
  const outcomes = {
    busy: { kind: "busy", dueMs: t0 + 9_000 },
    unknown: { kind: "unknown", dueMs: t0 + 9_000 },
    refused: { kind: "refused", errorCode: "invalid_parameters", finishedMs: t0 + 9, hidden: true },
    submitted,
  } satisfies Record<string, FirstOutcome>;

  it.each([
    ["busy", { state: "queued", dueMs: t0 + 9_000, uncertain: false }],
    ["unknown", { state: "submitting", dueMs: t0 + 9_000, uncertain: true, version: 2 }],
    ["refused", { state: "failed", hidden: true, errorCode: "invalid_parameters", finishedMs: t0 + 9 }],
    ["submitted", { state: "submitted", upstreamId: "task-unified-1", submittedMs: t0 + 5, version: 2 }],
  ] as const)(
    "goes on to the outcome %s, as if it had been written once, and no further",
    async (kind, shown) => {
      const [late, once] = [rowOf(), rowOf()];
      await writeRows(env.DB, [late]);
      for (const row of [late, once])
        expect(await writeRows(env.DB, [{ ...row, outcome: outcomes[kind] }])).toMatchObject([
          { id: row.task.id },
        ]);
      expect(await taskOf(late.task.id)).toMatchObject(shown);
      expect(await taskOf(once.task.id)).toMatchObject(shown);
      for (const outcome of [outcomes[kind], null]) {
        const before = await taskOf(late.task.id);
        expect(await writeRows(env.DB, [{ ...late, outcome }])).toEqual([undefined]);
        expect(await taskOf(late.task.id)).toEqual(before);
      }
    },
  );

  it.each([
    ["busy", "submitting"],
    ["unknown", "submitting"],
    ["submitted", "submitted"],
  ] as const)("by a sender whose lease ran out, with the outcome %s, is %s", async (kind, state) => {
    const row = rowOf({ dueMs: t0 + 60_000 });
    await writeRows(env.DB, [row]);
    await claimSends(env.DB, t0 + 60_000, t0 + 120_000, 1);
    await writeRows(env.DB, [{ ...row, outcome: outcomes[kind] }]);
    expect(await taskOf(row.task.id)).toMatchObject({
      state,
      dueMs: kind === "submitted" ? t0 + 5 : t0 + 120_000,
      uncertain: true,
    });
  });

  it("does not take a task from the upstream that has it, whatever the sender says", async () => {
    const row = rowOf({}, submitted);
    await writeRows(env.DB, [row]);
    for (const outcome of Object.values({ ...outcomes, submitted: { ...submitted, upstreamId: "another" } }))
      expect(await writeRows(env.DB, [{ ...row, outcome }])).toEqual([undefined]);
    expect(await taskOf(row.task.id)).toMatchObject({
      state: "submitted",
      upstreamId: "task-unified-1",
      version: 2,
    });
  });
});
