/**
 * `npm run evidence`: what the gateway promises, as figures, each measured by a test or by counting. `CHAOS_TASKS=…` and
 * `CHAOS_SEED=…` choose size and seed. It takes some five minutes.
 */
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import Table from "cli-table3";
import { billOf } from "../bench/bill.ts";
import { measureLife, startCountedStage } from "../bench/life.ts";
import { root } from "../bench/stage.ts";
import { evidenceMark } from "../helpers/evidence.ts";
import { wholeNumber } from "./whole-number.ts";

const CHAOS_TASKS = String(wholeNumber("CHAOS_TASKS", 2_000));
const CHAOS_SEED = String(wholeNumber("CHAOS_SEED", randomInt(1, 2 ** 31)));

/** An error that the chaos has wanted: a fault that it drew. Its stack follows. */
const isFault = /^uncaught exception;.* Error: (?:D1 is out|the platform failed (?:before|after))$/;

/** Runs tests, shows what they print, and gathers their figures. */
async function runTests(paths: string[]): Promise<Record<string, number>> {
  const shown = ["--project", "workerd", "--disable-console-intercept=true"];
  const child = spawn("vitest", ["run", "--config", "test/vitest.config.ts", ...shown, ...paths], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, CHAOS_TASKS, CHAOS_SEED },
    shell: process.platform === "win32",
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const figures: Record<string, number> = {};
  let faults = 0;
  let isInFault = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const at = line.indexOf(evidenceMark);
    isInFault = isFault.test(line) || (isInFault && /^ +at /.test(line));
    if (isFault.test(line)) faults++;
    if (isInFault) continue;
    if (at >= 0) Object.assign(figures, JSON.parse(line.slice(at + evidenceMark.length)));
    else console.log(line);
  }
  if ((await ended) !== 0) throw new Error("A test is red: its figures are no evidence.");
  console.log(`· ${faults} errors are left out here: faults of the platform, which the chaos wants`);
  return figures;
}

/** The bill of a million tasks of one picture, dollars. */
async function costOfMillion(): Promise<number> {
  mkdirSync(join(root, ".wrangler"), { recursive: true });
  const folder = mkdtempSync(join(root, ".wrangler", "evidence-"));
  const stage = await startCountedStage(folder);
  try {
    return billOf(await measureLife(stage)).dollars;
  } finally {
    await stage.miniflare.dispose();
    rmSync(folder, { recursive: true, force: true });
  }
}

console.log(`Evidence with ${CHAOS_TASKS} tasks over 20 tenants, seed ${CHAOS_SEED}`);
const figures = await runTests([
  "test/chaos/chaos.test.ts",
  "test/chaos/over-admission.test.ts",
  "test/flows/cron/latency.test.ts",
]);
const of = (name: string) => {
  const figure = figures[name];
  if (figure === undefined) throw new Error(`No test has said ${name}.`);
  return figure.toLocaleString("en-US");
};
const seconds = (name: string) => `${((figures[name] ?? Number.NaN) / 1000).toFixed(1)} s`;
console.log("· counting calls and rows of a task's life");
const dollars = await costOfMillion();

const table = new Table({ head: ["promise", "figure"], style: { head: [] } });
table.push(
  [
    "admitted above a limit",
    `${of("over")} of ${of("asked")} at once, for each of ${of("limits")} limits with room for ${of("room")}, evictions in between`,
  ],
  [
    "accepted tasks without an end",
    `${of("lost")} of ${of("accepted")}, through faults at every call, minutes without D1, an hour without cron`,
  ],
  ["made twice upstream", `${of("doubled")} of ${of("accepted")}`],
  [
    "pictures lost to dead links, of those whose links worked",
    `${of("picturesLost")} of ${of("picturesStored")}`,
  ],
  [
    "upstream's end to the webhook",
    `p50 ${seconds("noticeP50")}, p99 ${seconds("noticeP99")}, in virtual time, ${of("noticeTasks")} tasks`,
  ],
  ["ends without their webhook", `${of("unnotified")} of ${of("ends")}`],
  ["cost of 1,000 pictures", `$${(dollars / 1000).toFixed(4)}, storage and the archive apart`],
  ["accounts that drift from their ledgers", `${of("drift")} of ${of("accounts")}`],
);
console.log(table.toString());
console.log(
  `${new Date().toISOString().slice(0, 10)}, ${CHAOS_TASKS} tasks, seed ${CHAOS_SEED}: the seed fixes what is asked and which faults are drawn, and not which call each hits`,
);
