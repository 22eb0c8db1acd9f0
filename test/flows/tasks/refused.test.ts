/**
 * A refusal by the upstream ends a task while its caller waits. The object ends it, and the caller hears of the refusal
 * only when the object has said so:
 *
 *   the object's call          what the caller hears     what there is
 *   ended it                   the refusal               nothing for the tenant, a record for the operator
 *   broke, before or after     503, unknown, with the    a task that cron sends again, or nothing: the named id says which
 *                              task's id
 *   another sends it by now    the task                  the task
 *   a replay got the task      the refusal               the task, failed, which the replay's caller sees
 */
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
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
} from "../../helpers/gateway.ts";
import { expectError, expectUnknown, recordBindings } from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";
import { hook, startWithReceiver } from "../../helpers/webhook-receiver.ts";

beforeEach(clearTasks);

const code = "content_policy_violation";
const generations = "/v1/images/generations";
const body = { model: "wan-2.7-image", prompt: "x" };
const whole = { balance: 500, held: 0, available: 500 };

async function start(around: Around, times?: number) {
  const { gateway, hosts, of } = startWithReceiver();
  const tenant = await gateway.makeTenant({ balance: 500, webhook: { url: hook } });
  const refusal = { kind: "error", status: 400, code } as const;
  gateway.simulator.control.script({ on: "submit", ...(times && { times }), do: refusal });
  const shaky = startGateway({ beside: gateway, hosts, around });
  const headers = { ...bearer(tenant.key), "idempotency-key": "order-1" };
  const ask = (by = shaky) => by.post(generations, body, headers);
  return { gateway, of, tenant, ask, key: tenant.key };
}

const rows = async () =>
  (await env.DB.prepare("SELECT id, state, hidden, open, error_code FROM tasks").all()).results;

describe("a refusal", () => {
  it("leaves its tenant nothing but two lines in the ledger, and the operator a record", async () => {
    const { gateway, tenant, ask, key, of } = await start((_name, call) => call());
    await expectError(await ask(), code);
    expect(await rows()).toEqual([
      { id: expect.any(String), state: "failed", hidden: 1, open: 0, error_code: code },
    ]);
    const list = await gateway.fetch("/v1/tasks", { headers: bearer(key) });
    expect(await list.json()).toMatchObject({ data: [] });
    expect(await moneyOf(gateway, tenant.id)).toEqual(whole);
    expect((await ledgerOf(gateway, tenant.id)).map(({ type }) => type)).toEqual([
      "release",
      "hold",
      "topup",
    ]);
    const [row] = await rows();
    expect(of(String(row?.id))).toEqual([]);
    // Its idempotency key is free.
    gateway.simulator.control.script({ on: "submit", do: { kind: "pass" } });
    expect((await ask()).headers.get("idempotency-replayed")).toBeNull();
  });

  it("needs no database: the record is written once that is there", async () => {
    const bindings = recordBindings();
    bindings.broken.add("D1");
    const { gateway, tenant, ask } = await start(bindings.around);
    await expectError(await ask(), code);
    expect(await rows()).toEqual([]);
    bindings.broken.clear();
    await runDurableObjectAlarm(objectOf(tenant.id));
    expect(await rows()).toMatchObject([{ state: "failed", hidden: 1 }]);
    gateway.advance(120_000);
    await gateway.tick();
    expect(gateway.simulator.control.calls().filter(({ method }) => method === "POST")).toHaveLength(1);
    expect(await moneyOf(gateway, tenant.id)).toEqual(whole);
  });

  it.each(["before", "after"] as const)(
    "whose call to the object broke %s it took effect says that it does not know, and names the task",
    async (side) => {
      const { gateway, tenant, ask, key } = await start(async (name, call) => {
        if (name !== "object endEarly") return call();
        if (side === "after") await call();
        throw new Error("the connection was lost");
      }, 1);
      const id = await expectUnknown(await ask());
      const response = await gateway.fetch(`/v1/tasks/${id}`, { headers: bearer(key) });
      expect(response.status).toBe(side === "after" ? 404 : 200);
      await runDurableObjectAlarm(objectOf(tenant.id));
      if (side === "after") {
        gateway.advance(120_000);
        await gateway.tick();
        expect(await moneyOf(gateway, tenant.id)).toEqual(whole);
        expect(gateway.simulator.control.tasks()).toEqual([]);
      } else {
        expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
        expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
      }
    },
  );

  it("that comes when cron has taken the task over is none: the caller gets the task", async () => {
    let taken = false;
    const { gateway, tenant, ask, key } = await start(async (name, call) => {
      if (name === "object endEarly" && !taken) {
        taken = true;
        const [task] = (await env.DB.prepare("SELECT id, hold_number FROM tasks").all()).results;
        expect(task).toBeUndefined();
        await runDurableObjectAlarm(objectOf(tenant.id));
        gateway.advance(120_000);
        await gateway.tick();
      }
      return call();
    }, 1);
    const response = await ask();
    expect(response.status).toBe(200);
    const { id } = (await response.json()) as { id: string };
    expect(await finishTask(gateway, key, id)).toMatchObject({ status: "completed" });
    expect(await moneyOf(gateway, tenant.id)).toMatchObject({ balance: 470, held: 0 });
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });

  it("of a task that a replay has got is heard of by both: by one as a refusal, by the other as a failed task", async () => {
    let replay: Response | undefined;
    const { gateway, tenant, ask, key, of } = await start(async (name, call) => {
      const result = await call();
      if (name === "fetch POST") replay ??= await ask(gateway);
      return result;
    });
    await expectError(await ask(), code);
    expect((replay as Response).headers.get("idempotency-replayed")).toBe("true");
    const { id, status } = (await (replay as Response).json()) as { id: string; status: string };
    expect(status).toBe("pending");
    expect(await readTask(gateway, key, id)).toMatchObject({ status: "failed", error: { code } });
    gateway.advance(60_000);
    await gateway.tick();
    expect(of(id)).toMatchObject([{ body: { type: "task.failed" } }]);
    expect(await moneyOf(gateway, tenant.id)).toEqual(whole);
    // The key stays the task's.
    expect(((await (await ask(gateway)).json()) as { id: string }).id).toBe(id);
  });

  it("is the end of its task, also where D1 has heard of the task and not of that: cron does not send it", async () => {
    const bindings = recordBindings();
    const { gateway, tenant, ask } = await start(async (name, call) => {
      const result = await bindings.around(name, call);
      // As where the upstream takes longer than two seconds, and D1 is out after that.
      if (name !== "fetch POST") return result;
      await gateway.invocation().tenant(tenant.id).flush();
      bindings.broken.add("D1");
      return result;
    });
    await expectError(await ask(), code);
    expect(await rows()).toMatchObject([{ state: "submitting", hidden: 0 }]);
    await runInDurableObject(objectOf(tenant.id), (_object, { storage }) => {
      storage.sql.exec("UPDATE early_ends SET record = NULL");
    });
    gateway.advance(120_000);
    await gateway.tick();
    expect(await rows()).toMatchObject([{ state: "failed", hidden: 1, open: 0 }]);
    expect(gateway.simulator.control.calls().filter(({ method }) => method === "POST")).toHaveLength(1);
    expect(await moneyOf(gateway, tenant.id)).toEqual(whole);
  });
});
