import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { coolDown, releaseTick, takeTick } from "../../../src/d1/cron/leases.ts";
import { claimRefresh, claimSends, selectDue, selectPolls } from "../../../src/d1/tasks/due-tasks.ts";
import { clearTasks } from "../../helpers/gateway.ts";
import { db, insertSubmitted, insertSubmitting, t0 } from "../../helpers/seed.ts";

beforeEach(clearTasks);
/** As the migrations make them. */
afterEach(() => db.prepare("INSERT OR IGNORE INTO leases VALUES ('tick', 0), ('cool_down', 0)").run());

async function untilMs(name: string): Promise<unknown> {
  const { results } = await db
    .prepare("SELECT until_ms AS until FROM leases WHERE name = ?1")
    .bind(name)
    .run();
  return results[0]?.until;
}

describe("the tick", () => {
  it("is taken by one of all that come at once", async () => {
    const taken = await Promise.all(
      Array.from({ length: 10 }, (_, index) => takeTick(db, t0, t0 + 58_500 + index)),
    );
    expect(taken.filter(Boolean)).toHaveLength(1);
    expect(await untilMs("tick")).toBe(t0 + 58_500 + taken.indexOf(true));
  });

  it("is free again when its time is over, and not a millisecond before", async () => {
    await takeTick(db, t0, t0 + 58_500);
    expect(await takeTick(db, t0 + 58_499, t0 + 118_500)).toBe(false);
    expect(await takeTick(db, t0 + 58_500, t0 + 118_500)).toBe(true);
  });

  it("is free again when it is given back", async () => {
    await takeTick(db, t0, t0 + 58_500);
    await releaseTick(db, t0 + 10, t0 + 58_500);
    expect(await takeTick(db, t0 + 10, t0 + 58_500)).toBe(true);
  });

  it("is not given back by one whose time was over: it is another's", async () => {
    await takeTick(db, t0, t0 + 1_000);
    await takeTick(db, t0 + 1_000, t0 + 60_000);
    await releaseTick(db, t0 + 2_000, t0 + 1_000);
    expect(await takeTick(db, t0 + 3_000, t0 + 61_000)).toBe(false);
  });
});

describe("a lease whose row is lost", () => {
  beforeEach(() => db.prepare("DELETE FROM leases").run());

  it("is free: the tick is taken by one", async () => {
    const taken = await Promise.all([takeTick(db, t0, t0 + 58_500), takeTick(db, t0, t0 + 58_500)]);
    expect(taken.toSorted()).toEqual([false, true]);
    expect(await untilMs("tick")).toBe(t0 + 58_500);
  });

  it("is no pause: tasks are written, claimed and polled", async () => {
    const task = await insertSubmitting({ createdMs: t0 });
    expect(task).toMatchObject({ state: "submitting", attempts: 1 });
    const { id } = await insertSubmitted();
    const nowMs = t0 + 120_000;
    const { due } = await selectDue(db, { nowMs, previousMs: t0 + 60_000, limit: 9 });
    expect(due.map((one) => one.id)).toContain(id);
    expect(await selectPolls(db, [id], nowMs)).toHaveLength(1);
    expect(await claimRefresh(db, id, nowMs, 0)).toMatchObject({ id });
    expect(await claimSends(db, nowMs, nowMs + 1_000, 9)).toMatchObject([{ id: task.id }]);
  });

  it("is made again by the next pause", async () => {
    await coolDown(db, t0 + 30_000);
    expect(await untilMs("cool_down")).toBe(t0 + 30_000);
  });
});

describe("the pause of the upstream's account", () => {
  it("only grows: a shorter one never cuts a longer one", async () => {
    await coolDown(db, t0 + 30_000);
    await coolDown(db, t0 + 5_000);
    expect(await untilMs("cool_down")).toBe(t0 + 30_000);
    await coolDown(db, t0 + 60_000);
    expect(await untilMs("cool_down")).toBe(t0 + 60_000);
  });

  it("of many at once is the longest of theirs", async () => {
    await Promise.all([3, 9, 1, 7].map((seconds) => coolDown(db, t0 + seconds * 1_000)));
    expect(await untilMs("cool_down")).toBe(t0 + 9_000);
  });

  it("leaves the tick alone, and the tick leaves it alone", async () => {
    await coolDown(db, t0 + 30_000);
    expect(await takeTick(db, t0, t0 + 58_500)).toBe(true);
    await releaseTick(db, t0, t0 + 58_500);
    expect(await untilMs("cool_down")).toBe(t0 + 30_000);
  });
});
