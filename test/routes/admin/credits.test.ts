/**
 * `POST /admin/api/tenants/{id}/credits`: what an operator credits counts once per reference, however often and
 * however parallel it comes, and a balance never falls below what is held for running tasks.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { typesBut } from "../../helpers/admin.ts";
import { credit, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError, naming, submit } from "../../helpers/routes.ts";

const gateway = startGateway();
const make = (body: object = {}) => gateway.makeTenant({ balance: 0, ...body });
const statusesOf = (replies: Response[]) => replies.map(({ status }) => status).toSorted((a, b) => a - b);

describe("an entry", () => {
  it.each([
    { type: "topup", amount: 1 },
    { type: "topup", amount: 1_000_000_000_000 },
    { type: "refund", amount: 25 },
    { type: "adjustment", amount: 25 },
  ])("is in the balance and in the ledger at once: $type of $amount", async ({ type, amount }) => {
    const { id } = await make();
    const response = await credit(gateway, id, { type, amount, reference: " R-1 ", note: "as agreed" });
    expect(response.status).toBe(200);
    const line = await response.json();
    expect(line).toEqual({
      at: Math.floor(gateway.now() / 1000),
      type,
      amount,
      task: null,
      reference: "R-1",
      note: "as agreed",
      balance: amount,
      held: 0,
    });
    expect(await ledgerOf(gateway, id)).toEqual([line]);
    expect(await moneyOf(gateway, id)).toEqual({ balance: amount, held: 0, available: amount });
  });

  it("may take credits away again", async () => {
    const { id } = await make({ balance: 100 });
    const response = await credit(gateway, id, { type: "adjustment", amount: -100 });
    expect(await response.json()).toMatchObject({ amount: -100, balance: 0 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 0, held: 0, available: 0 });
  });

  it("opens the door to a tenant that had nothing left", async () => {
    const { id, key } = await make();
    await expectError(await submit(gateway, key), "insufficient_balance");
    await credit(gateway, id, { amount: 30 });
    expect((await submit(gateway, key)).status).toBe(200);
    await expectError(await submit(gateway, key), "insufficient_balance");
  });

  it("is kept for a tenant that is metered only, whose balance may go below nothing", async () => {
    const { id } = await make({ balance: null });
    const response = await credit(gateway, id, { type: "adjustment", amount: -40 });
    expect(await response.json()).toMatchObject({ amount: -40, balance: -40 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: null, held: 0, available: null });
  });
});

describe("a reference", () => {
  it("that comes again changes nothing, and is answered with the first entry", async () => {
    const { id } = await make();
    const first = await (await credit(gateway, id, { note: "the first" })).json();
    await credit(gateway, id, { reference: "invoice-2" });
    gateway.advance(86_400_000);
    const again = await credit(gateway, id, { note: "sent again" });
    expect(again.status).toBe(200);
    expect(await again.json()).toEqual(first);
    expect(await ledgerOf(gateway, id)).toHaveLength(2);
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 200 });
  });

  it("that comes many times at once counts once", async () => {
    const { id } = await make();
    const replies = await Promise.all(Array.from({ length: 20 }, () => credit(gateway, id)));
    expect(new Set(statusesOf(replies))).toEqual(new Set([200]));
    const lines = await Promise.all(replies.map((reply) => reply.text()));
    expect(new Set(lines).size).toBe(1);
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 100 });
  });

  it.each([
    ["another amount", { amount: 101 }],
    ["another type", { type: "refund" }],
    ["the amount the other way", { type: "adjustment", amount: -100 }],
  ])("is refused with %s", async (_what, other) => {
    const { id } = await make({ balance: 500 });
    await credit(gateway, id);
    await expectError(await credit(gateway, id, other), "already_exists", "reference");
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 600 });
    expect(await ledgerOf(gateway, id)).toHaveLength(2);
  });

  it("with two amounts at once counts as one of them", async () => {
    const { id } = await make();
    const replies = await Promise.all([1, 2].map((amount) => credit(gateway, id, { amount })));
    expect(statusesOf(replies)).toEqual([200, 409]);
    const [line, ...rest] = await ledgerOf(gateway, id);
    expect(rest).toEqual([]);
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: line?.amount });
  });

  it("of one tenant means nothing to another", async () => {
    const [one, other] = [await make(), await make()];
    await credit(gateway, one.id);
    expect(await (await credit(gateway, other.id, { amount: 7 })).json()).toMatchObject({ balance: 7 });
  });

  it("each counts, however many come at once", async () => {
    const { id } = await make();
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => credit(gateway, id, { amount: 2 ** i, reference: `no-${i}` })),
    );
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 2 ** 20 - 1 });
    const lines = (await ledgerOf(gateway, id)).toReversed();
    let balance = 0;
    for (const line of lines) {
      balance += line.amount;
      expect(line.balance).toBe(balance);
    }
  });
});

describe("what is held", () => {
  it("cannot be taken away, but all the rest can", async () => {
    const { id, key } = await make({ balance: 100 });
    await submitTask(gateway, key, { n: 3 });
    const before = await ledgerOf(gateway, id);
    const message = await expectError(
      await credit(gateway, id, { type: "adjustment", amount: -11 }),
      "balance_held",
    );
    expect(message).toMatch(/\b10 credits\b/);
    expect(await ledgerOf(gateway, id)).toEqual(before);
    const rest = await credit(gateway, id, { type: "adjustment", amount: -10 });
    expect(await rest.json()).toMatchObject({ balance: 90, held: 90 });
    expect(await moneyOf(gateway, id)).toEqual({ balance: 90, held: 90, available: 0 });
  });

  it("leaves the reference of a refused entry free", async () => {
    const { id } = await make({ balance: 5 });
    await expectError(await credit(gateway, id, { type: "adjustment", amount: -6 }), "balance_held");
    expect((await credit(gateway, id, { type: "adjustment", amount: -5 })).status).toBe(200);
  });

  it("stands against withdrawals that all come at once", async () => {
    const { id, key } = await make({ balance: 100 });
    await submitTask(gateway, key);
    const replies = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        credit(gateway, id, { type: "adjustment", amount: -30, reference: `out-${i}` }),
      ),
    );
    expect(statusesOf(replies)).toEqual([200, 200, ...Array(8).fill(409)]);
    expect(await moneyOf(gateway, id)).toEqual({ balance: 40, held: 30, available: 10 });
  });
});

describe("a body that breaks a rule", () => {
  let id = "";
  beforeAll(async () => {
    id = (await make({ balance: 50 })).id;
  });
  const bad: Record<string, [string, unknown][]> = {
    amount: [
      ...typesBut("number"),
      ["missing", undefined],
      ["0", 0],
      ["negative", -1],
      ["a fraction", 1.5],
      ["digits in a text", "100"],
      ["too large", 1_000_000_000_001],
      ["far too large", 1e300],
    ],
    type: [
      ...typesBut("string"),
      ["missing", undefined],
      ["another word", "charge"],
      ["other capitals", "Topup"],
    ],
    reference: [
      ...typesBut("string"),
      ["missing", undefined],
      ["empty", ""],
      ["white space only", " \t"],
      ["201 letters", "r".repeat(201)],
    ],
    note: [...typesBut("string"), ["501 letters", "n".repeat(501)]],
    balance: [["which is no field", 1]],
    tenant: [["which is no field", "other"]],
  };
  const table = Object.entries(bad).flatMap(([field, values]) =>
    values.map(([what, value]) => ({ field, what, value })),
  );

  it.each(table)("is refused for its $field: $what", async ({ field, value }) => {
    const response = await credit(gateway, id, { [field]: value });
    expect(await expectError(response, "invalid_request", field)).toMatch(naming(field));
    expect(await moneyOf(gateway, id)).toMatchObject({ balance: 50 });
  });

  it.each([
    ["an adjustment of 0", { type: "adjustment", amount: 0 }],
    ["a negative refund", { type: "refund", amount: -1 }],
    ["an adjustment that takes too much at once", { type: "adjustment", amount: -1_000_000_000_001 }],
  ])("is refused as %s", async (_what, body) => {
    await expectError(await credit(gateway, id, body), "invalid_request", "amount");
  });

  it("names all that is wrong", async () => {
    const response = await credit(gateway, id, { amount: "1", type: 1, reference: "", surplus: 1 });
    const message = await expectError(response, "invalid_request", "amount");
    for (const field of ["amount", "type", "reference", "surplus"]) expect(message).toMatch(naming(field));
  });

  it("is no JSON, or none that is said to be", async () => {
    const headers = { authorization: `Bearer ${gateway.config.ADMIN_API_KEY}` };
    const send = (type: string, body: string) =>
      gateway.fetch(`/admin/api/tenants/${id}/credits`, {
        method: "POST",
        headers: { ...headers, "content-type": type },
        body,
      });
    await expectError(await send("application/json", "{"), "invalid_json");
    await expectError(await send("text/plain", "{}"), "unsupported_media_type");
  });
});

describe("a tenant that is not there", () => {
  it.each(["no-such", "UPPER", "%00", "a".repeat(500)])(
    "is not found, and comes not to be: %s",
    async (id) => {
      await expectError(await credit(gateway, id), "not_found");
      await expectError(await gateway.admin("GET", `/tenants/${id}`), "not_found");
      await expectError(await gateway.admin("GET", `/tenants/${id}/ledger`), "not_found");
    },
  );
});
