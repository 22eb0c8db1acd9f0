/** Whatever cron or a reader does is claimed first: each task goes to one of those who ask, however many ask at once. */
import { beforeEach, describe, expect, it } from "vitest";
import { coolDown } from "../../../src/d1/cron/leases.ts";
import { claimRefresh, claimSends, writePolls } from "../../../src/d1/tasks/due-tasks.ts";
import { claimStores, giveBackStores } from "../../../src/d1/tasks/store-claims.ts";
import {
  postponeSend,
  postponeStoring,
  queuePosition,
  selectQueuePosition,
} from "../../../src/d1/tasks/tasks.ts";
import { endStates, openStates, type TaskState } from "../../../src/domain/task.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import {
  claimStore,
  db,
  donePoll,
  hourMs,
  insertIn,
  insertQueued,
  insertStoring,
  insertSubmitted,
  insertSubmitting,
  leaseMs,
  t0,
  taskOf,
} from "../../helpers/seed.ts";

beforeEach(clearTasks);

const states: TaskState[] = [...openStates, ...endStates];
// Before the tasks' deadline.
const nowMs = t0 + hourMs / 2;
const leaseUntilMs = nowMs + leaseMs;

const sends = (limit: number, at = nowMs) => claimSends(db, at, at + leaseMs, limit);
const store = (which: "new" | "any" = "any", at = nowMs) => claimStore(db, at, at + leaseMs, which);
const ids = (tasks: { id: string }[]) => tasks.map((task) => task.id);
const sorted = (texts: string[]) => texts.toSorted((a, b) => (a < b ? -1 : 1));

/** One task of every state, all of them due; and which ones a claim took. */
async function claimedStates(claim: () => Promise<{ id: string }[]>): Promise<TaskState[]> {
  const made = new Map<string, TaskState>();
  for (const state of states) made.set((await insertIn(state)).id, state);
  const taken = new Set(ids(await claim()));
  return [...made].filter(([id]) => taken.has(id)).map(([, state]) => state);
}

describe("claiming tasks to send", () => {
  it("takes those that wait and those whose sender recorded no outcome, and no others", async () => {
    expect(await claimedStates(() => sends(100))).toEqual(["submitting", "queued"]);
  });

  it("counts the attempt, takes the lease, and knows whose first send may have gone through", async () => {
    const [queued, submitting] = [await insertQueued(), await insertSubmitting()];
    const claimed = await sends(10);
    expect(new Map(claimed.map((task) => [task.id, task]))).toEqual(
      new Map([
        [queued.id, { ...queued, state: "submitting", attempts: 2, dueMs: leaseUntilMs }],
        [submitting.id, { ...submitting, attempts: 2, uncertain: true, dueMs: leaseUntilMs }],
      ]),
    );
    for (const task of claimed) expect(await taskOf(task.id)).toEqual(task);
  });

  it("leaves what is not due, to the millisecond", async () => {
    const { id } = await insertQueued({}, t0 + 30_000);
    expect(await sends(10, t0 + 29_999)).toEqual([]);
    expect(ids(await sends(10, t0 + 30_000))).toEqual([id]);
  });

  it("leaves everything while the upstream's account cools down", async () => {
    await insertQueued();
    await coolDown(db, nowMs + 1);
    expect(await sends(10)).toEqual([]);
    expect(await sends(10, nowMs + 1)).toHaveLength(1);
  });

  it("takes those past their deadline first, also while the account cools down: they are only ended", async () => {
    await insertQueued({ createdMs: t0 - 1_000 });
    const overdue = await insertQueued({ deadlineMs: nowMs });
    await coolDown(db, nowMs + 1);
    expect(ids(await sends(10))).toEqual([overdue.id]);
  });

  it("takes those first that were made first", async () => {
    const late = await insertQueued({ createdMs: t0 + 9_000 });
    const early = await insertQueued({ createdMs: t0 + 1_000 });
    const middle = await insertQueued({ createdMs: t0 + 5_000 });
    expect(sorted(ids(await sends(2)))).toEqual(sorted([early.id, middle.id]));
    expect(ids(await sends(2))).toEqual([late.id]);
  });

  it("gives each tenant its turn, however many tasks another has waiting", async () => {
    for (let i = 0; i < 30; i++) await insertQueued({ tenantId: "busy", createdMs: t0 + i });
    const single = await insertQueued({ tenantId: "single", createdMs: t0 + 1_000 });
    const pair = [
      await insertQueued({ tenantId: "pair", createdMs: t0 + 2_000 }),
      await insertQueued({ tenantId: "pair", createdMs: t0 + 2_001 }),
    ];
    const first = ids(await sends(3));
    expect(first).toContain(single.id);
    expect(first).toContain(pair[0]?.id);
    expect(ids(await sends(2))).toContain(pair[1]?.id);
  });

  it("counts what the upstream has of a tenant by now as turns taken", async () => {
    for (let i = 0; i < 5; i++) await insertSubmitted({ tenantId: "busy" });
    await insertQueued({ tenantId: "busy", createdMs: t0 });
    const other = await insertQueued({ tenantId: "other", createdMs: t0 + 60_000 });
    expect(ids(await sends(1))).toEqual([other.id]);
  });

  it("gives each task to one claimer, however many ask at once", async () => {
    const made: string[] = [];
    for (let i = 0; i < 20; i++) made.push((await (i % 2 ? insertQueued() : insertSubmitting())).id);
    const claims = await Promise.all(Array.from({ length: 12 }, () => sends(3)));
    expect(sorted(claims.flatMap(ids))).toEqual(sorted(made));
    for (const claim of claims) expect(claim.length).toBeLessThanOrEqual(3);
    expect(await sends(100)).toEqual([]);
  });

  it("gives a task out again when its holder does not come back, and the late one has no lease left", async () => {
    await insertQueued();
    const [first] = await sends(1);
    const [second] = await sends(1, leaseUntilMs);
    expect(second).toMatchObject({ id: first?.id, attempts: 3, uncertain: true });
    if (!first || !second) throw new Error("not claimed");
    expect(await postponeSend(db, first, leaseUntilMs + 1, false)).toBe(false);
    expect(await postponeSend(db, second, leaseUntilMs + 1, false)).toBe(true);
    // The first send may have gone through, so it does not become `queued`, where it could be called off.
    expect(await taskOf(first.id)).toMatchObject({ state: "submitting" });
  });
});

describe("the position in the queue", () => {
  const positionOf = async (id: string) => queuePosition(await selectQueuePosition(db, id).all());

  it("is the order in which tasks are claimed", async () => {
    await insertSubmitted({ tenantId: "busy" });
    const made = [];
    for (let i = 0; i < 4; i++) made.push(await insertQueued({ tenantId: "busy", createdMs: t0 + i }));
    for (let i = 0; i < 3; i++)
      made.push(await insertQueued({ tenantId: `t-${i}`, createdMs: t0 + 100 + i }));
    const positions = new Map<number | null, string>();
    for (const { id } of made) positions.set(await positionOf(id), id);
    for (let place = 1; place <= made.length; place++) {
      expect(ids(await sends(1))).toEqual([positions.get(place)]);
    }
  });

  it("is none for a task that does not wait, and costs such a task's readers nothing", async () => {
    for (let i = 0; i < 50; i++) await insertQueued();
    const { id } = await insertSubmitted();
    const result = await selectQueuePosition(db, id).all();
    expect(queuePosition(result)).toBeNull();
    expect(result.meta.rows_read).toBeLessThan(5);
  });
});

describe("claiming tasks to store", () => {
  it("takes those whose pictures are ready, and no others", async () => {
    expect(
      await claimedStates(async () => {
        const claimed = [];
        for (let task = await store(); task; task = await store()) claimed.push(task);
        return claimed;
      }),
    ).toEqual(["storing"]);
  });

  it("counts the attempt and takes the lease", async () => {
    const task = await insertStoring();
    expect(await store()).toEqual({ ...task, attempts: 1, dueMs: leaseUntilMs });
    expect(await store()).toBeUndefined();
  });

  it("takes those first whose links expire first", async () => {
    const made: string[] = [];
    for (const hours of [5, 1, 3]) {
      const { id } = await insertSubmitted();
      await writePolls(db, [donePoll(id, { upstreamLinksExpireMs: t0 + hours * hourMs })], t0);
      made.push(id);
    }
    const order = [await store(), await store(), await store()].map((task) => task?.id);
    expect(order).toEqual([made[1], made[2], made[0]]);
  });

  it("gives each tenant its turn, however many pictures of another's wait or hang", async () => {
    const busy = [];
    for (let i = 0; i < 5; i++) busy.push((await insertStoring({ tenantId: "busy" })).id);
    const other = await insertStoring({ tenantId: "other" });
    expect(busy).toContain((await store())?.id);
    expect((await store())?.id).toBe(other.id);
    expect(busy).toContain((await store())?.id);
  });

  it("takes only those that were never attempted when asked for new ones, whatever is older", async () => {
    const attempted = await insertStoring();
    await claimStore(db, nowMs - leaseMs, nowMs, "any");
    expect(await store("new")).toBeUndefined();
    const untried = await insertStoring();
    expect((await store("new"))?.id).toBe(untried.id);
    expect((await store())?.id).toBe(attempted.id);
  });

  it("goes on while the upstream's account cools down: the pictures are there", async () => {
    const { id } = await insertStoring();
    await coolDown(db, nowMs + hourMs);
    expect((await store())?.id).toBe(id);
  });

  it("gives each task to one claimer, however many ask at once", async () => {
    const made: string[] = [];
    for (let i = 0; i < 12; i++) made.push((await insertStoring()).id);
    const claims = await Promise.all([
      ...Array.from({ length: 20 }, (_, index) => store(index % 2 ? "new" : "any")),
    ]);
    expect(sorted(claims.flatMap((task) => task?.id ?? []))).toEqual(sorted(made));
  });

  it("claims several at once in turns by tenant, and takes back what was not begun", async () => {
    const many = [await insertStoring(), await insertStoring(), await insertStoring()];
    const other = await insertStoring({ tenantId: "other" });
    const claimed = await claimStores(db, nowMs, leaseUntilMs, "new", 3);
    expect(claimed).toHaveLength(3);
    expect(claimed.map(({ id }) => id)).toContain(other.id);
    const [begun, ...rest] = claimed.map(({ id }) => id);
    await giveBackStores(db, rest, leaseUntilMs, nowMs);
    // A lease that another storer holds by now is not given back.
    await giveBackStores(db, [begun ?? ""], leaseUntilMs + 1, nowMs);
    const left = sorted([...many, other].map(({ id }) => id).filter((id) => id !== begun));
    const again = await claimStores(db, nowMs, leaseUntilMs, "new", 9);
    expect(sorted(again.map(({ id }) => id))).toEqual(left);
  });

  it("gives a task out again when its holder does not come back, and the late one has no lease left", async () => {
    await insertStoring();
    const first = await store();
    const second = await store("any", leaseUntilMs);
    if (!first || !second) throw new Error("not claimed");
    expect(second.attempts).toBe(2);
    expect(await postponeStoring(db, first, [], leaseUntilMs + 1)).toBe(false);
    expect((await taskOf(first.id)).images).toEqual(first.images);
  });
});

describe("claiming a poll for a reader", () => {
  it("is possible only while the upstream has the task", async () => {
    const taken: TaskState[] = [];
    for (const state of states) {
      const { id } = await insertIn(state);
      const before = await taskOf(id);
      if (await claimRefresh(db, id, nowMs, 3_000)) taken.push(state);
      else expect(await taskOf(id)).toEqual(before);
    }
    expect(taken).toEqual(["submitted"]);
  });

  it("has what a poll needs, and that a reader waits", async () => {
    const task = await insertSubmitted();
    expect(await claimRefresh(db, task.id, nowMs, 3_000)).toEqual({
      id: task.id,
      state: "submitted",
      createdMs: t0,
      upstreamId: task.upstreamId,
      deadlineMs: t0 + hourMs,
      processing: false,
      progress: 0,
      estimatedSeconds: 45,
      imagesAsked: 2,
      isRead: true,
    });
    expect(await taskOf(task.id)).toEqual({ ...task, refreshedMs: nowMs });
  });

  it("goes to one of all who read within the interval", async () => {
    const { id } = await insertSubmitted();
    const claims = await Promise.all(Array.from({ length: 20 }, () => claimRefresh(db, id, nowMs, 3_000)));
    expect(claims.filter(Boolean)).toHaveLength(1);
    expect(await claimRefresh(db, id, nowMs + 2_999, 3_000)).toBeUndefined();
    expect(await claimRefresh(db, id, nowMs + 3_000, 3_000)).toBeDefined();
  });

  it("waits for an interval after the upstream took the task", async () => {
    const { id } = await insertSubmitted();
    expect(await claimRefresh(db, id, t0 + 2_999, 3_000)).toBeUndefined();
    expect(await claimRefresh(db, id, t0 + 3_000, 3_000)).toBeDefined();
  });

  it("waits while the upstream's account cools down", async () => {
    const { id } = await insertSubmitted();
    await coolDown(db, nowMs + 1);
    expect(await claimRefresh(db, id, nowMs, 3_000)).toBeUndefined();
    expect(await claimRefresh(db, id, nowMs + 1, 3_000)).toBeDefined();
  });
});
