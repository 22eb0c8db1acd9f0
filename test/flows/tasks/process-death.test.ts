/**
 * A process may die anywhere: before a call leaves, or after it took effect and before its reply. Here it
 * does, at every call to a binding and to the network between the request and the stored picture, once on each
 * side of each. Whatever lived in that process is gone: its reply, its work beside the reply, its tick.
 *
 * Cron comes again in a new process and must bring the task to the same end: one upstream task, one stored
 * object per picture, charged once, nothing held, and the tenant notified under one id. Only a request that died before
 * its admission leaves no task.
 */

import { runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import {
  type Around,
  bearer,
  readTask,
  startGateway,
  storedKeys,
  submitTask,
} from "../../helpers/gateway.ts";
import { Died, mortal, type Side } from "../../helpers/mortal.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { hook, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(async () => {
  await emptyStores();
});

const asked = { n: 2, size: { width: 1024, height: 600 } };

/** Submits and ticks in a process that may die, then lets cron come again in new ones. */
async function run(dieAt: number, side: Side) {
  const { gateway: survivor, hosts, received } = startWithReceiver();
  const tenant = await survivor.makeTenant({ balance: 1_000, webhook: { url: hook } });
  const { process, around } = mortal(dieAt, side);
  const victim = startGateway({ around, beside: survivor, hosts });
  await submitTask(victim, tenant.key, asked).catch(() => undefined);
  for (let tick = 0; tick < 2 && !process.dead; tick++) {
    survivor.advance(30_000);
    await victim.tick().catch(() => undefined);
  }
  const died = process.dead;
  // What the object does by itself, every minute while a task is open.
  const object = (env.TENANTS as unknown as DurableObjectNamespace).getByName(tenant.id);
  if (died) {
    await survivor.invocation().tenant(tenant.id).summary(tenant.id, survivor.now());
    await runDurableObjectAlarm(object);
  }
  // Longer than every lease.
  for (let tick = 0; tick < 12; tick++) {
    survivor.advance(30_000);
    await survivor.tick();
  }
  for (let alarm = 0; alarm < 2; alarm++) await runDurableObjectAlarm(object);
  return { survivor, tenant, received, steps: process.steps, died };
}

/** The calls that a process which does not die makes, from the submit to the stored pictures. */
const { steps } = await run(0, "before");

it("goes through every kind of call on the way", () => {
  expect(steps.slice(0, 4)).toEqual(["object begin", "fetch POST", "object noteOutcome", "D1 of the object"]);
  expect(new Set(steps)).toEqual(
    new Set([
      "object begin",
      "object noteOutcome",
      "D1 of the object",
      "D1",
      "fetch POST",
      "fetch GET",
      "R2 put",
      "object settle",
    ]),
  );
  expect(steps.filter((step) => step === "R2 put")).toHaveLength(2);
});

const calls = steps.map((name, index) => ({ name, dieAt: index + 1 }));

describe.each(["before", "after"] as const)("a process that dies %s call", (side) => {
  it.each(calls)("$dieAt ($name)", async ({ dieAt }) => {
    const { survivor, tenant, received, died } = await run(dieAt, side);
    expect(died).toBe(true);
    const { results: rows } = await env.DB.prepare("SELECT id, state, open FROM tasks").all();
    const upstreamTasks = survivor.simulator.control.tasks();
    const account = await survivor.invocation().tenant(tenant.id).summary(tenant.id, survivor.now());
    const balance = rows.length === 0 ? 1_000 : 940;
    expect(account).toMatchObject({ balance, held: 0, available: balance });
    const reconciled = await survivor.admin("GET", "/audit");
    expect(await reconciled.json()).toMatchObject({ ok: true, data: [] });
    if (rows.length === 0) {
      expect(upstreamTasks).toEqual([]);
      expect([dieAt, side]).toEqual([1, "before"]);
      expect(received).toEqual([]);
      return;
    }
    expect(rows).toEqual([{ id: expect.any(String), state: "completed", open: 0 }]);
    expect(upstreamTasks).toHaveLength(1);
    expect(upstreamTasks[0]?.idempotencyKey).toBe(rows[0]?.id);

    const task = await readTask(survivor, tenant.key, String(rows[0]?.id));
    expect(task).toMatchObject({ status: "completed", progress: 100, error: null });
    expect(task.usage).toEqual({ images: 2, credits_held: 0, credits_charged: 60 });
    const ids = new Set(received.map(({ id, body }) => `${id} ${body.type} ${body.data?.id}`));
    expect([...ids]).toEqual([`msg-${task.id.slice("task-".length)}-w task.completed ${task.id}`]);
    expect(await storedKeys()).toHaveLength(2);
    for (const image of task.images) {
      const picture = await survivor.fetch(new URL(image.url).pathname);
      expect((await picture.arrayBuffer()).byteLength).toBe(image.bytes);
    }
  });
});

describe("a tick that dies after the pictures were put", () => {
  it("lets the next one find them, even when their links have died meanwhile", async () => {
    const survivor = startGateway();
    const tenant = await survivor.makeTenant();
    const { id } = await submitTask(survivor, tenant.key, asked);
    survivor.advance(30_000);
    let puts = 0;
    const around: Around = async (name, call) => {
      if (puts === 2) throw new Died();
      const result = await call();
      if (name === "R2 put") puts++;
      return result;
    };
    await startGateway({ around, beside: survivor })
      .tick()
      .catch(() => undefined);
    expect(await storedKeys()).toHaveLength(2);
    survivor.advance(23 * 3_600_000);
    survivor.simulator.control.script({ on: "picture", do: { kind: "error", status: 410, code: "gone" } });
    await survivor.tick();
    expect(await readTask(survivor, tenant.key, id)).toMatchObject({
      status: "completed",
      usage: { images: 2 },
    });
    const response = await survivor.fetch(`/v1/tasks/${id}`, { headers: bearer(tenant.key) });
    expect(response.status).toBe(200);
  });
});
