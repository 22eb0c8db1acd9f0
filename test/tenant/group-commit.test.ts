/** Changes that come together are made together, and each caller gets its own outcome. */
import { afterEach, expect, it, vi } from "vitest";
import { GroupCommit } from "../../src/tenant/group-commit.ts";

afterEach(() => vi.useRealTimers());

/** A group commit whose calls wait until they are let go, one by one; what came of a change is its name, said aloud. */
function held() {
  const calls: string[][] = [];
  const gates: { open: () => void; fail: (error: Error) => void }[] = [];
  const group = new GroupCommit(async (changes: string[]) => {
    calls.push(changes);
    const gate = Promise.withResolvers<void>();
    gates.push({ open: gate.resolve, fail: gate.reject });
    await gate.promise;
    return changes.map((change) => change.toUpperCase());
  });
  return { group, calls, gates };
}

const says = (word: string) => () => word;

it("makes a single change at once, alone", async () => {
  const { group, calls, gates } = held();
  const done = group.write(says("one"));
  expect(calls).toEqual([["one"]]);
  gates[0]?.open();
  expect(await done).toBe("ONE");
});

it("makes together what came while a call was under way, and answers each with its own", async () => {
  const { group, calls, gates } = held();
  const first = group.write(says("first"));
  const names = Array.from({ length: 50 }, (_, i) => `later${i}`);
  const later = names.map((name) => group.write(says(name)));
  gates[0]?.open();
  expect(await first).toBe("FIRST");
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  expect(calls).toEqual([["first"], names]);
  gate.open();
  expect(await Promise.all(later)).toEqual(names.map((name) => name.toUpperCase()));
});

it("makes no more than 64 changes in one call", async () => {
  const { group, calls, gates } = held();
  const all = Array.from({ length: 130 }, (_, i) => group.write(says(`${i}`)));
  for (let call = 0; call < 4; call++) {
    const gate = await vi.waitUntil(() => gates[call], { timeout: 5_000 });
    gate.open();
  }
  await Promise.all(all);
  expect(calls.map((changes) => changes.length)).toEqual([1, 64, 64, 1]);
});

it("does not know of a call that failed, decides on nothing that waited behind it, and goes on", async () => {
  const { group, calls, gates } = held();
  const decide = vi.fn(says("waiting"));
  const first = group.write(says("first"));
  const waiting = group.write(decide);
  gates[0]?.fail(new Error("D1 is away"));
  expect([await first, await waiting]).toEqual([null, null]);
  expect(decide).not.toHaveBeenCalled();
  const next = group.write(says("next"));
  expect(calls).toEqual([["first"], ["next"]]);
  gates[1]?.open();
  expect(await next).toBe("NEXT");
});

it("gives a call up after 8 s, before those who asked have left", async () => {
  vi.useFakeTimers();
  const { group } = held();
  const received = vi.fn();
  const first = group.write(says("first")).then(received);
  await vi.advanceTimersByTimeAsync(7_999);
  expect(received).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await first;
  expect(received).toHaveBeenCalledWith(null);
});

it("has no caller wait longer than 2 s for another's call, and decides on nothing for them", async () => {
  vi.useFakeTimers();
  const { group, calls, gates } = held();
  const decide = vi.fn(says("waiting"));
  const first = group.write(says("first"));
  const received = vi.fn();
  const waiting = group.write(decide).then(received);
  await vi.advanceTimersByTimeAsync(1_999);
  expect(received).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await waiting;
  expect(received).toHaveBeenCalledWith(null);
  expect(await group.write(decide)).toBeNull();
  expect(decide).not.toHaveBeenCalled();
  // Its own call may take longer, and when it is over others are taken again.
  gates[0]?.open();
  expect(await first).toBe("FIRST");
  const next = group.write(says("next"));
  await vi.advanceTimersByTimeAsync(0);
  gates[1]?.open();
  expect(await next).toBe("NEXT");
  expect(calls).toEqual([["first"], ["next"]]);
});

it("decides on what waited in the order in which it came, and only when its turn has come", async () => {
  const { group, gates } = held();
  const decided: string[] = [];
  const decide = (name: string, change: string | null) => () => {
    decided.push(name);
    return change;
  };
  const first = group.write(decide("first", "first"));
  const refused = group.write(decide("refused", null));
  const admitted = group.write(decide("admitted", "admitted"));
  expect(decided).toEqual(["first"]);
  gates[0]?.open();
  await first;
  expect(await refused).toBeNull();
  expect(decided).toEqual(["first", "refused", "admitted"]);
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  gate.open();
  expect(await admitted).toBe("ADMITTED");
});

it("fails the one whose decision failed, and no other", async () => {
  const { group, gates } = held();
  const first = group.write(says("first"));
  const broken = group.write(() => {
    throw new Error("no decision");
  });
  const last = group.write(says("last"));
  gates[0]?.open();
  await first;
  await expect(broken).rejects.toThrow("no decision");
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  gate.open();
  expect(await last).toBe("LAST");
});
