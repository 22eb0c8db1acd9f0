/**
 * Every hold ends, once: when the flow that ended its task could not settle it, cron does; when its task was never
 * written, the tenant's object gives it back by itself. No tenant is charged twice, and no credits stay behind.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { ledgerOf, moneyOf } from "../../helpers/credits.ts";
import {
  type Around,
  bearer,
  clearTasks,
  finishTask,
  readTask,
  startGateway,
  submitTask,
  type TestGateway,
} from "../../helpers/gateway.ts";
import {
  countTasks,
  expectError,
  expectUnknown,
  generations,
  goodBody,
  recordBindings,
  submit,
} from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

beforeEach(clearTasks);

const whole = { balance: 500, held: 0, available: 500 };
const oneHeld = { balance: 500, held: 30, available: 470 };
const oneCharged = { balance: 470, held: 0, available: 470 };

const kinds = async (gateway: TestGateway, id: string) =>
  (await ledgerOf(gateway, id)).map(({ type }) => type).toReversed();

async function openRows(): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS count FROM tasks WHERE open = 1").first<{
    count: number;
  }>();
  return row?.count ?? -1;
}

/** Longer than the flow that ended a task has for settling it. */
async function laterTick(gateway: TestGateway): Promise<void> {
  gateway.advance(60_000);
  await gateway.tick();
}

/** A healthy gateway, and one beside it whose calls a test breaks. */
async function start(around?: Around) {
  const bindings = recordBindings();
  const healthy = startGateway();
  const shaky = startGateway({ beside: healthy, around: around ?? bindings.around });
  const tenant = await healthy.makeTenant({ balance: 500 });
  return { healthy, shaky, bindings, ...tenant };
}

/** A process that is dead from this call on: before it, or after it has taken effect. */
function dyingAt(call: string, side: "before" | "after"): Around {
  let dead = false;
  return async (name, work) => {
    dead ||= name === call && side === "before";
    if (dead) throw new Error("died");
    const result = await work();
    dead ||= name === call;
    if (dead) throw new Error("died");
    return result;
  };
}

describe("a settlement that was lost", () => {
  it("is made by cron once the tenant's object is back, and charged once", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    const task = await submitTask(shaky, key);
    bindings.broken.add("object settle");
    expect(await finishTask(shaky, key, task.id)).toMatchObject({ status: "completed" });
    expect(shaky.logs).toContainEqual(expect.objectContaining({ event: "not_settled", task: task.id }));
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    await laterTick(shaky);
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    bindings.broken.clear();
    for (let i = 0; i < 3; i++) await laterTick(shaky);
    expect(await moneyOf(healthy, id)).toEqual(oneCharged);
    expect(await kinds(healthy, id)).toEqual(["topup", "hold", "charge"]);
    expect(await openRows()).toBe(0);
  });

  it.each(["before", "after"] as const)(
    "by a process that died %s it is made by cron, once",
    async (side) => {
      const { healthy, shaky, id, key } = await start(dyingAt("object settle", side));
      const task = await submitTask(healthy, key);
      healthy.advance(30_000);
      await shaky.tick().catch(() => undefined);
      expect(await readTask(healthy, key, task.id)).toMatchObject({ status: "completed" });
      expect(await openRows()).toBe(1);
      for (let i = 0; i < 3; i++) await laterTick(healthy);
      expect(await moneyOf(healthy, id)).toEqual(oneCharged);
      expect(await kinds(healthy, id)).toEqual(["topup", "hold", "charge"]);
      expect(await openRows()).toBe(0);
    },
  );

  it("of a failed task gives its credits back all the same", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    healthy.simulator.control.script({
      on: "submit",
      do: { kind: "plan", end: "failed", code: "generation_failed" },
    });
    const task = await submitTask(shaky, key);
    bindings.broken.add("object settle");
    await finishTask(shaky, key, task.id);
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    await laterTick(healthy);
    expect(await moneyOf(healthy, id)).toEqual(whole);
    expect(await kinds(healthy, id)).toEqual(["topup", "hold", "release"]);
  });

  it("is not held up by another tenant whose object is broken", async () => {
    let settlements = 0;
    const { healthy, shaky, id, key } = await start(async (name, call) => {
      // At first no object answers; then that of the first two, older, tasks' tenant still does not.
      if (name === "object settle" && ++settlements <= 5) throw new Error("the object is broken");
      return call();
    });
    const other = await healthy.makeTenant({ balance: 500 });
    for (const owner of [key, key, other.key]) {
      await submitTask(healthy, owner);
      healthy.advance(1_000);
    }
    healthy.advance(30_000);
    await shaky.tick();
    expect([settlements, await openRows()]).toEqual([3, 3]);
    await laterTick(shaky);
    expect(settlements).toBe(6);
    expect(await moneyOf(healthy, other.id)).toEqual(oneCharged);
    expect(await openRows()).toBe(2);
    expect(await moneyOf(healthy, id)).toEqual({ balance: 500, held: 60, available: 440 });
    await laterTick(shaky);
    expect(await moneyOf(healthy, id)).toEqual({ balance: 440, held: 0, available: 440 });
    expect(await openRows()).toBe(0);
  });
});

describe("a hold whose task was never written", () => {
  it("is given back by the object's alarm, and the balance is whole again", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    bindings.broken.add("D1 of the object");
    await expectUnknown(await submit(shaky, key));
    bindings.broken.clear();
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    healthy.advance(120_000);
    expect(await runDurableObjectAlarm(objectOf(id))).toBe(true);
    expect(await moneyOf(healthy, id)).toEqual(whole);
    const [release] = await ledgerOf(healthy, id);
    expect(release).toMatchObject({ type: "release", amount: 30, note: "no task came of it" });
    await runDurableObjectAlarm(objectOf(id));
    expect(await kinds(healthy, id)).toEqual(["topup", "hold", "release"]);
    expect(healthy.simulator.control.calls()).toEqual([]);
  });

  it("is not taken for one whose task goes on", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    const first = await submitTask(shaky, key);
    bindings.broken.add("D1 of the object");
    await submit(shaky, key, { n: 3 });
    bindings.broken.clear();
    const last = await submitTask(shaky, key);
    // The first alarm is about the first of them only.
    while (await runDurableObjectAlarm(objectOf(id)));
    expect(await moneyOf(healthy, id)).toEqual({ balance: 500, held: 60, available: 440 });
    for (const task of [first, last]) await finishTask(healthy, key, task.id);
    expect(await moneyOf(healthy, id)).toEqual({ balance: 440, held: 0, available: 440 });
  });

  it("waits for the database to be back", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    bindings.broken.add("D1 of the object");
    await submit(shaky, key);
    bindings.broken.clear();
    await env.DB.prepare("ALTER TABLE voids RENAME TO voids_away").run();
    for (let i = 0; i < 3; i++) expect(await runDurableObjectAlarm(objectOf(id))).toBe(true);
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    await env.DB.prepare("ALTER TABLE voids_away RENAME TO voids").run();
    await runDurableObjectAlarm(objectOf(id));
    expect(await moneyOf(healthy, id)).toEqual(whole);
  });

  it("is given up for good: a request that was out of it meanwhile writes and sends nothing", async () => {
    let tenantId = "";
    let waiting = true;
    const { healthy, shaky, id, key } = await start(async (name, call) => {
      if (name === "D1 of the object" && waiting) {
        waiting = false;
        await runDurableObjectAlarm(objectOf(tenantId));
      }
      return call();
    });
    tenantId = id;
    await expectError(await submit(shaky, key), "unavailable");
    expect(await countTasks()).toBe(0);
    expect(healthy.simulator.control.calls()).toEqual([]);
    expect(await moneyOf(healthy, id)).toEqual(whole);
  });

  it("frees its idempotency key", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    const headers = { ...bearer(key), "idempotency-key": "order-1" };
    bindings.broken.add("D1 of the object");
    await shaky.post(generations, goodBody, headers);
    bindings.broken.clear();
    await expectError(await healthy.post(generations, goodBody, headers), "idempotency_in_progress");
    await runDurableObjectAlarm(objectOf(id));
    expect((await healthy.post(generations, goodBody, headers)).status).toBe(200);
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
  });
});

describe("a task that was written although the database said otherwise", () => {
  it("is answered with unavailable, ends all the same and is charged once", async () => {
    let lost = false;
    const { healthy, shaky, id, key } = await start(async (name, call) => {
      const result = await call();
      if (name === "D1 of the object" && !lost) {
        lost = true;
        throw new Error("the answer was lost");
      }
      return result;
    });
    const headers = { ...bearer(key), "idempotency-key": "order-2" };
    const named = await expectUnknown(await shaky.post(generations, goodBody, headers));
    expect(await countTasks()).toBe(1);
    while (await runDurableObjectAlarm(objectOf(id)));
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    // A caller that asks again gets the task that there is.
    const again = await healthy.post(generations, goodBody, headers);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    const task = (await again.json()) as { id: string };
    expect(task.id).toBe(named);
    expect(await finishTask(healthy, key, task.id)).toMatchObject({ status: "completed" });
    expect(await moneyOf(healthy, id)).toEqual(oneCharged);
    expect(healthy.simulator.control.tasks()).toHaveLength(1);
    expect(await countTasks()).toBe(1);
  });
});

describe("a task whose hold is another one's, since its object was restored to an earlier time", () => {
  it("ends without a charge of the other's hold, which the log says", async () => {
    const { healthy, id, key } = await start();
    const slow = { prompt: "a boat [sim:seconds=3000]", n: 2 };
    const other = await submitTask(healthy, key, slow);
    const lost = await submitTask(healthy, key);
    const numberOf = "SELECT hold_number FROM tasks WHERE id = ?1";
    await env.DB.prepare(`UPDATE tasks SET hold_number = (${numberOf}) WHERE id = ?2`)
      .bind(other.id, lost.id)
      .run();
    expect(await finishTask(healthy, key, lost.id)).toMatchObject({ status: "completed" });
    expect(healthy.logs).toContainEqual(
      expect.objectContaining({ event: "hold_of_other_task", task: lost.id }),
    );
    expect(await moneyOf(healthy, id)).toEqual({ balance: 500, held: 90, available: 410 });
    await healthy.admin("POST", `/tasks/${other.id}/fail`);
    expect(await moneyOf(healthy, id)).toEqual({ balance: 500, held: 30, available: 470 });
  });
});
