/**
 * A gateway with a year behind it costs its callers, its operator and its cron what a young one does. `AGED_TASKS` chooses how
 * many tasks the year has (`npm run aged`).
 */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { age, type Cost, costsOf, sizesOf, startYoung } from "../helpers/aged-world.ts";
import { emptyStores } from "../helpers/setup.ts";

const settings = env as unknown as { AGED_TASKS?: string };
const tasks = Number(settings.AGED_TASKS ?? 4_000);
const others = settings.AGED_TASKS ? 1_000 : 40;
const show = settings.AGED_TASKS ? console.log : () => undefined;

/** Rows that a call may read more than in a young installation: a page of a few tenants, a month of sums. */
const slack: Record<string, number> = {
  "use of 30 days": 90,
  // A page of what none fits examines so many.
  "list failed tasks": 2_100,
  overview: 900,
  "tasks of all tenants": 110,
  // The archive's turn of twenty tenants, each with tasks that wait for a part to be full.
  "a tick, the dearest of five": 5_000,
};

function line(name: string, young: Cost, aged: Cost): string {
  const ms = (cost: Cost) => cost.ms.toFixed(1).padStart(8);
  return `${name.padEnd(28)} ${String(young.rows).padStart(7)} ${String(aged.rows).padStart(7)} ${ms(young)} ${ms(aged)}`;
}

it("a year of tasks makes no call dearer", { timeout: 3_000_000 }, async () => {
  await emptyStores();
  const young = await startYoung();
  const before = await costsOf(young);
  const small = await sizesOf(young);
  const aged = await age(young, tasks, others, show);
  const after = await costsOf(aged);
  const sizes = await sizesOf(aged);
  show(
    `\n${"".padEnd(28)} ${"rows".padStart(7)} ${"aged".padStart(7)} ${"ms".padStart(8)} ${"aged".padStart(8)}`,
  );
  for (const [name, cost] of Object.entries(before)) show(line(name, cost, after[name] ?? cost));
  show("rows: of the dearest of five runs; ms: their median\n");
  show(JSON.stringify({ tasks, others, young: small, aged: sizes }, null, 2));
  for (const [name, { rows }] of Object.entries(before)) {
    const most = Math.max(rows * 1.5, rows + 5) + (slack[name] ?? 0);
    expect([name, after[name]?.rows, (after[name]?.rows ?? 0) <= most]).toEqual([
      name,
      after[name]?.rows,
      true,
    ]);
  }
  expect(sizes.objectBytes).toBeLessThan(30_000_000);
  // A month of tasks, and what waits for a part to be full.
  expect(sizes.rowsOfTasks).toBeLessThan(tasks * 0.25 + others * 10 + 2_000);
});
