/** Rows of many requests in a few statements: each as it was given, whatever is in it and however much there is. */
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import type { NewTask } from "../../src/d1/tasks/tasks.ts";
import { type Change, commitChanges } from "../../src/tenant/task-rows.ts";
import { clearTasks } from "../helpers/gateway.ts";
import { newTask, t0, taskOf } from "../helpers/seed.ts";

beforeEach(clearTasks);

const begin = (over: Partial<NewTask> = {}): Change & { kind: "begin" } => ({
  kind: "begin",
  task: newTask(over),
  low: null,
});

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
    const change = begin({ input: { prompt: text, n: 1, image_urls: [text] }, metadata: { [text]: text } });
    change.task.endUser = text;
    await commitChanges(env.DB, [begin(), change, begin()]);
    const { input, metadata, endUser } = await taskOf(change.task.id);
    expect({ input, metadata, endUser }).toEqual({
      input: change.task.input,
      metadata: change.task.metadata,
      endUser: text,
    });
  });

  it("is one call, and a statement for what begins and one for what was sent, however many they are", async () => {
    const sent = Array.from({ length: 20 }, () => begin());
    const { db, calls } = startRows();
    await commitChanges(db, sent);
    const notes = sent.map(({ task }, i): Change => {
      const submitted = { upstreamId: `task-unified-${i}`, submittedMs: t0, estimatedSeconds: null };
      return { kind: "submitted", task: { id: task.id, ...submitted } };
    });
    const changed = await commitChanges(db, [...notes, begin(), begin()]);
    expect(changed.map(({ row }) => row?.state)).toEqual([
      ...notes.map(() => "submitted"),
      "submitting",
      "submitting",
    ]);
    expect(calls).toEqual([1, 2]);
  });

  it("fits into what D1 takes as one value, also where all of them are as large as may be", async () => {
    const changes = Array.from({ length: 64 }, () =>
      begin({ input: { prompt: "漢".repeat(20_000), n: 1 }, metadata: {} }),
    );
    const { db, bytes } = startRows();
    const changed = await commitChanges(db, changes);
    expect(changed.map(({ row }) => row?.id)).toEqual(changes.map(({ task }) => task.id));
    expect(Math.max(...bytes)).toBeLessThan(2_000_000);
    expect(bytes.reduce((sum, one) => sum + one)).toBeGreaterThan(64 * 60_000);
  });

  it("has an outcome for each: a task that was given up has no row, and the second was not the first", async () => {
    const [given, kept, sent] = [begin(), begin(), begin()];
    await env.DB.prepare("INSERT INTO voids (id, at_ms) VALUES (?1, ?2)").bind(given.task.id, t0).run();
    await commitChanges(env.DB, [sent]);
    const submitted = { upstreamId: "task-unified-1", submittedMs: t0 + 5, estimatedSeconds: 30 };
    const note: Change = { kind: "submitted", task: { id: sent.task.id, ...submitted } };
    const first = await commitChanges(env.DB, [given, note, kept, note]);
    expect(first.map(({ row }) => row && [row.id, row.state])).toEqual([
      undefined,
      [sent.task.id, "submitted"],
      [kept.task.id, "submitting"],
      undefined,
    ]);
    expect(await taskOf(sent.task.id)).toMatchObject({ state: "submitted", ...submitted, version: 2 });
    const again = { ...note, task: { ...note.task, upstreamId: "task-unified-2" } };
    expect((await commitChanges(env.DB, [again])).map(({ row }) => row)).toEqual([undefined]);
    expect(await taskOf(sent.task.id)).toMatchObject({ upstreamId: "task-unified-1", version: 2 });
  });
});
