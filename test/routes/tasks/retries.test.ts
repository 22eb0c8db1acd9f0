/**
 * A client whose reply was lost asks again. With an `Idempotency-Key` it gets its task; without one, an SDK that
 * says how often it has attempted gets the task that its own first attempt made, and no other's.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { type Around, bearer, finishTask, startGateway, type TestGateway } from "../../helpers/gateway.ts";
import { taskIdOf } from "../../helpers/page-visitor.ts";
import { deleteTasks, generations, goodBody, makeKey, upstreamCalls } from "../../helpers/routes.ts";

const gateway = startGateway();
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  await deleteTasks();
  gateway.simulator.control.reset();
  tenant = await gateway.makeTenant();
});

const ask = (fields: object, headers: Record<string, string>, at: TestGateway = gateway, key = tenant.key) =>
  at.post(generations, { ...goodBody, ...fields }, { ...bearer(key), ...headers });
const attempted = (times: number | string) => ({ "x-stainless-retry-count": String(times) });
const isReplay = (response: Response) => response.headers.get("idempotency-replayed") === "true";

/** A process that dies at the first call of this name: before it leaves, or once it took effect. */
function dying(name: string, side: "before" | "after"): TestGateway {
  let dead = false;
  const around: Around = async (called, call) => {
    const fatal = called === name;
    if (dead) throw new Error("dead");
    if (fatal && side === "before") dead = true;
    const result = dead ? undefined : await call();
    if (fatal) dead = true;
    if (dead) throw new Error("dead");
    return result as Awaited<ReturnType<typeof call>>;
  };
  return startGateway({ around, beside: gateway });
}

describe("a connection that is lost once the task is written down", () => {
  it.each([
    ["before the upstream was asked", "fetch POST", "before"],
    ["after the upstream took it", "fetch POST", "after"],
  ] as const)("%s: the next attempt gets that task, which ends as one", async (_when, call, side) => {
    const name = { "idempotency-key": "a" };
    await ask({}, name, dying(call, side)).catch(() => undefined);
    const again = await ask({}, name);
    expect(isReplay(again)).toBe(true);
    const id = await taskIdOf(again);
    expect(await finishTask(gateway, tenant.key, id)).toMatchObject({
      status: "completed",
      usage: { images: 1, credits_charged: 30 },
    });
    expect(gateway.simulator.control.tasks().map((task) => task.idempotencyKey)).toEqual([id]);
    expect(await taskIdOf(await ask({}, name))).toBe(id);
  });

  it("is found without an idempotency key, too, by an SDK that says that it tries again", async () => {
    await ask({}, attempted(0), dying("fetch POST", "before")).catch(() => undefined);
    const again = await ask({}, attempted(1));
    expect(isReplay(again)).toBe(true);
    await finishTask(gateway, tenant.key, await taskIdOf(again));
    expect(gateway.simulator.control.tasks()).toHaveLength(1);
  });
});

describe("an SDK's retry without an idempotency key", () => {
  it("answers with the task that the first attempt made, each time", async () => {
    const id = await taskIdOf(await ask({}, attempted(0)));
    for (const times of [1, 2, 3]) {
      const again = await ask({}, attempted(times));
      expect(isReplay(again)).toBe(true);
      expect(await taskIdOf(again)).toBe(id);
    }
    expect(upstreamCalls(gateway, "POST")).toHaveLength(1);
  });

  it("finds a first attempt that did not say anything of attempts", async () => {
    const id = await taskIdOf(await ask({}, {}));
    expect(await taskIdOf(await ask({}, attempted(1)))).toBe(id);
  });

  it("that comes first is a request like any other", async () => {
    const first = await ask({}, attempted(1));
    expect(isReplay(first)).toBe(false);
    await taskIdOf(first);
  });

  it.each(["0", "-1", "x", "", "1.5", "NaN"])("is none that says %j", async (times) => {
    const id = await taskIdOf(await ask({}, {}));
    const second = await ask({}, attempted(times));
    expect(isReplay(second)).toBe(false);
    expect(await taskIdOf(second)).not.toBe(id);
  });

  it("is one of the same body only", async () => {
    await ask({}, {});
    for (const fields of [{ prompt: "x" }, { seed: 1 }, { metadata: { a: "b" } }, { end_user: "ada" }]) {
      expect(isReplay(await ask(fields, attempted(1)))).toBe(false);
    }
  });

  it("is one of the same key only", async () => {
    await ask({}, {});
    const { key: second } = await makeKey(gateway, tenant.id, {});
    expect(isReplay(await ask({}, attempted(1), gateway, second))).toBe(false);
    const { key: foreign } = await gateway.makeTenant();
    expect(isReplay(await ask({}, attempted(1), gateway, foreign))).toBe(false);
  });

  it("is one for 60 minutes", async () => {
    const id = await taskIdOf(await ask({}, {}));
    gateway.advance(60 * 60_000 - 1);
    expect(await taskIdOf(await ask({}, attempted(1)))).toBe(id);
    gateway.advance(1);
    expect(isReplay(await ask({}, attempted(2)))).toBe(false);
  });

  it("gives two equal requests a task each: neither makes a third", async () => {
    const ids = [await taskIdOf(await ask({}, {})), await taskIdOf(await ask({}, {}))];
    const again = [await taskIdOf(await ask({}, attempted(1))), await taskIdOf(await ask({}, attempted(1)))];
    expect(new Set(again)).toEqual(new Set(ids));
    expect(upstreamCalls(gateway, "POST")).toHaveLength(2);
  });

  it("with an idempotency key goes by that alone", async () => {
    await ask({}, {});
    const named = await ask({}, { ...attempted(1), "idempotency-key": "new" });
    expect(isReplay(named)).toBe(false);
    // And a request that has no name does not find one that has.
    await ask({ prompt: "named" }, { "idempotency-key": "b" });
    expect(isReplay(await ask({ prompt: "named" }, attempted(1)))).toBe(false);
  });

  it("finds nothing that was refused", async () => {
    gateway.simulator.control.script({
      on: "submit",
      times: 1,
      do: { kind: "error", status: 400, code: "content_policy_violation" },
    });
    expect((await ask({}, {})).status).toBe(400);
    const again = await ask({}, attempted(1));
    expect(isReplay(again)).toBe(false);
    await taskIdOf(again);
  });
});
