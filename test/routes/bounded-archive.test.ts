/**
 * What calls read in D1 of an archive of very many tenants and parts: numbers that `docs/scaling.md` states. And whatever is not
 * searched for its number is said to be so, or comes with the next page.
 */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { addUp } from "../../src/d1/cron/sums.ts";
import { idBound } from "../../src/domain/ids.ts";
import { archiveAll, copyTask, dayMs } from "../helpers/archived.ts";
import { bearer, finishTask, startGateway, submitTask } from "../helpers/gateway.ts";
import { expectError } from "../helpers/routes.ts";

const gateway = startGateway();
let big = { id: "", key: "", keyId: "" };
/** Of the big tenant, oldest first: two of one end user in its oldest part. */
let ids: string[] = [];
const youngParts = 120;

/** Parts as D1 knows them, without objects: of a time and some milliseconds each. */
async function insertParts(parts: { tenant: string; fromMs: number; toMs: number }[]): Promise<void> {
  const rows = parts.map(({ tenant, fromMs, toMs }) => ({
    tenant,
    first: `${idBound("task", fromMs)}${"0".repeat(21)}`,
    last: `${idBound("task", toMs)}${"0".repeat(21)}`,
  }));
  await env.DB.prepare(
    `INSERT INTO task_parts (tenant_id, last_id, first_id, key, tasks, oldest_text_id, id_tags, end_user_tags)
     SELECT value ->> 'tenant', value ->> 'last', value ->> 'first', 'none', 2, NULL, ',----', '' FROM json_each(?1)`,
  )
    .bind(JSON.stringify(rows))
    .run();
}

beforeAll(async () => {
  big = await gateway.makeTenant({ id: "big" });
  const { id } = await submitTask(gateway, big.key, { end_user: "ada" });
  await finishTask(gateway, big.key, id);
  const startMs = gateway.now();
  ids = [id, ...(await copyTask(id, [{ createdMs: startMs + 1_000, endUser: "ada" }]))];
  gateway.advance(200 * dayMs);
  await addUp(env.DB, gateway.now());
  await archiveAll(gateway, big.id);
  const after = (n: number) => startMs + (n + 1) * dayMs;
  await insertParts(
    Array.from({ length: youngParts }, (_, n) => ({
      tenant: "big",
      fromMs: after(n),
      toMs: after(n) + dayMs / 2,
    })),
  );
  // Around the big tenant's oldest, and none of them has it.
  const around = { fromMs: startMs - dayMs, toMs: startMs + dayMs };
  await insertParts(Array.from({ length: 999 }, (_, n) => ({ tenant: `t-${n}`, ...around })));
});

/** Rows that a call reads, and its reply. */
async function read(call: () => Promise<Response>): Promise<{ response: Response; rows: number }> {
  const logged = gateway.logs.length;
  const response = await call();
  const rows = gateway.logs.slice(logged).reduce((sum, line) => sum + Number(line.rows_read ?? 0), 0);
  return { response, rows };
}

describe("a list in a long archive", () => {
  const list = (query: string) => () => gateway.fetch(`/v1/tasks?${query}`, { headers: bearer(big.key) });

  it("reads few rows for each page, however many parts are younger, and all pages have all", async () => {
    for (const query of ["end_user=ada", "end_user=none", "end_user=ada&status=failed"]) {
      const found: string[] = [];
      let pages = 0;
      for (let cursor: string | null = ""; cursor !== null; pages++) {
        const { response, rows } = await read(list(`${query}&cursor=${cursor}`));
        expect(rows).toBeLessThanOrEqual(50);
        const page: { data: { id: string }[]; next_cursor: string | null } = await response.json();
        found.push(...page.data.map(({ id }) => id));
        cursor = page.next_cursor;
      }
      expect([query, found]).toEqual([query, query === "end_user=ada" ? ids.toReversed() : []]);
      expect(pages).toBeGreaterThan(4);
      expect(pages).toBeLessThan(8);
    }
  });

  it("reads few rows at the end of the archive", async () => {
    const { response, rows } = await read(list(`cursor=${ids[1]}~`));
    expect(await response.json()).toMatchObject({
      data: [{ id: ids[1] }, { id: ids[0] }],
      next_cursor: null,
    });
    expect(rows).toBeLessThanOrEqual(50);
  });
});

describe("the operator's read of an archived task", () => {
  const operators = (query = "", method = "GET", action = "") =>
    read(() => gateway.admin(method, `/tasks/${ids[0]}${action}${query}`));

  it("looks into the archives of a thousand tenants", async () => {
    const { response, rows } = await operators();
    expect(await response.json()).toMatchObject({ id: ids[0], tenant: "big" });
    expect(rows).toBeGreaterThan(2_000);
    expect(rows).toBeLessThanOrEqual(4_100);
    const unknown = await gateway.admin("GET", `/tasks/${ids[0]?.replace(/.{4}$/, "0000")}`);
    await expectError(unknown, "task_not_found");
  });

  it("asks for the tenant beside more, and reads few rows with it", async () => {
    const { fromMs, toMs } = { fromMs: gateway.now() - 90 * dayMs, toMs: gateway.now() - 80 * dayMs };
    await insertParts([...Array(50).keys()].map((n) => ({ tenant: `a-${n}`, fromMs, toMs })));
    await env.DB.prepare("UPDATE task_parts SET tenant_id = 'z-last' WHERE last_id = ?1").bind(ids[1]).run();
    for (const [method, action] of [
      ["GET", ""],
      ["POST", "/refresh"],
      ["POST", "/fail"],
    ] as const) {
      const { response, rows } = await operators("", method, action);
      await expectError(response, "invalid_request", "tenant");
      expect(rows).toBeLessThanOrEqual(4_100);
      const named = await operators("?tenant=z-last", method, action);
      expect(await named.response.json()).toMatchObject({ id: ids[0] });
      expect(named.rows).toBeLessThanOrEqual(20);
      await expectError((await operators("?tenant=a-1", method, action)).response, "task_not_found");
    }
  });

  it("finds a task that is not archived with its tenant alone, or without one", async () => {
    const { id } = await submitTask(gateway, big.key);
    await finishTask(gateway, big.key, id);
    expect((await gateway.admin("GET", `/tasks/${id}?tenant=big`)).status).toBe(200);
    expect((await gateway.admin("GET", `/tasks/${id}`)).status).toBe(200);
    await expectError(await gateway.admin("GET", `/tasks/${id}?tenant=t-1`), "task_not_found");
    await expectError(await gateway.admin("POST", `/tasks/${id}/fail?tenant=t-1`), "task_not_found");
  });
});
