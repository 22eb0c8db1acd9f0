/**
 * `npm run chaos`: the chaos test in its long form. `CHAOS_TASKS=… CHAOS_SEED=… npm run chaos` for another size, or
 * to see a seed again.
 */
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";

const { CHAOS_TASKS = "2000", CHAOS_SEED = String(randomInt(1, 2 ** 31)) } = process.env;
console.log(`Chaos with ${CHAOS_TASKS} tasks over 20 tenants, seed ${CHAOS_SEED}`);
// Its lines are the show: as they are, without where each comes from.
const shown = ["--project", "workerd", "--disable-console-intercept=true", "test/chaos", "unsure"];
const { status } = spawnSync("vitest", ["run", "--config", "test/vitest.config.ts", ...shown], {
  stdio: "inherit",
  env: {
    FUZZ_RUNS: "4000",
    OUTAGE_MINUTES: "10",
    UNSURE_TASKS: "2000",
    DRAIN_TASKS: "200",
    ...process.env,
    CHAOS_TASKS,
    CHAOS_SEED,
  },
  shell: process.platform === "win32",
});
process.exit(status ?? 1);
