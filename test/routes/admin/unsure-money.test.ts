/**
 * What the operator's calls say of money is true, whatever broke on the way: where credits may have moved the reply says that
 * it is not known, and where to look.
 */
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { credit, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError } from "../../helpers/routes.ts";

/** A gateway one of whose calls breaks, once it has taken effect. */
async function breakingAfter(broken: string, flags: object = {}) {
  const healthy = startGateway();
  const tenant = await healthy.makeTenant({ balance: 1_000 });
  let left = 1;
  const shaky = startGateway({
    beside: healthy,
    around: async (name, call) => {
      const result = await call();
      if (name === broken && left-- > 0) throw Object.assign(new Error("internal error"), flags);
      return result;
    },
  });
  return { healthy, shaky, ...tenant };
}

/** Nothing of it is a guess: whether credits moved, and whether to ask again. */
async function expectUncertain(reply: Response, code: "unavailable" | "internal_error", where: RegExp) {
  const body = await reply.clone().json();
  expect(body).toMatchObject({ error: { charged: "unknown", retryable: false } });
  const message = await expectError(reply, code, null, "unknown");
  expect(message).not.toMatch(/nothing was charged|try again/i);
  expect(message).toMatch(where);
}

describe.each([[{}], [{ overloaded: true, retryable: true }]])(
  "a call that broke after its effect: %o",
  (flags) => {
    it("credits: the reply says that it is not known, and the same reference counts once", async () => {
      const { healthy, shaky, id } = await breakingAfter("object credit", flags);
      const entry = { amount: -100, type: "adjustment", reference: "a-1" };
      await expectUncertain(await credit(shaky, id, entry), "unavailable", /`reference`/);
      expect(await moneyOf(healthy, id)).toMatchObject({ balance: 900 });
      expect((await credit(shaky, id, entry)).status).toBe(200);
      expect(await moneyOf(healthy, id)).toMatchObject({ balance: 900 });
    });

    it("a balance: the same", async () => {
      const { healthy, shaky, id } = await breakingAfter("object setBalance", flags);
      const reply = await shaky.admin("PATCH", `/tenants/${id}`, { balance: 50 });
      await expectUncertain(reply, "unavailable", /ledger/);
      expect(await moneyOf(healthy, id)).toMatchObject({ balance: 50 });
    });
  },
);

it("a call that breaks before anything can have moved says so, and may be repeated", async () => {
  const { healthy, id } = await breakingAfter("");
  const down = startGateway({
    beside: healthy,
    around: (name, call) => (name.startsWith("D1") ? Promise.reject(new Error("down")) : call()),
  });
  expect(await expectError(await credit(down, id), "unavailable")).toMatch(/Nothing was charged; try again/);
  const name = await down.admin("PATCH", `/tenants/${id}`, { name: "New" });
  expect(await expectError(name, "unavailable")).toMatch(/Nothing was charged; try again/);
});

it("credits whose entry in the audit log cannot be written are not said to be none", async () => {
  const { healthy, id } = await breakingAfter("");
  let isDown = false;
  const shaky = startGateway({
    beside: healthy,
    around: async (name, call) => {
      if (isDown && name.startsWith("D1")) throw new Error("down");
      const result = await call();
      isDown ||= name === "object credit";
      return result;
    },
  });
  await expectUncertain(await credit(shaky, id), "unavailable", /ledger/);
  expect(await ledgerOf(healthy, id)).toHaveLength(2);
});

it("a new tenant's opening balance may be there although the reply did not come", async () => {
  const { shaky } = await breakingAfter("object takeConfig");
  const reply = await shaky.admin("POST", "/tenants", { id: "opened", name: "Opened", balance: 500 });
  await expectUncertain(reply, "unavailable", /tenant/);
});

it("a balance that was set beside a row that cannot be read is not said to be none", async () => {
  const { healthy, id } = await breakingAfter("");
  await env.DB.prepare("UPDATE tenants SET prices = 'x' WHERE id = ?").bind(id).run();
  const reply = await healthy.admin("PATCH", `/tenants/${id}`, { balance: 50 });
  await expectUncertain(reply, "internal_error", /ledger/);
});

it("a deleted tenant's balance is not set", async () => {
  const { healthy, id } = await breakingAfter("");
  expect((await healthy.admin("DELETE", `/tenants/${id}`)).status).toBe(202);
  await expectError(await healthy.admin("PATCH", `/tenants/${id}`, { balance: 50 }), "not_found");
  expect(await ledgerOf(healthy, id)).toHaveLength(1);
});

it("a task that is polled by the operator, and the audit, may have charged it", async () => {
  const { healthy, key } = await breakingAfter("");
  const task = await submitTask(healthy, key);
  let isDown = false;
  const shaky = startGateway({
    beside: healthy,
    around: (name, call) => {
      isDown ||= name.startsWith("fetch GET") || name === "object check";
      return isDown && name.startsWith("D1") ? Promise.reject(new Error("down")) : call();
    },
  });
  await expectUncertain(await shaky.admin("POST", `/tasks/${task.id}/refresh`), "unavailable", /task/);
  isDown = false;
  await expectUncertain(await shaky.admin("POST", "/audit"), "unavailable", /audit/);
});
