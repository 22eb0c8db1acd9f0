/**
 * `npm run drain`: many due tasks, drained by one invocation and through the Queue, in virtual time. `DRAIN_TASKS=… npm run
 * drain` for another number; the default takes a quarter of an hour.
 */
import { spawnSync } from "node:child_process";

const { DRAIN_TASKS = "20000" } = process.env;
console.log(`Draining ${DRAIN_TASKS} due tasks of 20 tenants, with an upstream that takes 200 ms a call`);
const args = ["run", "--config", "test/vitest.config.ts", "--project", "workerd", "test/chaos/drain.test.ts"];
const { status } = spawnSync("vitest", args.concat(process.argv.slice(2)), {
  stdio: "inherit",
  env: { ...process.env, DRAIN_TASKS },
  shell: process.platform === "win32",
});
process.exit(status ?? 1);
