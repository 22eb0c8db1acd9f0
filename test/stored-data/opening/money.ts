/** Whether the money adds up: by the ledger, by the tasks, and by what the tenant is shown. */
import { expect } from "vitest";
import type { Json } from "../views.ts";
import type { Reopened } from "./reopened.ts";

export async function checkMoney(world: Reopened): Promise<void> {
  const tasks = await world.all(world.adminKey, "/admin/api/tasks");
  const { active, suspended } = world.fixture.made.tenants;
  for (const tenant of [...active, ...suspended]) {
    const lines = await world.all(world.adminKey, `/admin/api/tenants/${tenant}/ledger`);
    const own = tasks.filter((task) => task.tenant === tenant);
    checkCharges(tenant, lines, own);
    checkHolds(tenant, lines);
    const credited = sum(lines.filter(({ type }) => ["topup", "refund", "adjustment"].includes(type)));
    const charged = sum(lines.filter(({ type }) => type === "charge"));
    const { balance, available, held } = await world.read(world.adminKey, `/admin/api/tenants/${tenant}`);
    expect(held, tenant).toBe(0);
    expect(lines[0]?.balance, tenant).toBe(credited - charged);
    // Null for a tenant that does not pay in advance.
    if (balance !== null)
      expect([balance, available], tenant).toEqual([credited - charged, credited - charged]);
  }
}

/** Each task is charged for the pictures that are stored of it, at the price of its admission. */
function checkCharges(tenant: string, lines: Json[], tasks: Json[]): void {
  const charges = new Map(
    lines.filter(({ type }) => type === "charge").map(({ task, amount }) => [task, amount]),
  );
  const holds = new Map(
    lines.filter(({ type }) => type === "hold").map(({ task, amount }) => [task, amount]),
  );
  for (const { id, usage, input } of tasks) {
    const price = holds.get(id) / input.n;
    expect(charges.get(id) ?? 0, `${tenant} ${id}`).toBe(usage.images * price);
    expect(usage.credits_charged, `${tenant} ${id}`).toBe(usage.images * price);
    charges.delete(id);
  }
  expect([...charges], tenant).toEqual([]);
}

/** What was held of a task is charged or released, once. */
function checkHolds(tenant: string, lines: Json[]): void {
  const left = new Map<string, number>();
  for (const { type, task, amount } of lines) {
    if (type === "hold") left.set(task, (left.get(task) ?? 0) + amount);
    if (type === "charge" || type === "release") left.set(task, (left.get(task) ?? 0) - amount);
  }
  expect(
    [...left].filter(([, amount]) => amount !== 0),
    tenant,
  ).toEqual([]);
}

function sum(lines: Json[]): number {
  return lines.reduce((total, { amount }) => total + amount, 0);
}
