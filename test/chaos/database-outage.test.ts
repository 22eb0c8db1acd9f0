/**
 * D1 is out, under load, with objects evicted meanwhile: callers who submit, read what they have just submitted or ask again
 * get no error, and once D1 is back each task is there once, ends, and is charged once.
 */
import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { chanceOf } from "../helpers/chance.ts";
import { ledgerOf, moneyOf } from "../helpers/credits.ts";
import { bearer, readTask, type ShownTask, startGateway, submitTask } from "../helpers/gateway.ts";
import { generations, goodBody, recordBindings } from "../helpers/routes.ts";
import { emptyStores } from "../helpers/setup.ts";
import { objectOf } from "../helpers/tenant-object.ts";

beforeEach(emptyStores);

/** Submitted in each. */
const tasks = 30;
const starting = 1_000_000;
const price = 30;

it.each([1, 60, 3_600])(
  "an outage of D1 of %i s costs callers nothing",
  async (seconds) => {
    const chance = chanceOf(seconds);
    const bindings = recordBindings();
    const gateway = startGateway({ around: bindings.around });
    const limits = { requests_per_minute: null, images_per_minute: null, concurrent_tasks: null };
    const tenants = await Promise.all([0, 1].map(() => gateway.makeTenant({ balance: starting, limits })));
    // The objects have their tenants' settings.
    const before = await Promise.all(tenants.map(({ key }) => submitTask(gateway, key)));
    bindings.broken.add("D1");
    // Nor for objects that are made anew, which know nothing of this gateway's faults.
    await env.DB.prepare("ALTER TABLE tasks RENAME TO tasks_away").run();
    const made: { id: string; key: string; tenant: string }[] = [];
    for (let i = 0; i < tasks; i++) {
      const { id: tenant, key } = chance.pick(tenants);
      const headers = { ...bearer(key), "idempotency-key": `order-${i}` };
      const body = { ...goodBody, prompt: "a boat [sim:seconds=5]" };
      const response = await gateway.post(generations, body, headers);
      expect(response.status).toBe(200);
      const { id } = (await response.json()) as ShownTask;
      made.push({ id, key, tenant });
      // An object that was evicted has it all the same.
      if (chance.happens(0.1)) await evictDurableObject(objectOf(tenant));
      expect(await readTask(gateway, key, id)).toMatchObject({ id, status: "pending" });
      const again = await gateway.post(generations, body, headers);
      expect([again.status, ((await again.json()) as ShownTask).id]).toEqual([200, id]);
      if (chance.happens(0.2)) await gateway.tick().catch(() => undefined);
      if (chance.happens(0.2)) for (const { id: one } of tenants) await runDurableObjectAlarm(objectOf(one));
      gateway.advance(Math.ceil((seconds * 1_000) / tasks));
    }
    bindings.broken.clear();
    await env.DB.prepare("ALTER TABLE tasks_away RENAME TO tasks").run();
    for (let i = 0; i < 40; i++) {
      for (const { id } of tenants) await runDurableObjectAlarm(objectOf(id));
      gateway.advance(15_000);
      await gateway.tick();
    }
    const { results } = await env.DB.prepare("SELECT id, state FROM tasks").all();
    const all = [...before.map(({ id }) => id), ...made.map(({ id }) => id)];
    expect(new Map(results.map(({ id, state }) => [id, state]))).toEqual(
      new Map(all.map((id) => [id, "completed"])),
    );
    const upstream = gateway.simulator.control.tasks().map(({ idempotencyKey }) => idempotencyKey);
    expect(upstream).toHaveLength(all.length);
    for (const { id } of tenants) {
      const own = 1 + made.filter(({ tenant }) => tenant === id).length;
      expect(await moneyOf(gateway, id)).toMatchObject({ balance: starting - price * own, held: 0 });
      expect((await ledgerOf(gateway, id)).filter(({ type }) => type === "charge")).toHaveLength(own);
    }
    gateway.advance(600_000);
    expect(await (await gateway.admin("GET", "/audit")).json()).toMatchObject({ ok: true, data: [] });
  },
  120_000,
);
