import { describe, expect, it } from "vitest";
import {
  changeFrom,
  firstPollMs,
  pollSchedule,
  refreshIntervalMs,
  type UpstreamTask,
  upstreamLinkLifeMs,
} from "../../src/domain/poll.ts";
import { makePollTarget, seen } from "../helpers/domain-values.ts";

const links = ["https://files.example/1", "https://files.example/2", "https://files.example/3"];

/** Polls of one task, one after the other; the progress after each. */
function progressesOf(polls: UpstreamTask[]): number[] {
  let task = makePollTarget();
  return polls.map((one) => {
    const change = changeFrom(task, one);
    if (change.kind === "progress") task = { ...task, ...change };
    return task.progress;
  });
}

describe("progress", () => {
  it("never falls and never becomes 100, whatever the upstream says", () => {
    const words = ["pending", "processing", "completed"] as const;
    // Every value once, in an order that jumps up and down; null in between.
    const polls = Array.from({ length: 202 }, (_, index) =>
      seen({
        status: words[index % 3] ?? "pending",
        progress: index % 2 === 1 ? null : ((index / 2) * 37) % 101,
      }),
    );
    const shown = progressesOf(polls);
    expect(shown).toEqual(shown.toSorted((a, b) => a - b));
    expect(shown.at(-1)).toBe(99);
  });

  it("goes up with the upstream's", () => {
    expect(progressesOf([seen({ progress: 1 }), seen({ progress: 40 }), seen({ progress: 98 })])).toEqual([
      1, 40, 98,
    ]);
  });

  it("that stands still, drops or is missing changes nothing", () => {
    const task = makePollTarget({ processing: true, progress: 50 });
    for (const progress of [50, 49, 0, null]) {
      expect(changeFrom(task, seen({ status: "processing", progress }))).toEqual({ kind: "none" });
    }
  });

  it("is whole", () => {
    expect(changeFrom(makePollTarget(), seen({ progress: 41.9 }))).toMatchObject({
      kind: "progress",
      progress: 41,
    });
  });

  it("of 100 without a picture is 99: the work is not over", () => {
    expect(changeFrom(makePollTarget(), seen({ status: "processing", progress: 100 }))).toMatchObject({
      kind: "progress",
      progress: 99,
    });
  });
});

describe("a poll of a running task", () => {
  it("that says nothing new changes nothing", () => {
    expect(changeFrom(makePollTarget(), seen())).toEqual({ kind: "none" });
    const busy = makePollTarget({ processing: true, progress: 12, estimatedSeconds: 30 });
    const same = seen({ status: "processing", progress: 12, estimatedSeconds: 30 });
    expect(changeFrom(busy, same)).toEqual({ kind: "none" });
  });

  it("notes that the upstream has begun, with what else it says", () => {
    for (const isRead of [true, false]) {
      const poll = seen({ status: "processing", progress: 5, estimatedSeconds: 20 });
      expect(changeFrom(makePollTarget({ isRead }), poll)).toEqual({
        kind: "progress",
        processing: true,
        progress: 5,
        estimatedSeconds: 20,
      });
    }
  });

  it("notes mere progress only when a reader waits: no other gains by a write", () => {
    const poll = seen({ progress: 5, estimatedSeconds: 20 });
    expect(changeFrom(makePollTarget({ isRead: false }), poll)).toEqual({ kind: "none" });
    expect(changeFrom(makePollTarget({ isRead: true }), poll)).toEqual({
      kind: "progress",
      processing: false,
      progress: 5,
      estimatedSeconds: 20,
    });
  });

  it("notes no estimate alone", () => {
    for (const isRead of [true, false]) {
      expect(changeFrom(makePollTarget({ isRead }), seen({ estimatedSeconds: 20 }))).toEqual({
        kind: "none",
      });
    }
  });

  it("does not take back that it has begun, nor its estimate", () => {
    const busy = makePollTarget({ processing: true, progress: 12, estimatedSeconds: 30 });
    expect(changeFrom(busy, seen({ status: "pending" }))).toEqual({ kind: "none" });
    expect(changeFrom(busy, seen({ status: "pending", progress: 13 }))).toEqual({
      kind: "progress",
      processing: true,
      progress: 13,
      estimatedSeconds: 30,
    });
  });
});

describe("a poll of a task that the upstream has completed", () => {
  it("returns its links, in their order, with a reader or without", () => {
    const poll = seen({ status: "completed", links: links.slice(0, 2) });
    for (const isRead of [true, false]) {
      expect(changeFrom(makePollTarget({ isRead }), poll)).toEqual({
        kind: "done",
        links: links.slice(0, 2),
      });
    }
  });

  it("returns fewer than asked as they are", () => {
    const change = changeFrom(makePollTarget({ imagesAsked: 4 }), seen({ status: "completed", links }));
    expect(change).toEqual({ kind: "done", links });
  });

  it("returns no more than were asked for, and paid", () => {
    const change = changeFrom(makePollTarget({ imagesAsked: 1 }), seen({ status: "completed", links }));
    expect(change).toEqual({ kind: "done", links: links.slice(0, 1) });
  });

  it("goes on when there is no link to a picture", () => {
    const change = changeFrom(makePollTarget(), seen({ status: "completed", progress: 100 }));
    expect(change).toEqual({ kind: "progress", processing: true, progress: 99, estimatedSeconds: null });
    const again = makePollTarget({ processing: true, progress: 99 });
    expect(changeFrom(again, seen({ status: "completed", progress: 100 }))).toEqual({ kind: "none" });
  });

  it("takes links for results only once it is completed", () => {
    for (const status of ["pending", "processing"] as const) {
      expect(changeFrom(makePollTarget(), seen({ status, links })).kind).not.toBe("done");
    }
  });
});

describe("a poll of a task that the upstream has failed", () => {
  it("fails it with the gateway's code, with a reader or without", () => {
    const poll = seen({ status: "failed", failure: "generation_timeout" });
    for (const isRead of [true, false]) {
      expect(changeFrom(makePollTarget({ isRead }), poll)).toEqual({
        kind: "failed",
        code: "generation_timeout",
      });
    }
  });

  it("fails it with unknown_error when no reason was given", () => {
    const change = changeFrom(makePollTarget({ progress: 80 }), seen({ status: "failed", progress: 0 }));
    expect(change).toEqual({ kind: "failed", code: "unknown_error" });
  });

  it("fails it even when links came along", () => {
    expect(changeFrom(makePollTarget(), seen({ status: "failed", links })).kind).toBe("failed");
  });
});

describe("the pace of polls", () => {
  it("is one in 3 s for readers in the first minute, one in 10 s later", () => {
    expect([0, 59_999, 60_000, 3_600_000].map(refreshIntervalMs)).toEqual([3_000, 3_000, 10_000, 10_000]);
  });

  it("of cron only slows down, from 3 s to at most a minute, and covers every age", () => {
    expect(firstPollMs).toBe(3_000);
    expect(pollSchedule[0]).toEqual({ untilAgeMs: 120_000, everyMs: 3_000 });
    const pauses = pollSchedule.map((row) => row.everyMs);
    const ages = pollSchedule.map((row) => row.untilAgeMs);
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
    expect(ages).toEqual(ages.toSorted((a, b) => a - b));
    expect(Math.max(...pauses)).toBe(60_000);
    expect(ages.at(-1)).toBe(Number.MAX_SAFE_INTEGER);
  });

  it("gives the upstream's links a day", () => {
    expect(upstreamLinkLifeMs).toBe(86_400_000);
  });
});
