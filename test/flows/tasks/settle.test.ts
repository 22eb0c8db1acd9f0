/**
 * Every hold ends, once: when the flow that ended its task could not settle it, the tenant's object does. No tenant is
 * charged twice, and no credits stay behind.
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
import { countTasks, generations, goodBody, recordBindings } from "../../helpers/routes.ts";
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

async function isSettled(gateway: TestGateway, task: string): Promise<unknown> {
  return ((await (await gateway.admin("GET", `/tasks/${task}`)).json()) as { settled: unknown }).settled;
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
  it("is made by the object itself, and charged once", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    const task = await submitTask(shaky, key);
    bindings.broken.add("object settle");
    expect(await finishTask(shaky, key, task.id)).toMatchObject({ status: "completed" });
    expect(shaky.logs).toContainEqual(expect.objectContaining({ event: "not_settled", task: task.id }));
    expect(await moneyOf(healthy, id)).toEqual(oneHeld);
    bindings.broken.clear();
    expect(await isSettled(healthy, task.id)).toBe(false);
    healthy.advance(60_000);
    for (let i = 0; i < 3; i++) await runDurableObjectAlarm(objectOf(id));
    expect(await moneyOf(healthy, id)).toEqual(oneCharged);
    expect(await isSettled(healthy, task.id)).toBe(true);
    expect(await kinds(healthy, id)).toEqual(["topup", "hold", "charge"]);
  });

  it.each(["before", "after"] as const)(
    "by a process that died %s it is made by the object, once",
    async (side) => {
      const { healthy, shaky, id, key } = await start(dyingAt("object settle", side));
      const task = await submitTask(healthy, key);
      healthy.advance(30_000);
      await shaky.tick().catch(() => undefined);
      expect(await readTask(healthy, key, task.id)).toMatchObject({ status: "completed" });
      expect(await isSettled(healthy, task.id)).toBe(side === "after");
      healthy.advance(60_000);
      for (let i = 0; i < 3; i++) await runDurableObjectAlarm(objectOf(id));
      expect(await moneyOf(healthy, id)).toEqual(oneCharged);
      expect(await kinds(healthy, id)).toEqual(["topup", "hold", "charge"]);
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
    healthy.advance(60_000);
    await runDurableObjectAlarm(objectOf(id));
    expect(await moneyOf(healthy, id)).toEqual(whole);
    expect(await kinds(healthy, id)).toEqual(["topup", "hold", "release"]);
  });

  it("by a gateway of the version before, which left its task open, is made once cron finds that", async () => {
    const { healthy, shaky, bindings, id, key } = await start();
    const task = await submitTask(shaky, key);
    bindings.broken.add("object settle");
    await finishTask(shaky, key, task.id);
    bindings.broken.clear();
    await env.DB.prepare("UPDATE tasks SET open = 1, due_ms = finished_ms").run();
    healthy.advance(60_000);
    await healthy.tick();
    expect(await moneyOf(healthy, id)).toEqual(oneCharged);
    expect(await openRows()).toBe(0);
  });
});

describe("a task that D1 took although it said otherwise", () => {
  it("is answered as it is, ends and is charged once", async () => {
    let lost = 0;
    const { healthy, shaky, id, key } = await start(async (name, call) => {
      const result = await call();
      if (name === "D1 of the object" && lost++ === 0) throw new Error("the answer was lost");
      return result;
    });
    const headers = { ...bearer(key), "idempotency-key": "order-2" };
    const first = (await (await shaky.post(generations, goodBody, headers)).json()) as { id: string };
    expect(await countTasks()).toBe(1);
    const again = await healthy.post(generations, goodBody, headers);
    expect(again.headers.get("idempotency-replayed")).toBe("true");
    expect(((await again.json()) as { id: string }).id).toBe(first.id);
    expect(await finishTask(healthy, key, first.id)).toMatchObject({ status: "completed" });
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
