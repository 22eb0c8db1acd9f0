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

it("fails those whose call failed and those that waited behind it, makes nothing of these, and goes on", async () => {
  const { group, calls, gates } = held();
  const prepare = vi.fn(says("waiting"));
  const both = Promise.allSettled([group.write(says("first")), group.write(prepare)]);
  gates[0]?.fail(new Error("D1 is away"));
  expect((await both).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
  expect(prepare).not.toHaveBeenCalled();
  const next = group.write(says("next"));
  expect(calls).toEqual([["first"], ["next"]]);
  gates[1]?.open();
  expect(await next).toBe("NEXT");
});

it("gives a call up after 8 s", async () => {
  vi.useFakeTimers();
  const { group } = held();
  const failed = vi.fn();
  const first = group.write(says("first")).catch(failed);
  await vi.advanceTimersByTimeAsync(7_999);
  expect(failed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  await first;
  expect(failed).toHaveBeenCalledOnce();
});

it("makes what waited in the order in which it came, and only when its turn has come", async () => {
  const { group, gates } = held();
  const made: string[] = [];
  const prepare = (name: string, item: string | null) => () => {
    made.push(name);
    return item;
  };
  const first = group.write(prepare("first", "first"));
  const nothing = group.write(prepare("nothing", null));
  const last = group.write(prepare("last", "last"));
  expect(made).toEqual(["first"]);
  gates[0]?.open();
  await first;
  expect(await nothing).toBeNull();
  expect(made).toEqual(["first", "nothing", "last"]);
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  gate.open();
  expect(await last).toBe("LAST");
});

it("fails the one that could not be made, and no other", async () => {
  const { group, gates } = held();
  const first = group.write(says("first"));
  const broken = group.write(() => {
    throw new Error("not made");
  });
  const last = group.write(says("last"));
  gates[0]?.open();
  await first;
  await expect(broken).rejects.toThrow("not made");
  const gate = await vi.waitUntil(() => gates[1], { timeout: 5_000 });
  gate.open();
  expect(await last).toBe("LAST");
});
