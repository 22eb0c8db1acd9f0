/**
 * Everything at once, for as many tasks as asked for: every scripted behaviour of the upstream, faults at every call
 * to a binding, minutes without D1, evictions, tasks of the version before, doubled ticks, cron away
 * for an hour. Then the faults end, cron goes on, and every task that was accepted has ended, with the right money, one
 * upstream task and no object too many, and its tenant notified.
 *
 * `CHAOS_TASKS` and `CHAOS_SEED` choose size and seed. The same seed has callers do the same and draws the same faults;
 * which call they hit depends on the order in which parallel calls come, as it would anywhere.
 */
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { type Report, readReport, tableOf } from "../helpers/chaos-report.ts";
import {
  type ChaosWorld,
  evictOne,
  makeOneOlder,
  runAlarms,
  startWorld,
  submitOne,
} from "../helpers/chaos-world.ts";
import { evidence } from "../helpers/evidence.ts";

const settings = env as unknown as { CHAOS_TASKS?: string; CHAOS_SEED?: string };
const tasks = Number(settings.CHAOS_TASKS ?? 45);
const seed = Number(settings.CHAOS_SEED ?? 20_261_123);
const tenants = 20;
/** Three minutes at least: every third one has many faults. */
const perMinute = Math.min(60, Math.ceil(tasks / 3));
const hourMs = 3_600_000;

async function openTasks(): Promise<number> {
  const row = await env.DB.prepare("SELECT count(*) AS open FROM tasks WHERE open = 1").first<{
    open: number;
  }>();
  return row?.open ?? Number.NaN;
}

/** A minute in which callers submit while cron works, or does not come. */
async function minute(
  world: ChaosWorld,
  submissions: number,
  cron: "once" | "twice" | "away",
): Promise<void> {
  const callers = Array.from({ length: submissions }, () => submitOne(world));
  const ticks = cron === "twice" ? 2 : 1;
  await Promise.all([
    ...callers,
    ...Array.from({ length: ticks }, () => world.shaken.tick().catch(() => undefined)),
  ]);
  // To the next full minute, whatever of it the ticks have slept.
  world.sound.advance(60_000 - (world.sound.now() % 60_000));
}

async function shake(world: ChaosWorld): Promise<void> {
  const minutes = Math.ceil(tasks / perMinute);
  for (let i = 0; i < minutes; i++) {
    world.setFaults(i % 3 === 2 ? 0.15 : 0.03);
    const cron = world.chance.pick(["once", "once", "once", "twice"] as const);
    const submissions = Math.min(perMinute, tasks - i * perMinute);
    world.setDatabaseOut(i % 4 === 1);
    await minute(world, submissions, cron);
    world.setDatabaseOut(false);
    if (world.chance.happens(0.5)) await evictOne(world);
    if (world.chance.happens(0.3)) await makeOneOlder(world);
    if (i % 5 === 0)
      console.log(
        `  ${Math.min(tasks, (i + 1) * perMinute)} of ${tasks} submitted, ${await openTasks()} open`,
      );
  }
}

/** Cron alone, on a platform that works again after an hour without any, until nothing is open. */
async function settleDown(world: ChaosWorld): Promise<void> {
  world.setFaults(0);
  // What is still beside a tick that failed ends before the hour: the platform would let it go on for no longer.
  await world.shaken.fetch("/healthz");
  world.sound.advance(hourMs);
  await runAlarms(world);
  // At first every half a minute; pictures that never come are attempted for as long as their links live.
  for (let i = 0; i < 400 && (await openTasks()) > 0; i++) {
    if (i % 40 === 0) console.log(`  cron alone, ${await openTasks()} open`);
    await world.sound.tick();
    world.sound.advance(i < 60 ? 30_000 : 11 * 60_000);
  }
  await runAlarms(world);
  await runAlarms(world);
  // Webhooks that failed meanwhile are attempted again after up to five hours.
  for (let i = 0; i < 12; i++) {
    world.sound.advance(hourMs / 2);
    await world.sound.tick();
  }
}

it("chaos loses nothing, charges nothing twice and leaves nothing behind", {
  timeout: 3_000_000,
}, async () => {
  const world = await startWorld(seed, tenants);
  await shake(world);
  await settleDown(world);
  const report: Report = await readReport(world, hourMs);
  console.log(`\n${tableOf(seed, world, report)}\n`);
  const { accepted, lost, doubled, unnotified, wrongCharges, drift, picturesStored, picturesLost } = report;
  const ends = Object.values(report.byEnd).reduce((sum, count) => sum + count, 0);
  evidence({ accepted, lost, doubled, unnotified, ends, picturesStored, picturesLost });
  evidence({ drift: Math.max(drift, wrongCharges), accounts: tenants });
  expect(world.replies.get("500 internal_error")).toBeUndefined();
  expect(report).toMatchObject({
    lost: 0,
    doubled: 0,
    wrongCharges: 0,
    drift: 0,
    orphanObjects: 0,
    overdue: 0,
    unnotified: 0,
    discrepancies: [],
  });
  expect(await openTasks()).toBe(0);
});
