/**
 * `npm run drain`: many due tasks, drained by one invocation and through the Queue, in virtual time. `DRAIN_TASKS=… npm run
 * drain` for another number; the default takes a quarter of an hour.
 */
import { spawnSync } from "node:child_process";
import { wholeNumber } from "./whole-number.ts";

const DRAIN_TASKS = String(wholeNumber("DRAIN_TASKS", 20_000));
console.log(`Draining ${DRAIN_TASKS} due tasks of 20 tenants, with an upstream that takes 200 ms a call`);
// Its lines are the show: as they are, without where each comes from.
const shown = ["--project", "workerd", "--disable-console-intercept=true", "test/chaos/drain.test.ts"];
const args = ["run", "--config", "test/vitest.config.ts", ...shown, ...process.argv.slice(2)];
const { status } = spawnSync("vitest", args, {
  stdio: "inherit",
  env: { ...process.env, DRAIN_TASKS },
  shell: process.platform === "win32",
});
process.exit(status ?? 1);
