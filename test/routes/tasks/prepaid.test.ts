/**
 * A prepaid tenant: nothing is admitted that its balance does not cover, however many come at once; what is held
 * is given back unless pictures came of it, and those cost what they cost at the submission.
 */
import { beforeEach, describe, expect, it } from "vitest";
import { credit, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { finishTask, readTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import {
  deleteTasks,
  expectError,
  expectNothingBut,
  generations,
  goodBody,
  makeKey,
  recordBindings,
  submit,
} from "../../helpers/routes.ts";

beforeEach(deleteTasks);

const bindings = recordBindings();
const gateway = startGateway({ around: bindings.around });
const { script } = gateway.simulator.control;
const std = "wan-2.7-image";
const roomy = { requests_per_minute: 1_000, images_per_minute: 1_000, concurrent_tasks: 1_000 };
const change = (id: string, body: object) => gateway.admin("PATCH", `/tenants/${id}`, body);
const failing = { kind: "plan", seconds: 5, end: "failed", code: "generation_failed" } as const;

describe("a balance that does not cover a submission", () => {
  it("refuses it with what it costs and what is there, and nothing is consumed", async () => {
    const limits = { requests_per_minute: 2, images_per_day: 4 };
    const { id, key } = await gateway.makeTenant({ balance: 59, limits });
    for (let i = 0; i < 5; i++) {
      const ask = () => submit(gateway, key, { n: 2 });
      const message = await expectNothingBut(gateway, ask, "insufficient_balance");
      expect(message).toMatch(/\b60 credits.*\b59\b/);
    }
    expect(await moneyOf(gateway, id)).toEqual({ balance: 59, held: 0, available: 59 });
    await credit(gateway, id, { amount: 61 });
    for (let i = 0; i < 2; i++) expect((await submit(gateway, key, { n: 2 })).status).toBe(200);
    await expectError(await submit(gateway, key), "insufficient_balance");
  });

  it("is shown to no visitor of the tenant's page", async () => {
    const { id } = await gateway.makeTenant({ balance: 29 });
    const origin = "https://app.example";
    const { key } = await makeKey(gateway, id, { kind: "browser", allowed_origins: [origin] });
    const headers = { authorization: `Bearer ${key}`, origin };
    const message = await expectError(
      await gateway.post(generations, goodBody, headers),
      "insufficient_balance",
    );
    expect(message).not.toMatch(/\d/);
  });

  it("admits what it covers exactly, and what costs nothing", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 60, prices: { "wan-2.7-image-pro": 0 } });
    await submitTask(gateway, key, { n: 2 });
    await expectError(await submit(gateway, key), "insufficient_balance");
    await submitTask(gateway, key, { model: "wan-2.7-image-pro", n: 2 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 60, held: 60, available: 0 });
  });

  it("admits exactly so many of a hundred at once", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 7 * 30 + 29, limits: roomy });
    script({ on: "submit", times: 7, do: failing });
    const replies = await Promise.all(Array.from({ length: 100 }, () => submit(gateway, key)));
    const taken = replies.filter(({ status }) => status === 200);
    expect(taken).toHaveLength(7);
    for (const reply of replies.filter(({ status }) => status !== 200)) {
      // Waiting brings no credits.
      expect(reply.headers.has("retry-after")).toBe(false);
      await expectError(reply, "insufficient_balance");
    }
    expect(await moneyOf(gateway, id)).toEqual({ balance: 239, held: 210, available: 29 });

    // All seven fail: as many more fit.
    for (const reply of taken) {
      const task = await finishTask(gateway, key, ((await reply.json()) as { id: string }).id);
      expect(task).toMatchObject({ status: "failed", usage: { credits_held: 0, credits_charged: 0 } });
    }
    expect(await moneyOf(gateway, id)).toEqual({ balance: 239, held: 0, available: 239 });
    const again = await Promise.all(Array.from({ length: 20 }, () => submit(gateway, key)));
    expect(again.filter(({ status }) => status === 200)).toHaveLength(7);
  });
});

describe("what is held", () => {
  it.each([0, 1, 2, 3, 4, 5])(
    "is charged for %i images of four asked, and the rest is given back",
    async (came) => {
      const { id, key } = await gateway.makeTenant({ balance: 200 });
      script({ on: "submit", times: 1, do: { kind: "plan", seconds: 5, results: came } });
      const task = await submitTask(gateway, key, { n: 4 });
      expect(task.usage).toEqual({ images: 0, credits_held: 120, credits_charged: 0 });
      expect(await moneyOf(gateway, id)).toEqual({ balance: 200, held: 120, available: 80 });
      const images = Math.min(came, 4);
      // A task without any link may still get one, until its deadline.
      if (came === 0) gateway.advance(3_600_000);
      const ended = await finishTask(gateway, key, task.id);
      expect(ended.status).toBe(came === 0 ? "failed" : "completed");
      expect(ended.usage).toEqual({ images, credits_held: 0, credits_charged: images * 30 });
      const balance = 200 - images * 30;
      expect(await moneyOf(gateway, id)).toEqual({ balance, held: 0, available: balance });
    },
  );

  it("is given back at once when the upstream refuses the content", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 60 });
    for (let i = 0; i < 3; i++) {
      script({
        on: "submit",
        times: 1,
        do: { kind: "error", status: 400, code: "content_policy_violation" },
      });
      await expectError(await submit(gateway, key, { n: 2 }), "content_policy_violation");
      expect(await moneyOf(gateway, id)).toEqual({ balance: 60, held: 0, available: 60 });
    }
  });

  it("stays held while the task waits for its turn", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 60 });
    script({ on: "submit", times: 1, do: { kind: "rate_limit", retryAfter: 30 } });
    const task = await submitTask(gateway, key, { n: 2 });
    await expectError(await submit(gateway, key), "insufficient_balance");
    expect(await finishTask(gateway, key, task.id)).toMatchObject({ status: "completed" });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 0, held: 0, available: 0 });
  });
});

describe("a price that changes while a task runs", () => {
  it("is not the task's, whether the tenant's or the gateway's own changed", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 1_000 });
    const first = await submitTask(gateway, key, { n: 2 });
    await change(id, { prices: { [std]: 400 } });
    const dearer = startGateway({
      beside: gateway,
      vars: { PRICES: JSON.stringify({ [std]: 999, "wan-2.7-image-pro": 999 }) },
    });
    const ended = await finishTask(dearer, key, first.id);
    expect(ended.usage).toEqual({ images: 2, credits_held: 0, credits_charged: 60 });
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 940 });
    const second = await submitTask(gateway, key);
    await change(id, { prices: {} });
    expect((await readTask(gateway, key, second.id)).usage.credits_held).toBe(400);
    await finishTask(gateway, key, second.id);
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 540, held: 0 });
  });
});

describe("the balance that an operator sets", () => {
  it("opens the account once, with a line of its own", async () => {
    const { id } = await gateway.makeTenant({ balance: 250 });
    await change(id, { name: "Renamed" });
    await gateway.tick();
    expect(await ledgerOf(gateway, id)).toMatchObject([
      { type: "topup", amount: 250, balance: 250, reference: "gateway: opening balance" },
    ]);
  });

  it("is in the account even when the object is unavailable at first, and only once", async () => {
    bindings.broken.add("object");
    const body = { id: "object-unavailable", name: "Test", balance: 70 };
    const made = await gateway.admin("POST", "/tenants", body);
    expect([made.status, await made.json()]).toMatchObject([503, { error: { charged: "unknown" } }]);
    bindings.broken.clear();
    for (let i = 0; i < 3; i++) await gateway.tick();
    expect(await moneyOf(gateway, "object-unavailable")).toEqual({ balance: 70, held: 0, available: 70 });
    expect(await ledgerOf(gateway, "object-unavailable")).toHaveLength(1);
  });

  it("is what it is from then on, by an adjustment", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 250 });
    await submitTask(gateway, key, { n: 3 });
    expect(await (await change(id, { balance: 100 })).json()).toMatchObject({ balance: 100, available: 10 });
    expect(await (await change(id, { balance: 1_000 })).json()).toMatchObject({ balance: 1_000, held: 90 });
    const amounts = (await ledgerOf(gateway, id)).map(({ type, amount }) => [type, amount]);
    expect(amounts.slice(0, 2)).toEqual([
      ["adjustment", 900],
      ["adjustment", -150],
    ]);
  });

  it("cannot be below what is held, and then nothing else changes either", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 250 });
    await submitTask(gateway, key, { n: 3 });
    await expectError(await change(id, { balance: 89, name: "Changed" }), "balance_held");
    expect(await (await gateway.admin("GET", `/tenants/${id}`)).json()).toMatchObject({ name: "Test" });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 250, held: 90, available: 160 });
    expect((await change(id, { balance: 90 })).status).toBe(200);
  });

  it("is none with null, and then tasks are metered and nothing is refused", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 0 });
    await expectError(await submit(gateway, key), "insufficient_balance");
    await change(id, { balance: null });
    const { id: task } = await submitTask(gateway, key, { n: 2 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: null, held: 60, available: null });
    await expectError(await change(id, { balance: 59 }), "balance_held");
    await finishTask(gateway, key, task);
    expect((await ledgerOf(gateway, id))[0]).toMatchObject({ type: "charge", amount: 60, balance: -60 });
    await change(id, { balance: 30 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 30, held: 0, available: 30 });
    await submitTask(gateway, key);
    await expectError(await submit(gateway, key), "insufficient_balance");
  });
});

describe("a balance that runs low", () => {
  it("is sent once each time that it falls below the line", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 160, low_balance: 100 });
    const received = () =>
      gateway.logs.filter((line) => line.event === "balance_low" && line.tenant === id).length;
    const counts: number[] = [];
    for (let i = 0; i < 5; i++) {
      await submitTask(gateway, key);
      counts.push(received());
    }
    // 130, 100, 70, 40, 10
    expect(counts).toEqual([0, 0, 1, 1, 1]);
    await expectError(await submit(gateway, key), "insufficient_balance");
    await credit(gateway, id, { amount: 100 });
    await submitTask(gateway, key);
    expect(received()).toBe(2);
  });
});
