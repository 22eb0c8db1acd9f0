import { evictDurableObject } from "cloudflare:test";
import { beforeEach, describe, expect, it } from "vitest";
import { type Around, bearer, finishTask, type ShownTask, startGateway } from "../../helpers/gateway.ts";
import { taskIdOf } from "../../helpers/page-visitor.ts";
import {
  countTasks,
  deleteTasks,
  expectError,
  generations,
  goodBody,
  makeKey,
  read,
} from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

/** Comes before or in place of a call. */
let before: (name: string) => Promise<void> | void = () => undefined;
const around: Around = async (name, call) => {
  await before(name);
  return call();
};
const gateway = startGateway({ around });
const { simulator } = gateway;
let tenant = { id: "", key: "", keyId: "" };
beforeEach(async () => {
  before = () => undefined;
  await deleteTasks();
  simulator.control.reset();
  tenant = await gateway.makeTenant();
});

const ask = (name: string, fields: object = {}, key = tenant.key) =>
  gateway.post(generations, { ...goodBody, ...fields }, { ...bearer(key), "idempotency-key": name });
const isReplay = (response: Response) => response.headers.get("idempotency-replayed") === "true";
const refuse = {
  on: "submit",
  times: 1,
  do: { kind: "error", status: 400, code: "content_policy_violation" },
} as const;
const held = async () => {
  const usage = await gateway.fetch("/v1/usage", { headers: bearer(tenant.key) });
  return ((await usage.json()) as { held: number }).held;
};

describe("a replay", () => {
  it("shows the task as it is by now, also where its object was made anew meanwhile", async () => {
    simulator.control.script({ on: "submit", times: 1, do: { kind: "plan", seconds: 60 } });
    const { id } = (await (await ask("order-1")).json()) as ShownTask;
    gateway.advance(30_000);
    await gateway.tick();
    const shown = (await (await read(gateway, tenant.key, id)).json()) as ShownTask;
    expect(shown.status).toBe("processing");
    await evictDurableObject(objectOf(tenant.id));
    const again = await ask("order-1");
    expect(isReplay(again)).toBe(true);
    const { status, progress } = (await again.json()) as ShownTask;
    expect({ status, progress }).toEqual({ status: "processing", progress: shown.progress });
  });

  it("answers with the first task and says so; the first does not", async () => {
    const first = await ask("a");
    expect(first.headers.has("idempotency-replayed")).toBe(false);
    const again = await ask("a");
    expect(isReplay(again)).toBe(true);
    const task: ShownTask = await first.json();
    expect(await again.json()).toEqual(task);
    expect(again.headers.get("location")).toBe(`/v1/tasks/${task.id}`);
    expect(simulator.control.tasks()).toHaveLength(1);
    expect(await countTasks()).toBe(1);
    expect(await held()).toBe(30);
  });

  it("shows the task as it is by then", async () => {
    const id = await taskIdOf(await ask("a"));
    const done = await finishTask(gateway, tenant.key, id);
    const again = await ask("a");
    expect(isReplay(again)).toBe(true);
    expect(await again.json()).toEqual(done);
  });

  it("uses nothing up, and is not held back by limits", async () => {
    tenant = await gateway.makeTenant({ limits: { requests_per_minute: 1 }, balance: 30 });
    const id = await taskIdOf(await ask("a"));
    for (let i = 0; i < 3; i++) expect(await taskIdOf(await ask("a"))).toBe(id);
    await expectError(await ask("b"), "insufficient_balance");
  });

  const size = '"size":{"height":768,"width":1024}';
  const rest = `${size},"seed":7,"metadata":{"b":"2","a":"1"}`;
  it.each([
    ["its fields in another order", `{${rest},"prompt":"x","model":"wan-2.7-image"}`],
    ["a default written out", `{"model":"wan-2.7-image","prompt":"x",${rest},"n":1}`],
    ["white space", ` {"model": "wan-2.7-image", "prompt": " x ",\n${rest}}`],
    ["other spellings", `{"model":"wan-2.7-image","prompt":"\\u0078",${rest.replace(":7,", ":7.0,")}}`],
  ])("is what means the same, with %s", async (_what, body) => {
    const id = await taskIdOf(
      await ask("a", {
        prompt: "x",
        size: { width: 1024, height: 768 },
        seed: 7,
        metadata: { a: "1", b: "2" },
      }),
    );
    const headers = { ...bearer(tenant.key), "idempotency-key": "a", "content-type": "application/json" };
    const again = await gateway.fetch(generations, { method: "POST", headers, body });
    expect(await taskIdOf(again)).toBe(id);
  });

  it.each([
    { prompt: "x" },
    { model: "wan-2.7-image-pro" },
    { n: 2 },
    { seed: 0 },
    { size: "square" },
    { negative_prompt: "" },
    { metadata: { a: "b" } },
    { end_user: "ada" },
    { callback_url: "https://shop.example/hook" },
  ])("is not what means something else: %j", async (other) => {
    await ask("a");
    await expectError(await ask("a", other), "idempotency_key_reused");
    expect(await countTasks()).toBe(1);
    expect(isReplay(await ask("a"))).toBe(true);
  });

  it("is known for 24 hours", async () => {
    const id = await taskIdOf(await ask("a"));
    gateway.advance(24 * 3_600_000 - 1);
    expect(await taskIdOf(await ask("a"))).toBe(id);
    gateway.advance(1);
    const fresh = await ask("a");
    expect(isReplay(fresh)).toBe(false);
    expect(await taskIdOf(fresh)).not.toBe(id);
  });

  it("is known to its key only, not to another of the tenant's or of another tenant's", async () => {
    const id = await taskIdOf(await ask("a"));
    const { key: second } = await makeKey(gateway, tenant.id, {});
    const { key: foreign } = await gateway.makeTenant();
    for (const key of [second, foreign]) {
      const response = await ask("a", { prompt: "another" }, key);
      expect(isReplay(response)).toBe(false);
      expect(await taskIdOf(response)).not.toBe(id);
    }
  });
});

describe("an idempotency key", () => {
  it.each(["!", "~", "a".repeat(255), `"quoted"`, "8e03978e-40d5-43e8-bc93-6894a57f9324"])(
    "may be %s, and differs from one in other letters",
    async (name) => {
      await ask(name);
      expect(isReplay(await ask(name))).toBe(true);
      expect(isReplay(await ask(`${name.slice(0, -1)}Z`))).toBe(false);
    },
  );

  it.each(["", "a".repeat(256), "a b", "a\tb", "caf\u00e9"])("may not be %j", async (name) => {
    await expectError(await ask(name), "invalid_request", "idempotency-key");
    expect(await countTasks()).toBe(0);
  });
});

describe("30 replays at once", () => {
  it("are one task upstream, and each hears of it or that it is in progress", async () => {
    tenant = await gateway.makeTenant({ limits: { images_per_minute: 1 } });
    const replies = await Promise.all(Array.from({ length: 30 }, () => ask("a")));
    const ids = new Set<string>();
    for (const reply of replies) {
      if (reply.status === 200) ids.add(await taskIdOf(reply));
      else {
        expect(reply.headers.get("retry-after")).toBe("1");
        await expectError(reply, "idempotency_in_progress");
      }
    }
    expect(ids.size).toBe(1);
    expect(replies.filter((reply) => reply.status === 200 && !isReplay(reply))).toHaveLength(1);
    expect(simulator.control.tasks()).toHaveLength(1);
    expect(await countTasks()).toBe(1);
    expect(await held()).toBe(30);
  });

  it("of which one got a task: it is there to be read, though the upstream then refuses it", async () => {
    simulator.control.script(refuse);
    let replay: Response | undefined;
    before = async (name) => {
      if (name !== "fetch POST" || replay) return;
      before = () => undefined;
      replay = await ask("a");
    };
    await expectError(await ask("a"), "content_policy_violation");
    if (!replay) throw new Error("no replay");
    const id = await taskIdOf(replay);
    const response = await read(gateway, tenant.key, id);
    expect(response.status).toBe(200);
    expect(await response.json()).toMatchObject({
      status: "failed",
      error: { code: "content_policy_violation", charged: "no" },
    });
    expect(await held()).toBe(0);
  });
});

describe("an error leaves the key free", () => {
  const errors: [string, () => Promise<void>][] = [
    [
      "when the upstream refuses the content",
      async () => {
        simulator.control.script(refuse);
        await expectError(await ask("a"), "content_policy_violation");
      },
    ],
    [
      "when it came too early",
      async () => {
        tenant = await gateway.makeTenant({ limits: { requests_per_minute: 1 } });
        await ask("other");
        await expectError(await ask("a"), "rate_limited");
        gateway.advance(60_000);
      },
    ],
    [
      "when the credits did not suffice",
      async () => {
        tenant = await gateway.makeTenant({ balance: 29 });
        await expectError(await ask("a"), "insufficient_balance");
        await gateway.admin("PATCH", `/tenants/${tenant.id}`, { balance: 100 });
      },
    ],
    [
      "when the limiter is unavailable",
      async () => {
        before = (name) => {
          if (name === "object begin") throw new Error("gone");
        };
        await expectError(await ask("a"), "unavailable");
        before = () => undefined;
      },
    ],
  ];

  it.each(errors)("%s, even for another body", async (_what, fail) => {
    await fail();
    const rows = simulator.control.tasks().length;
    const fresh = await ask("a", { prompt: "another" });
    expect(isReplay(fresh)).toBe(false);
    await taskIdOf(fresh);
    expect(simulator.control.tasks()).toHaveLength(rows + 1);
  });
});
