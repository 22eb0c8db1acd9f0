/** A ledger of which most is closed reads as one that is not: pages, periods, one task's lines, CSV; and it is verified. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { credit, csvRows, getAs, type Line } from "../../helpers/credits.ts";
import { finishTask, startGateway, submitTask } from "../../helpers/gateway.ts";
import { partsOf, stubOf } from "../../helpers/tenant-object.ts";

const gateway = startGateway();
const dayMs = 86_400_000;

interface Page {
  data: Line[];
  next_cursor: string | null;
}

async function pageOf(path: string): Promise<Page> {
  const response = await gateway.admin("GET", path);
  expect(response.status).toBe(200);
  return response.json();
}

/** All pages of a listing, as they come. */
async function pagesOf(tenant: string, limit: number, query = ""): Promise<Line[][]> {
  const pages: Line[][] = [];
  for (let cursor: string | null = ""; cursor !== null && pages.length < 200; ) {
    const page: Page = await pageOf(`/tenants/${tenant}/ledger?limit=${limit}&cursor=${cursor}${query}`);
    pages.push(page.data);
    cursor = page.next_cursor;
  }
  return pages;
}

const linesOf = async (tenant: string, limit = 100, query = "") =>
  (await pagesOf(tenant, limit, query)).flat();
const close = (tenant: string) => stubOf(tenant).closeBooks(gateway.now());

/** Some tasks and a credit in each of five months, all of them closed but those of the last. */
async function manyMonths() {
  const tenant = await gateway.makeTenant({ balance: 100_000 });
  const tasks: string[] = [];
  const startMs = gateway.now();
  for (let month = 0; month < 5; month++) {
    for (let i = 0; i < 2; i++) {
      const { id } = await submitTask(gateway, tenant.key, { n: 2 });
      await finishTask(gateway, tenant.key, id);
      tasks.push(id);
    }
    await credit(gateway, tenant.id, { reference: `invoice-${month}` });
    gateway.advance(36 * dayMs);
    if (month < 4) await close(tenant.id);
  }
  return { ...tenant, tasks, startMs };
}

let one: Awaited<ReturnType<typeof manyMonths>>;
/** What it was before any of it was closed: nothing that is shown changes. */
let whole: Line[];
beforeAll(async () => {
  one = await manyMonths();
  whole = await linesOf(one.id);
}, 60_000);

describe("a ledger that is mostly closed", () => {
  it("is in R2 but for its youngest lines", async () => {
    expect((await partsOf(one.id)).length).toBeGreaterThanOrEqual(3);
    expect(whole).toHaveLength(1 + 5 * (2 * 2 + 1));
    for (const [i, { balance, held }] of whole.entries()) {
      const before = whole[i + 1] ?? { balance: 0, held: 0 };
      const { type, amount } = whole[i] as Line;
      const ofHeld = type === "hold" ? amount : type === "charge" || type === "release" ? -amount : 0;
      const ofBalance = type === "charge" ? -amount : type === "topup" ? amount : 0;
      expect([balance, held]).toEqual([before.balance + ofBalance, before.held + ofHeld]);
    }
  });

  it.each([1, 2, 5, 7, 26, 100])("is the same in pages of %i", async (limit) => {
    const pages = await pagesOf(one.id, limit);
    expect(pages.flat()).toEqual(whole);
    for (const page of pages) expect(page.length).toBeLessThanOrEqual(limit);
  });

  it("has the lines of a period", async () => {
    const at = (i: number) => whole[i]?.at ?? 0;
    for (const [to, from] of [
      [5, 20],
      [0, 3],
      [20, 25],
      [12, 12],
    ] as const) {
      const wanted = whole.filter((line) => line.at >= at(from) && line.at < at(to) + 1);
      expect(await linesOf(one.id, 4, `&from=${at(from)}&to=${at(to) + 1}`)).toEqual(wanted);
    }
  });

  it("has the lines of one task, wherever they are", async () => {
    for (const task of one.tasks) {
      const wanted = whole.filter((line) => line.task === task);
      expect(wanted).toHaveLength(2);
      expect(await linesOf(one.id, 1, `&task=${task}`)).toEqual(wanted);
    }
    const unknown = one.tasks[0]?.replace(/.{4}$/, "0000");
    expect(await linesOf(one.id, 1, `&task=${unknown}`)).toEqual([]);
  });

  it("is whole as CSV, for the tenant too", async () => {
    const rows = await csvRows(await gateway.admin("GET", `/tenants/${one.id}/ledger?format=csv`));
    expect(rows.map(({ at, type, amount, balance }) => [at, type, amount, balance])).toEqual(
      whole.map(({ at, type, amount, balance }) => [at, type, amount, balance].map(String)),
    );
    const own = await csvRows(await getAs(gateway, one.key, "/v1/ledger?format=csv"));
    expect(own).toEqual(rows);
  });

  it("answers 503 while a part of it is not to be had, and says no line of what it lacks", async () => {
    const [part] = await partsOf(one.id);
    if (!part) throw new Error("nothing is closed");
    const stored = await (await env.IMAGES.get(part.key))?.arrayBuffer();
    await env.IMAGES.delete(part.key);
    const response = await gateway.admin("GET", `/tenants/${one.id}/ledger?limit=100`);
    expect(response.status).toBe(503);
    await response.body?.cancel();
    expect(gateway.logs).toContainEqual(expect.objectContaining({ event: "ledger_part_missing" }));
    await env.IMAGES.put(part.key, stored ?? "");
    expect(await linesOf(one.id)).toEqual(whole);
  });
});

interface Audited {
  ok: boolean;
  data: { kind: string; tenant: string; subject: string; text: string }[];
  next_cursor: string | null;
  tenants_checked: number;
  parts_verified: number;
}

async function auditAll(query = ""): Promise<Audited[]> {
  const calls: Audited[] = [];
  for (let cursor: string | null = ""; cursor !== null && calls.length < 50; ) {
    const response = await gateway.admin("POST", `/audit/full?cursor=${cursor}${query}`);
    expect(response.status).toBe(200);
    const audited: Audited = await response.json();
    calls.push(audited);
    cursor = audited.next_cursor;
  }
  return calls;
}
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);

describe("POST /admin/api/audit/full", () => {
  it("verifies every part of every tenant", async () => {
    const others = 22;
    for (let i = 0; i < others; i++) await gateway.makeTenant({ balance: 10 });
    const calls = await auditAll();
    expect(calls.flatMap(({ data }) => data)).toEqual([]);
    expect(calls.length).toBeGreaterThan(1);
    expect(sum(calls.map((call) => call.tenants_checked))).toBe(1 + others);
    expect(sum(calls.map((call) => call.parts_verified))).toBe((await partsOf(one.id)).length);
    const [own] = await auditAll(`&tenant=${one.id}`);
    expect(own).toMatchObject({ ok: true, tenants_checked: 1, next_cursor: null });
  });

  it("verifies the ledgers of deleted tenants too, which are kept for good", async () => {
    const gone = await gateway.makeTenant({ balance: 1_000 });
    await finishTask(gateway, gone.key, (await submitTask(gateway, gone.key)).id);
    for (let i = 0; i < 3; i++) {
      await credit(gateway, gone.id, { reference: `r-${i}` });
      gateway.advance(40 * dayMs);
      await close(gone.id);
    }
    const [part] = await partsOf(gone.id);
    await gateway.admin("DELETE", `/tenants/${gone.id}`);
    for (let i = 0; i < 3; i++) {
      gateway.advance(60 * 60_000);
      await gateway.tick();
    }
    const found = async (query = "") => (await auditAll(query)).flatMap(({ data }) => data);
    expect([await found(), await found(`&tenant=${gone.id}`)]).toEqual([[], []]);
    const kept = await get(part?.key ?? "");
    onTestFinished(async () => void (await put(part?.key ?? "", kept)));
    await env.IMAGES.delete(part?.key ?? "");
    const text = expect.stringMatching(/^part \d of the ledger is not in R2$/);
    const missing = [{ tenant: gone.id, subject: part?.key, text }];
    expect([await found(), await found(`&tenant=${gone.id}`)]).toMatchObject([missing, missing]);
  });

  it("answers 404 for a tenant that there is not", async () => {
    const response = await gateway.admin("POST", "/audit/full?tenant=nope");
    expect(response.status).toBe(404);
  });

  it.each<[string, (keys: string[]) => Promise<unknown>, string]>([
    ["is gone", ([key = ""]) => env.IMAGES.delete(key), "is not in R2"],
    [
      "is another one",
      async ([key = "", other = ""]) => put(key, await get(other)),
      "is not what was written",
    ],
    ["is no part", ([key = ""]) => put(key, new ArrayBuffer(1)), "is not what was written"],
  ])("names a part that %s", async (_what, break_, problem) => {
    const parts = await partsOf(one.id);
    const keys = parts.map(({ key }) => key);
    const kept = await get(keys[0] ?? "");
    onTestFinished(async () => void (await put(keys[0] ?? "", kept)));
    await break_(keys);
    const calls = await auditAll(`&tenant=${one.id}`);
    expect(calls.flatMap(({ data }) => data)).toEqual([
      {
        kind: "balance",
        tenant: one.id,
        subject: keys[0],
        text: `part ${parts[0]?.number} of the ledger ${problem}`,
      },
    ]);
    await put(keys[0] ?? "", kept);
    expect((await auditAll(`&tenant=${one.id}`)).every(({ ok }) => ok)).toBe(true);
  });
});

async function get(key: string): Promise<ArrayBuffer> {
  const stored = await env.IMAGES.get(key);
  if (!stored) throw new Error(`${key} is not in R2`);
  return stored.arrayBuffer();
}
const put = (key: string, bytes: ArrayBuffer) => env.IMAGES.put(key, bytes);
