/**
 * Whatever happens to a tenant, in whatever order and however often, its object agrees with a model that only
 * remembers what was asked and answered: the account, the ledger line by line, tasks in flight and images of the
 * day. What a run did is printed, and shrunk, when it fails.
 */
import { evictDurableObject } from "cloudflare:test";
import fc from "fast-check";
import { expect, it } from "vitest";
import type { LedgerLine } from "../../src/domain/ledger-lines.ts";
import { hourMs, keys, TenantModel, usualPrice } from "../helpers/ledger-model.ts";
import {
  beginTask,
  freshId,
  keyOf,
  objectOf,
  requestOf,
  settle,
  stubOf,
  summaryOf,
  wholeLedgerOf,
} from "../helpers/tenant-object.ts";

const admit = fc.record({
  step: fc.constant("admit" as const),
  times: fc.integer({ min: 1, max: 4 }),
  images: fc.integer({ min: 1, max: 5 }),
  key: fc.nat({ max: 1 }),
  replay: fc.option(fc.constantFrom("a", "b", "c")),
});
const end = fc.record({
  step: fc.constant("settle" as const),
  which: fc.nat(),
  times: fc.integer({ min: 1, max: 3 }),
  images: fc.nat({ max: 6 }),
  refused: fc.boolean(),
  forget: fc.boolean(),
});
const credit = fc.record({
  step: fc.constant("credit" as const),
  times: fc.integer({ min: 1, max: 3 }),
  type: fc.constantFrom("topup" as const, "adjustment" as const),
  amount: fc.constantFrom(-300, -30, 60, 500),
  reference: fc.constantFrom("r1", "r2", "r3", "r4", "r5", "r6"),
});
const settings = fc.record({
  price: fc.option(fc.nat({ max: 50 })),
  tasks: fc.integer({ min: 1, max: 8 }),
  perDay: fc.integer({ min: 4, max: 60 }),
});
const step = fc.oneof(
  { weight: 6, arbitrary: admit },
  { weight: 6, arbitrary: end },
  { weight: 3, arbitrary: credit },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("set" as const), balance: fc.nat({ max: 900 }) }) },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("configure" as const), settings }) },
  {
    weight: 2,
    arbitrary: fc.record({ step: fc.constant("wait" as const), hours: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ step: "evict" as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ step: fc.constant("close" as const), days: fc.integer({ min: 0, max: 40 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** Does one step to the object, and notes in the model what came of it. */
async function take(tenant: TenantModel, one: Step): Promise<void> {
  const { id, nowMs } = tenant;
  const times = <T>(count: number, call: () => Promise<T>) =>
    Promise.all(Array.from({ length: count }, call));
  switch (one.step) {
    case "admit": {
      const { images, key, replay } = one;
      const { id: keyId, hash: keyHash } = keys[key] ?? keyOf();
      const asked =
        replay === null ? null : { by: "key" as const, value: replay, fingerprint: "f", retries: 0 };
      const requests = Array.from({ length: one.times }, () =>
        requestOf(id, { images, keyId, keyHash, replay: asked, nowMs, price: usualPrice }),
      );
      const decided = await Promise.all(
        requests.map(async (request) => ({ request, decision: await beginTask(id, request) })),
      );
      // They are equal, so that those that went ahead were the first ones.
      const first = ({ decision }: (typeof decided)[0]) => Number(decision.kind !== "admitted");
      for (const { request, decision } of decided.toSorted((a, b) => first(a) - first(b))) {
        const went = ["admitted", "replay"].includes(decision.kind) ? decision.kind : "refused";
        expect(went).toBe(tenant.verdict(images, key, replay));
        if (decision.kind !== "admitted") continue;
        const { price } = tenant;
        tenant.holds.set(decision.holdNumber, {
          task: request.taskId,
          ...{ key, images, price, atMs: nowMs, replay, made: null },
        });
      }
      return;
    }
    case "settle": {
      const seqs = [...tenant.holds.keys(), 9_999];
      const seq = seqs[one.which % seqs.length] ?? 0;
      const { images, refused, forget } = one;
      await times(one.times, () => settle(id, seq, { images, refused, deleteReplay: forget, nowMs }));
      const hold = tenant.holds.get(seq);
      if (!hold || hold.made !== null) return;
      hold.made = Math.min(images, hold.images);
      if (forget) hold.replay = null;
      return;
    }
    case "credit": {
      const { type, amount, reference } = one;
      const wanted = { type, amount, reference, note: null };
      const results = await times(one.times, () => stubOf(id).credit(id, wanted, nowMs));
      const earlier = tenant.credits.get(reference);
      const short = tenant.prepaid && amount < 0 && tenant.balance - tenant.held + amount < 0;
      const same = earlier?.type === type && earlier.amount === amount;
      const kind = earlier ? (same ? "done" : "reference_taken") : short ? "balance_held" : "done";
      for (const result of results) expect(result.kind).toBe(kind);
      if (kind === "done") tenant.credits.set(reference, wanted);
      return;
    }
    case "set": {
      const reference = `set ${tenant.credits.size}`;
      const amount = one.balance - tenant.balance;
      const { kind } = await stubOf(id).setBalance(id, one.balance, reference, nowMs);
      const short = one.balance < tenant.held;
      expect(kind).toBe(short ? "balance_held" : amount === 0 ? "unchanged" : "done");
      if (kind === "done")
        tenant.credits.set(reference, { type: "adjustment", amount, reference, note: null });
      return;
    }
    case "configure":
      tenant.version += 1;
      tenant.settings = one.settings;
      await tenant.configure();
      return;
    case "wait":
      tenant.nowMs += one.hours * hourMs;
      return;
    case "close":
      tenant.nowMs += one.days * 24 * hourMs;
      await stubOf(id).closeBooks(tenant.nowMs);
      return;
    case "evict":
      await evictDurableObject(objectOf(id));
  }
}

/** What a line does to the balance and to what is held, per credit. */
const effects: Record<LedgerLine["type"], [number, number]> = {
  topup: [1, 0],
  refund: [1, 0],
  adjustment: [1, 0],
  hold: [0, 1],
  charge: [-1, -1],
  release: [0, -1],
};

async function compare(tenant: TenantModel): Promise<void> {
  const summary = await summaryOf(tenant.id, tenant.nowMs);
  const { balance, held } = tenant;
  expect(summary).toMatchObject({ balance, held, available: balance - held });
  if (tenant.prepaid) expect(summary.available).toBeGreaterThanOrEqual(0);
  const { tasks, perDay } = tenant.settings;
  expect(summary.remaining).toMatchObject({
    concurrent_tasks: Math.max(0, tasks - tenant.open().length),
    images_per_day: Math.max(0, perDay - tenant.imagesToday()),
  });

  expect((await stubOf(tenant.id).check()).problems).toEqual([]);
  const lines = (await wholeLedgerOf(tenant.id)).toReversed();
  const received = lines.map(
    ({ type, taskId: task, reference, amount }) => `${type} ${task ?? reference} ${amount}`,
  );
  const known = tenant.lines();
  expect(received).toHaveLength(known.length);
  expect(new Set(received)).toEqual(new Set(known));
  let account = { balance: 0, held: 0 };
  for (const line of lines) {
    const [ofBalance, ofHeld] = effects[line.type];
    account = {
      balance: account.balance + ofBalance * line.amount,
      held: account.held + ofHeld * line.amount,
    };
    expect(line).toMatchObject(account);
  }
  expect(account).toEqual({ balance, held });
}

it("a tenant's account, ledger and counters are what was asked and answered, whatever comes in between", async () => {
  const runs = fc.asyncProperty(
    fc.boolean(),
    fc.array(step, { maxLength: 60, size: "max" }),
    async (prepaid, steps) => {
      const tenant = new TenantModel(freshId(), prepaid);
      await tenant.configure();
      for (const one of steps) {
        await take(tenant, one);
        await compare(tenant);
      }
    },
  );
  await fc.assert(runs, { numRuns: 80, interruptAfterTimeLimit: 10_000 });
});
