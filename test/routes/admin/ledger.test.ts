/**
 * The ledger: every hold, charge, release and credit in order, with the balance and what is held after each, for
 * the operator and for the tenant alike. What was refused before it counted is not in it.
 */
import { runInDurableObject } from "cloudflare:test";
import { beforeAll, describe, expect, it } from "vitest";
import { asCells, credit, csvRows, getAs, type Line, ledgerOf, moneyOf } from "../../helpers/credits.ts";
import { finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { expectError, makeKey, submit } from "../../helpers/routes.ts";
import { objectOf } from "../../helpers/tenant-object.ts";

const gateway = startGateway();
const nowSeconds = () => Math.floor(gateway.now() / 1000);
const { script } = gateway.simulator.control;

/** A tenant of 500 credits, one task of whose three images two came, and a top-up. */
async function live() {
  const tenant = await gateway.makeTenant({ balance: 500 });
  const openedAt = nowSeconds();
  gateway.advance(60_000);
  script({ on: "submit", times: 1, do: { kind: "plan", seconds: 5, results: 2 } });
  const { id: task } = await submitTask(gateway, tenant.key, { n: 3 });
  const heldAt = nowSeconds();
  expect(await finishTask(gateway, tenant.key, task)).toMatchObject({ status: "completed" });
  const endedAt = nowSeconds();
  gateway.advance(60_000);
  await credit(gateway, tenant.id, { amount: 40, reference: "invoice-7", note: "thanks" });
  return { ...tenant, task, openedAt, heldAt, endedAt, toppedUpAt: nowSeconds() };
}

let one: Awaited<ReturnType<typeof live>>;
beforeAll(async () => {
  one = await live();
});

interface Page {
  object: string;
  data: Line[];
  next_cursor: string | null;
}

const readPage = async (path: string, query: string): Promise<Page> => {
  const response = await gateway.admin("GET", `${path}?${query}`);
  expect(response.status).toBe(200);
  return response.json();
};

async function pagesOf(tenantId: string, limit: number, query = ""): Promise<Line[][]> {
  const pages: Line[][] = [];
  let cursor: string | null = "";
  while (cursor !== null && pages.length < 100) {
    const page = await readPage(`/tenants/${tenantId}/ledger`, `limit=${limit}&cursor=${cursor}&${query}`);
    pages.push(page.data);
    cursor = page.next_cursor;
  }
  return pages;
}

describe("the ledger of a tenant's life", () => {
  it("shows each step, newest first, with balance and held after it", async () => {
    const none = { task: null, reference: null, note: null };
    expect(await readPage(`/tenants/${one.id}/ledger`, "")).toEqual({
      object: "list",
      next_cursor: null,
      data: [
        {
          at: one.toppedUpAt,
          type: "topup",
          amount: 40,
          task: null,
          reference: "invoice-7",
          note: "thanks",
          balance: 480,
          held: 0,
        },
        { ...none, at: one.endedAt, type: "release", amount: 30, task: one.task, balance: 440, held: 0 },
        { ...none, at: one.endedAt, type: "charge", amount: 60, task: one.task, balance: 440, held: 30 },
        { ...none, at: one.heldAt, type: "hold", amount: 90, task: one.task, balance: 500, held: 90 },
        {
          ...none,
          at: one.openedAt,
          type: "topup",
          amount: 500,
          reference: "gateway: opening balance",
          balance: 500,
          held: 0,
        },
      ],
    });
    expect(await moneyOf(gateway, one.id)).toEqual({ balance: 480, held: 0, available: 480 });
  });

  it("has a charge and nothing released for a task whose images all came", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 500 });
    await finishTask(gateway, key, (await submitTask(gateway, key, { n: 2 })).id);
    expect((await ledgerOf(gateway, id)).map(({ type, amount }) => [type, amount])).toEqual([
      ["charge", 60],
      ["hold", 60],
      ["topup", 500],
    ]);
  });

  it("has a release and no charge for a task that failed", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 500 });
    script({ on: "submit", times: 1, do: { kind: "plan", end: "failed", code: "generation_failed" } });
    await finishTask(gateway, key, (await submitTask(gateway, key, { n: 2 })).id);
    expect((await ledgerOf(gateway, id)).map(({ type, amount, held }) => [type, amount, held])).toEqual([
      ["release", 60, 0],
      ["hold", 60, 60],
      ["topup", 500, 0],
    ]);
  });

  it("has nothing of a submission that was refused here", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 40, limits: { images_per_minute: 3 } });
    await expectError(await submit(gateway, key, { n: 0 }), "invalid_request", "n");
    await expectError(await submit(gateway, key, { n: 4 }), "invalid_request", "n");
    await expectError(await submit(gateway, key, { n: 2 }), "insufficient_balance");
    expect((await ledgerOf(gateway, id)).map(({ type }) => type)).toEqual(["topup"]);
  });

  it("has hold and release of one that the upstream refused", async () => {
    const { id, key } = await gateway.makeTenant({ balance: 100 });
    script({ on: "submit", times: 1, do: { kind: "error", status: 400, code: "content_policy_violation" } });
    await expectError(await submit(gateway, key, { n: 2 }), "content_policy_violation");
    const [release, hold] = await ledgerOf(gateway, id);
    expect(release).toMatchObject({ type: "release", amount: 60, balance: 100, held: 0 });
    expect(hold).toMatchObject({ type: "hold", amount: 60, balance: 100, held: 60 });
    expect(release?.task).toBe(hold?.task);
  });
});

describe("a part of the ledger", () => {
  const types = async (query: string) => (await ledgerOf(gateway, one.id, query)).map(({ type }) => type);

  it("begins at from, and ends before to", async () => {
    const all = ["topup", "release", "charge", "hold", "topup"];
    expect(await types(`from=${one.heldAt}`)).toEqual(all.slice(0, 4));
    expect(await types(`from=${one.heldAt + 1}`)).toEqual(all.slice(0, 3));
    expect(await types(`to=${one.endedAt}`)).toEqual(all.slice(3));
    expect(await types(`to=${one.endedAt + 1}`)).toEqual(all.slice(1));
    expect(await types(`from=${one.heldAt}&to=${one.heldAt}`)).toEqual([]);
  });

  it("is a whole day when from and to say days", async () => {
    const dayOf = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 10);
    expect(await types(`from=${dayOf(one.openedAt)}&to=${dayOf(one.toppedUpAt)}`)).toHaveLength(5);
    const tomorrow = dayOf(one.toppedUpAt + 86_400);
    expect(await types(`from=${tomorrow}&to=${tomorrow}`)).toEqual([]);
    expect(await types(`to=${dayOf(one.openedAt - 86_400)}`)).toEqual([]);
  });

  it("is what is about one task", async () => {
    expect(await types(`task=${one.task}`)).toEqual(["release", "charge", "hold"]);
    expect(await types("task=task-unknown")).toEqual([]);
  });

  it.each([
    ["from", "from=yesterday"],
    ["from", "from=2030-13-01"],
    ["from", "from=2030-02-31"],
    ["from", "from=-1"],
    ["from", "from=200&to=100"],
    ["from", "from=2030-12-02&to=2030-12-01"],
    ["from", "from=1922400000&to=2030-12-01"],
    ["limit", "limit=2&format=csv"],
    ["cursor", "cursor=1&format=csv"],
    ["to", "to=1.5"],
    ["to", "to=99999999999"],
    ["format", "format=xlsx"],
    ["limit", "limit=0"],
    ["limit", "limit=101"],
    ["cursor", "cursor=x"],
    ["cursor", "cursor=1.5"],
    ["cursor", `cursor=${"9".repeat(16)}`],
    ["task", `task=${"t".repeat(101)}`],
  ])("is refused for a bad %s: %s", async (param, query) => {
    const response = await gateway.admin("GET", `/tenants/${one.id}/ledger?${query}`);
    await expectError(response, "invalid_request", param);
    await expectError(await getAs(gateway, one.key, `/v1/ledger?${query}`), "invalid_request", param);
  });
});

describe("the pages of the ledger", () => {
  it("hold every line once and in order, whatever their size", async () => {
    const all = await ledgerOf(gateway, one.id);
    for (let limit = 1; limit <= all.length + 1; limit++) {
      const pages = await pagesOf(one.id, limit);
      expect([limit, pages.flat()]).toEqual([limit, all]);
      for (const page of pages.slice(0, -1)) expect(page).toHaveLength(limit);
    }
  });

  it("keep to what was asked for", async () => {
    const all = await ledgerOf(gateway, one.id, `task=${one.task}`);
    const pages = await pagesOf(one.id, 1, `task=${one.task}`);
    expect(pages.flat()).toEqual(all);
  });

  it("are not moved by what is written meanwhile", async () => {
    const { id } = await gateway.makeTenant({ balance: 1 });
    for (let i = 2; i <= 5; i++) await credit(gateway, id, { amount: i, reference: `no-${i}` });
    const first = await readPage(`/tenants/${id}/ledger`, "limit=2");
    await credit(gateway, id, { amount: 6, reference: "no-6" });
    const second = await readPage(`/tenants/${id}/ledger`, `limit=3&cursor=${first.next_cursor}`);
    expect([...first.data, ...second.data].map(({ amount }) => amount)).toEqual([5, 4, 3, 2, 1]);
  });
});

/** A line as it stands in the table, with the time in words beside it. */
const inTable = (line: Line) =>
  expect.objectContaining({
    ...asCells(line),
    at_utc: expect.stringMatching(new RegExp(`^${new Date(line.at * 1000).toISOString().slice(0, 19)}`)),
  });

describe("the table of the ledger", () => {
  it("holds what the pages hold", async () => {
    const rows = await csvRows(await gateway.admin("GET", `/tenants/${one.id}/ledger?format=csv`));
    expect(Object.keys(rows[0] ?? {})).toEqual(
      "at at_utc type amount task reference note balance held".split(" "),
    );
    expect(rows).toEqual((await ledgerOf(gateway, one.id)).map(inTable));
    const part = await csvRows(
      await gateway.admin("GET", `/tenants/${one.id}/ledger?format=csv&task=${one.task}`),
    );
    expect(part.map(({ type }) => type)).toEqual(["release", "charge", "hold"]);
  });

  it("has no pages, and says what has", async () => {
    const response = await gateway.admin("GET", `/tenants/${one.id}/ledger?format=csv&limit=2&cursor=`);
    const message = await expectError(response, "invalid_request", "limit");
    expect(message).toContain("must be left out with format=csv, which has all of the period: from and to");
  });

  it("is named after its tenant, and the period that was asked for", async () => {
    const nameOf = async (query: string) => {
      const reply = await gateway.admin("GET", `/tenants/${one.id}/ledger?format=csv${query}`);
      await reply.body?.cancel();
      return reply.headers.get("content-disposition");
    };
    const named = (rest: string) => `attachment; filename="ledger-${one.id}${rest}.csv"`;
    expect(await nameOf("")).toBe(named(""));
    expect(await nameOf("&from=2030-01-31")).toBe(named("-from-2030-01-31"));
    expect(await nameOf("&to=1922400000")).toBe(named("-to-1922400000"));
    expect(await nameOf("&from=2030-01-31&to=2030-02-28")).toBe(named("-from-2030-01-31-to-2030-02-28"));
  });

  it("is whole even when it is longer than any page", async () => {
    const { id } = await gateway.makeTenant({ balance: 1 });
    const count = 2_100;
    const one = (i: number) => ({ type: "topup" as const, amount: 1, reference: `no-${i}`, note: null });
    // Inside the object: as many calls to it would take most of a minute.
    await runInDurableObject(objectOf(id), async (object) => {
      for (let i = 0; i < count; i++) await object.credit(id, one(i), gateway.now());
    });
    const rows = await csvRows(await gateway.admin("GET", `/tenants/${id}/ledger?format=csv`));
    expect(rows.map(({ balance }) => Number(balance))).toEqual(
      Array.from({ length: count + 1 }, (_, i) => count + 1 - i),
    );

    // A connection that breaks says that there is more; an end would say that there is not.
    let reads = 0;
    const failing = startGateway({
      beside: gateway,
      around: async (name, call) => {
        if (name.endsWith("ledgerPage") && ++reads > 1) throw new Error("the object is gone");
        return call();
      },
    });
    const broken = await failing.admin("GET", `/tenants/${id}/ledger?format=csv`);
    expect(broken.status).toBe(200);
    await expect(broken.text()).rejects.toThrow();
    reads = 1;
    await expectError(await failing.admin("GET", `/tenants/${id}/ledger?format=csv`), "unavailable");
  });
});

describe("a tenant's own ledger", () => {
  it("shows what the operator sees", async () => {
    for (const query of ["", "limit=2", `task=${one.task}`, `from=${one.heldAt}&to=${one.endedAt}`]) {
      const own = await getAs(gateway, one.key, `/v1/ledger?${query}`);
      expect(own.headers.get("cache-control")).toBe("no-store");
      expect(await own.json()).toEqual(await readPage(`/tenants/${one.id}/ledger`, query));
    }
    const table = await csvRows(await getAs(gateway, one.key, "/v1/ledger?format=csv"));
    expect(table).toEqual((await ledgerOf(gateway, one.id)).map(inTable));
  });

  it("is open to scope manage, and closed to all other keys", async () => {
    const manage = await makeKey(gateway, one.id, { scopes: ["manage"] });
    expect((await getAs(gateway, manage.key, "/v1/ledger")).status).toBe(200);
    const images = await makeKey(gateway, one.id, { scopes: ["images"] });
    await expectError(await getAs(gateway, images.key, "/v1/ledger"), "scope_denied");
    const page = { kind: "browser", allowed_origins: ["https://app.example"] };
    const browser = await makeKey(gateway, one.id, page);
    const headers = { authorization: `Bearer ${browser.key}`, origin: "https://app.example" };
    await expectError(await gateway.fetch("/v1/ledger", { headers }), "scope_denied");
  });
});
