/**
 * What a reply says of money is true, whatever broke on the way: each call of a submission to a binding may fail, before it
 * takes effect or after, with any of the errors that the platform has for it.
 *
 *   the reply says          there is
 *   200, a task             the task, which ends and is charged once
 *   charged: "no"           no task, and nothing charged, now or later
 *   charged: "unknown"      a task of the id that it names, charged once, or none
 *
 * `UNSURE_TASKS` sets how many are submitted.
 */
import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { chanceOf } from "../../helpers/chance.ts";
import { ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { type Around, bearer, clearTasks, finishTask, startGateway } from "../../helpers/gateway.ts";
import { expectError, expectUnknown, generations, goodBody } from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";
import { garbage, setColumn, unreadable } from "../../helpers/unreadable.ts";

beforeEach(clearTasks);

/** Cloudflare's errors of calls to a Durable Object, as its documents name them. */
const platformErrors = {
  "code was updated": { retryable: true, remote: true },
  "network connection lost": { retryable: true, remote: true },
  overloaded: { retryable: true, overloaded: true },
  "storage caused it to be reset": { durableObjectReset: true, remote: true },
  "internal error": {},
} as const;
type ErrorName = keyof typeof platformErrors;
const errorNames = Object.keys(platformErrors) as ErrorName[];

const fail = (name: ErrorName): never => {
  throw Object.assign(new Error(name), platformErrors[name]);
};

/** Fails calls of a name, so many times, on one side of their taking effect. */
function breaking(
  faults: Record<string, [name: ErrorName, side: "before" | "after", times: number]>,
): Around {
  const left = new Map(Object.entries(faults).map(([call, [, , times]]) => [call, times]));
  return async (call, work) => {
    const fault = faults[call];
    const times = left.get(call) ?? 0;
    if (!fault || times === 0) return work();
    left.set(call, times - 1);
    const [name, side] = fault;
    if (side === "after") await work();
    return fail(name);
  };
}

async function ask(around: Around) {
  const healthy = startGateway();
  const tenant = await healthy.makeTenant({ balance: 500 });
  const shaky = startGateway({ beside: healthy, around });
  const response = await shaky.post(generations, goodBody, bearer(tenant.key));
  const tasks = () => healthy.simulator.control.tasks();
  return { healthy, tenant, response, tasks };
}

const whole = { balance: 500, held: 0, available: 500 };

describe("a submission whose call to the object broke once", () => {
  it.each(
    (["code was updated", "network connection lost"] as const).flatMap((name) =>
      (["before", "after"] as const).map((side) => [name, side] as const),
    ),
  )("with %s, %s it took effect, is made once", async (name, side) => {
    const { healthy, tenant, response, tasks } = await ask(breaking({ "object begin": [name, side, 1] }));
    expect(response.status).toBe(200);
    const { id } = (await response.json()) as { id: string };
    expect(await finishTask(healthy, tenant.key, id)).toMatchObject({ status: "completed" });
    expect(await moneyOf(healthy, tenant.id)).toEqual({ balance: 470, held: 0, available: 470 });
    expect(tasks()).toHaveLength(1);
  });

  it.each(
    (["overloaded", "storage caused it to be reset", "internal error"] as const).flatMap((name) =>
      (["before", "after"] as const).map((side) => [name, side] as const),
    ),
  )("with %s, %s it took effect, is given up, and that is true", async (name, side) => {
    const { healthy, tenant, response, tasks } = await ask(breaking({ "object begin": [name, side, 1] }));
    await expectError(response, "unavailable");
    expect(await moneyOf(healthy, tenant.id)).toEqual(whole);
    await runDurableObjectAlarm(objectOf(tenant.id));
    healthy.advance(600_000);
    await healthy.tick();
    expect(tasks()).toEqual([]);
    expect(await moneyOf(healthy, tenant.id)).toEqual(whole);
  });
});

describe("a submission whose calls to the object all broke", () => {
  it.each(errorNames.flatMap((name) => (["before", "after"] as const).map((side) => [name, side] as const)))(
    "with %s, %s they took effect, names what its task would be",
    async (name, side) => {
      const broken = breaking({ "object begin": [name, side, 2], "object giveUp": [name, "before", 2] });
      const { healthy, tenant, response, tasks } = await ask(broken);
      const id = await expectUnknown(response);
      await runDurableObjectAlarm(objectOf(tenant.id));
      const read = await healthy.fetch(`/v1/tasks/${id}`, { headers: bearer(tenant.key) });
      expect(read.status).toBe(side === "after" ? 200 : 404);
      if (side === "after")
        expect(await finishTask(healthy, tenant.key, id)).toMatchObject({ status: "completed" });
      const made = side === "after" ? 1 : 0;
      expect(tasks()).toHaveLength(made);
      expect(await moneyOf(healthy, tenant.id)).toMatchObject({ balance: 500 - 30 * made, held: 0 });
    },
  );
});

it("a replay whose task cannot be read names it, and says nothing of what it has cost", async () => {
  const gateway = startGateway();
  const { key } = await gateway.makeTenant({ balance: 500 });
  const ask = () => gateway.post(generations, goodBody, { ...bearer(key), "idempotency-key": "order-1" });
  const { id } = (await (await ask()).json()) as { id: string };
  await finishTask(gateway, key, id);
  await setColumn("tasks", "input", garbage, id);
  expect(await expectUnknown(await ask())).toBe(id);
  expect(unreadable(gateway)).toContain(`tasks input ${id}`);
});

const submissions = Number((env as unknown as { UNSURE_TASKS?: string }).UNSURE_TASKS ?? 250);

it("is true of many, at any call, on either side of it, with any error", async () => {
  const chance = chanceOf(7);
  const phase = new Set(["shaky"]);
  const around: Around = async (_name, call) => {
    if (!phase.has("shaky") || chance.between(0, 3) > 0) return call();
    const name = errorNames[chance.between(0, errorNames.length - 1)] ?? "internal error";
    if (chance.between(0, 1) === 1) await call();
    return fail(name);
  };
  const healthy = startGateway();
  const { id: tenantId, key } = await healthy.makeTenant({ balance: 1_000_000 });
  const refusal = { kind: "error", status: 400, code: "content_policy_violation" } as const;
  healthy.simulator.control.script({ on: "submit", match: { prompt: "refused" }, do: refusal });
  const shaky = startGateway({ beside: healthy, around });
  const said: { what: string; task: string | null }[] = [];
  for (let i = 0; i < submissions; i++) {
    const body = { ...goodBody, prompt: i % 5 === 0 ? "refused" : "a boat" };
    const response = await shaky.post(generations, body, bearer(key));
    const reply = (await response.json()) as { id?: string; error?: { charged: string } };
    const task = reply.id ?? response.headers.get("x-task-id");
    said.push({ what: reply.error?.charged ?? "task", task });
  }
  phase.clear();
  // The objects' alarms, and cron, as often as a deadline takes.
  for (let i = 0; i < 30; i++) {
    healthy.advance(15_000);
    await runDurableObjectAlarm(objectOf(tenantId));
    await healthy.tick();
  }
  const lines = await ledgerOf(healthy, tenantId);
  const charged = lines.flatMap(({ type, task }) => (type === "charge" ? [task] : []));
  expect(new Set(charged).size).toBe(charged.length);
  const promised = said.filter(({ what }) => what === "task").map(({ task }) => task);
  const unknown = said.filter(({ what }) => what === "unknown").map(({ task }) => task);
  expect(new Set(said.map(({ what }) => what))).toEqual(new Set(["task", "no", "unknown"]));
  // A task that is refused later than its caller is answered is there, failed and not charged.
  const { results } = await env.DB.prepare("SELECT id, state, hidden FROM tasks").all();
  const visible = new Map(results.filter(({ hidden }) => hidden === 0).map(({ id, state }) => [id, state]));
  for (const task of promised) expect(["completed", "failed"]).toContain(visible.get(task));
  for (const task of visible.keys()) expect([...promised, ...unknown]).toContain(task);
  const completed = [...visible].filter(([, state]) => state === "completed").map(([task]) => task);
  expect(new Set(charged)).toEqual(new Set(completed));
  const upstream = healthy.simulator.control.tasks().map(({ idempotencyKey }) => idempotencyKey);
  expect(upstream).toHaveLength(completed.length);
  expect(new Set(upstream)).toEqual(new Set(completed));
  expect(await moneyOf(healthy, tenantId)).toMatchObject({
    balance: 1_000_000 - 30 * charged.length,
    held: 0,
  });
}, 3_000_000);
