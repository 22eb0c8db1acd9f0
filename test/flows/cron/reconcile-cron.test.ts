/** Reconciliation by cron: every ten minutes a few tenants in turn, and each discrepancy is logged as an error. */
import { env } from "cloudflare:workers";
import { beforeEach, expect, it } from "vitest";
import { startGateway, submitTask, type TestGateway } from "../../helpers/gateway.ts";
import { emptyStores } from "../../helpers/setup.ts";
import { setInState } from "../../helpers/tenant-state.ts";

const minuteMs = 60_000;
let gateway: TestGateway;
let failing = 0;
beforeEach(async () => {
  await emptyStores();
  failing = 0;
  gateway = startGateway({
    around: async (name, call) => {
      if (name === "object check" && failing-- > 0) throw new Error("unavailable");
      return call();
    },
  });
});

const logged = (event: string) => gateway.logs.filter((line) => line.event === event);

/** To the next full ten minutes, at which cron checks; at least five minutes on. */
async function checkingTick(): Promise<void> {
  gateway.advance(6 * minuteMs);
  gateway.advance(10 * minuteMs - (gateway.now() % (10 * minuteMs)));
  await gateway.tick();
}

/** A tenant with a task whose row is gone. */
async function leaky(id: string): Promise<string> {
  const { key } = await gateway.makeTenant({ id, balance: 100 });
  const task = await submitTask(gateway, key);
  await env.DB.prepare("DELETE FROM tasks WHERE id = ?").bind(task.id).run();
  return task.id;
}

it("logs nothing while all is sound", async () => {
  const { key } = await gateway.makeTenant({ balance: 100 });
  await submitTask(gateway, key);
  for (let i = 0; i < 3; i++) await checkingTick();
  expect(gateway.logs.filter(({ level }) => level === "error")).toEqual([]);
});

it("logs a task that the database has lost, once, and writes it again", async () => {
  const task = await leaky("shop");
  await checkingTick();
  const problem = { event: "discrepancy", level: "error", kind: "hold", tenant: "shop", subject: task };
  expect(logged("discrepancy")).toEqual([{ ...problem, text: expect.stringContaining("database") }]);
  expect(await env.DB.prepare("SELECT id FROM tasks WHERE id = ?").bind(task).first()).toEqual({ id: task });
  await checkingTick();
  expect(logged("discrepancy")).toHaveLength(1);
});

it("logs an account that does not add up, each time", async () => {
  await gateway.makeTenant({ id: "shop", balance: 100 });
  await setInState("shop", "account.charged", 1);
  await checkingTick();
  await checkingTick();
  expect(logged("discrepancy")).toMatchObject([
    { level: "error", kind: "balance", tenant: "shop" },
    { level: "error", kind: "balance", tenant: "shop" },
  ]);
});

it("reconciles every ten minutes and not in between", async () => {
  await checkingTick();
  await leaky("shop");
  for (let minute = 1; minute <= 9; minute++) {
    gateway.advance(minuteMs);
    await gateway.tick();
    expect(logged("discrepancy")).toEqual([]);
  }
  gateway.advance(minuteMs);
  await gateway.tick();
  expect(logged("discrepancy")).toMatchObject([{ tenant: "shop" }]);
});

it("comes to every tenant in turn, however many there are", async () => {
  const ids = Array.from({ length: 13 }, (_, i) => `tenant-${10 + i}`);
  for (const id of ids) await leaky(id);
  for (let i = 0; i < 16; i++) await checkingTick();
  const found = logged("discrepancy").map((line) => String(line.tenant));
  expect(found.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(ids);
});

it("is not kept from the other tenants by one whose object is unavailable", async () => {
  for (const id of ["aaa", "bbb", "ccc"]) await leaky(id);
  failing = 1;
  await checkingTick();
  expect(logged("discrepancy").map(({ tenant }) => tenant)).toHaveLength(2);
  expect(logged("not_reconciled")).toMatchObject([{ level: "error", tenant: "aaa" }]);
  for (let i = 0; i < 3; i++) await checkingTick();
  expect(logged("discrepancy").map(({ tenant }) => tenant)).toContain("aaa");
});
